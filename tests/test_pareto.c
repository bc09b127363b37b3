/* Pareto order against its definitions: every function is compared with a direct computation on
 * random points, many of them with ties, duplicates and infinities. */
#include "search/pareto.h"

#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;
static sr_rng rng = {11, SR_FOR_TEST, 0};
static uint64_t drawn;
static int below(int bound) { return (int)sr_rng_below(rng, drawn++, (uint64_t)bound); }
static double uniform(void) { return sr_rng_uniform(rng, drawn++); }

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));                                \
    } while (0)

static void assert_near(double a, double b, double most) {
    if (!(fabs(a - b) <= most)) fail_msg("%.17g, not %.17g", a, b);
}

enum { MOST = 3000 };
static double values[MOST * SR_MAX_OBJECTIVES];

/* Points of one kind: 0 uniform, 1 few values, 2 few values and infinities, 3 on a sphere. */
static void draw_points(double *v, size_t n, int m, int kind) {
    int levels = 2 + below(6);
    for (size_t i = 0; i < n; i++) {
        double *p = v + i * (size_t)m, square = 0;
        for (int k = 0; k < m; k++) {
            p[k] = kind == 0 || kind == 3 ? uniform() + 0.01 : below(levels);
            if (kind == 2 && below(6) == 0) p[k] = INFINITY;
            square += p[k] * p[k];
        }
        for (int k = 0; k < m && kind == 3; k++) p[k] /= sqrt(square);
    }
}

/* ---- domination and fronts ---- */

static bool dominates(const double *a, const double *b, int m) {
    int larger = 0, smaller = 0;
    for (int k = 0; k < m; k++) {
        larger += a[k] > b[k];
        smaller += a[k] < b[k];
    }
    return larger == 0 && smaller > 0;
}

static void test_dominates(void **state) {
    (void)state;
    assert_true(sr_dominates((double[]){1, 2}, (double[]){1, 3}, 2));
    assert_false(sr_dominates((double[]){1, 3}, (double[]){1, 2}, 2));
    assert_false(sr_dominates((double[]){1, 2}, (double[]){1, 2}, 2));
    assert_false(sr_dominates((double[]){1, 2}, (double[]){2, 1}, 2));
    assert_true(sr_dominates((double[]){1, 2}, (double[]){INFINITY, 2}, 2));
    assert_false(sr_dominates((double[]){INFINITY}, (double[]){INFINITY}, 1));
}

static void compare_front(size_t n, int m, int kind) {
    static bool in[MOST];
    draw_points(values, n, m, kind);
    memset(in, 2, sizeof in);
    OK(sr_pareto_front(ctx, values, n, m, in));
    for (size_t i = 0; i < n; i++) {
        bool expected = true;
        for (size_t j = 0; j < n && expected; j++)
            expected = !dominates(values + j * (size_t)m, values + i * (size_t)m, m);
        if (in[i] != expected)
            fail_msg("point %zu of %zu, %d objectives, kind %d: front %d", i, n, m, kind, in[i]);
    }
}

static void test_front(void **state) {
    (void)state;
    for (int m = 1; m <= SR_MAX_OBJECTIVES; m++)
        for (int kind = 0; kind < 4; kind++) {
            for (int round = 0; round < 30; round++) compare_front((size_t)below(200), m, kind);
            compare_front(1500, m, kind);
        }
    for (int m = 4; m <= 6; m++) compare_front(MOST, m, 3);
    bool in[1];
    assert_int_equal(sr_pareto_front(ctx, values, 1, 0, in), SARTOR_INVALID);
    assert_int_equal(sr_pareto_front(ctx, values, 1, SR_MAX_OBJECTIVES + 1, in), SARTOR_INVALID);
}

/* Points of one sum do not dominate each other; one that is smaller everywhere dominates all. */
static void test_large_front(void **state) {
    (void)state;
    enum { N = 50000 };
    double *v = malloc((N + 1) * 4 * sizeof *v);
    bool *in = malloc((N + 1) * sizeof *in);
    assert_non_null(v);
    assert_non_null(in);
    for (int m = 2; m <= 4; m++) {
        for (int i = 0; i < N; i++) {
            int rest = 1 << 20;
            for (int k = 0; k + 1 < m; k++) {
                int x = below(rest / 2);
                v[i * m + k] = x;
                rest -= x;
            }
            v[i * m + m - 1] = rest;
        }
        for (int k = 0; k < m; k++) v[N * m + k] = -1;
        size_t count = 0;
        OK(sr_pareto_front(ctx, v, N, m, in));
        for (size_t i = 0; i < N; i++) count += in[i];
        assert_int_equal(count, N);
        OK(sr_pareto_front(ctx, v, N + 1, m, in));
        for (size_t i = 0; i < N; i++) assert_false(in[i]);
        assert_true(in[N]);
    }
    free(v);
    free(in);
}

/* ---- sorting ---- */

static bool better(const double *violation, size_t i, size_t j, int m) {
    if (violation && violation[i] != violation[j]) return violation[i] < violation[j];
    return dominates(values + i * (size_t)m, values + j * (size_t)m, m);
}

/* Front by front: what nobody left dominates. */
static void compare_sort(size_t n, int m, int kind, bool constrained) {
    static int rank[MOST], expected[MOST];
    static double violation[MOST];
    draw_points(values, n, m, kind);
    for (size_t i = 0; i < n; i++) {
        violation[i] = constrained && below(2) ? below(3) * 0.5 : 0;
        if (constrained && below(8) == 0) violation[i] = INFINITY;
        expected[i] = -1;
    }
    const double *v = constrained ? violation : NULL;
    size_t left = n;
    for (int front = 0; left > 0; front++) {
        for (size_t i = 0; i < n; i++) {
            bool free_of = expected[i] < 0;
            for (size_t j = 0; j < n && free_of; j++)
                free_of = (expected[j] >= 0 && expected[j] < front) || !better(v, j, i, m);
            if (free_of) expected[i] = front;
        }
        left = 0;
        for (size_t i = 0; i < n; i++) left += expected[i] < 0;
    }
    OK(sr_nondominated_sort(ctx, values, v, n, m, rank));
    for (size_t i = 0; i < n; i++)
        if (rank[i] != expected[i])
            fail_msg("point %zu of %zu, %d objectives, kind %d: rank %d, not %d", i, n, m, kind,
                     rank[i], expected[i]);
}

static void test_sort(void **state) {
    (void)state;
    for (int m = 1; m <= SR_MAX_OBJECTIVES; m++)
        for (int kind = 0; kind < 4; kind++)
            for (int round = 0; round < 20; round++)
                compare_sort((size_t)below(120), m, kind, round % 2);
}

/* ---- crowding ---- */

static bool before(const int *index, size_t a, size_t b, int m, int k) {
    double x = values[index[a] * m + k], y = values[index[b] * m + k];
    return x < y || (x == y && index[a] < index[b]);
}

/* The definition, neighbour by neighbour. */
static double crowding_of(const int *index, size_t count, int m, size_t i) {
    double sum = 0;
    for (int k = 0; k < m && count > 1; k++) {
        double least = INFINITY, most = -INFINITY;
        size_t lower = count, upper = count;
        for (size_t j = 0; j < count; j++) {
            double x = values[index[j] * m + k];
            least = fmin(least, x);
            most = fmax(most, x);
            if (before(index, j, i, m, k) && (lower == count || before(index, lower, j, m, k)))
                lower = j;
            if (before(index, i, j, m, k) && (upper == count || before(index, j, upper, m, k)))
                upper = j;
        }
        if (least == most || isinf(most)) continue;
        if (lower == count || upper == count) return INFINITY;
        sum += (values[index[upper] * m + k] - values[index[lower] * m + k]) / (most - least);
    }
    return count == 1 ? INFINITY : sum;
}

static void test_crowding(void **state) {
    (void)state;
    int index[60];
    double distance[60];
    for (int round = 0; round < 600; round++) {
        int m = 1 + below(SR_MAX_OBJECTIVES), kind = below(4);
        size_t count = (size_t)below(60);
        draw_points(values, 200, m, kind);
        for (size_t i = 0; i < count; i++)
            index[i] = (int)((i * 77 + (size_t)round) % 200); /* different ones, in no order */
        OK(sr_crowding(ctx, values, m, index, count, distance));
        for (size_t i = 0; i < count; i++) {
            double expected = crowding_of(index, count, m, i);
            if (isinf(expected))
                assert_true(isinf(distance[i]));
            else
                assert_near(distance[i], expected, 1e-12);
        }
    }
    double line[] = {0, 4, 1, 2, 4, 0};
    OK(sr_crowding(ctx, line, 2, (int[]){2, 0, 1}, 3, distance));
    assert_true(isinf(distance[0]) && isinf(distance[1]));
    assert_near(distance[2], 2, 1e-15);
    OK(sr_crowding(ctx, line, 2, (int[]){1}, 1, distance));
    assert_true(isinf(distance[0]));
    OK(sr_crowding(ctx, (double[]){3, 3, 3}, 1, (int[]){0, 1, 2}, 3, distance));
    assert_true(distance[0] == 0 && distance[1] == 0 && distance[2] == 0);
}

/* ---- hypervolume ---- */

static int compare_doubles(const void *pa, const void *pb) {
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* Adds up the cells of the grid through all points that a point covers. */
static double grid_volume(const double *v, size_t n, int m, const double *reference) {
    double edge[SR_MAX_OBJECTIVES][16];
    size_t edges = n + 1, cell[SR_MAX_OBJECTIVES] = {0};
    for (int k = 0; k < m; k++) {
        for (size_t i = 0; i < n; i++)
            edge[k][i] = fmin(v[i * (size_t)m + (size_t)k], reference[k]);
        edge[k][n] = reference[k];
        qsort(edge[k], edges, sizeof edge[k][0], compare_doubles);
    }
    double sum = 0;
    for (;;) {
        bool covered = false;
        for (size_t i = 0; i < n && !covered; i++) {
            covered = true;
            for (int k = 0; k < m && covered; k++)
                covered = v[i * (size_t)m + (size_t)k] <= edge[k][cell[k]];
        }
        double size = covered;
        for (int k = 0; k < m && covered; k++) size *= edge[k][cell[k] + 1] - edge[k][cell[k]];
        sum += size;
        int k = 0;
        while (k < m && ++cell[k] == n) cell[k++] = 0;
        if (k == m) return sum;
    }
}

static void test_hypervolume(void **state) {
    (void)state;
    static const int most[] = {0, 12, 12, 12, 9, 7, 5, 4, 4};
    double reference[SR_MAX_OBJECTIVES];
    for (int m = 1; m <= SR_MAX_OBJECTIVES; m++)
        for (int round = 0; round < 200; round++) {
            size_t n = 1 + (size_t)below(most[m]);
            int kind = round % 4;
            draw_points(values, n, m, kind);
            for (int k = 0; k < m; k++) /* some points lie outside, some on the border */
                reference[k] = kind == 0 || kind == 3 ? 0.6 + 0.6 * uniform() : 1 + below(5);
            double volume, expected = grid_volume(values, n, m, reference);
            OK(sr_hypervolume(ctx, values, n, m, reference, &volume));
            if (!(fabs(volume - expected) <= 1e-12 * fmax(expected, 1)))
                fail_msg("%zu points, %d objectives, kind %d: %.17g, not %.17g", n, m, kind, volume,
                         expected);
        }
}

/* A further objective of one value changes nothing: the next algorithm must give the same. */
static void test_hypervolume_padded(void **state) {
    (void)state;
    static double padded[400 * SR_MAX_OBJECTIVES];
    double reference[SR_MAX_OBJECTIVES];
    for (int m = 1; m <= 5; m++)
        for (int kind = 0; kind < 4; kind++) {
            size_t n = m < 4 ? 400 : m == 4 ? 120 : 30;
            draw_points(values, n, m, kind);
            for (size_t i = 0; i < n; i++)
                for (int k = 0; k <= m; k++)
                    padded[i * (size_t)(m + 1) + (size_t)k] =
                        k == 0 ? 3 : values[i * (size_t)m + (size_t)(k - 1)];
            double volume, same;
            for (int k = 0; k <= m; k++) reference[k] = 5;
            OK(sr_hypervolume(ctx, values, n, m, reference, &volume));
            OK(sr_hypervolume(ctx, padded, n, m + 1, reference, &same));
            assert_true(volume > 0);
            assert_near(same / volume, 2, 1e-12);
        }
}

static void test_hypervolume_edges(void **state) {
    (void)state;
    double volume, two[] = {1, 2, 2, 1}, reference[] = {3, 3, 3};
    OK(sr_hypervolume(ctx, two, 2, 2, reference, &volume));
    assert_near(volume, 3, 0);
    OK(sr_hypervolume(ctx, two, 0, 2, reference, &volume));
    assert_near(volume, 0, 0);
    OK(sr_hypervolume(ctx, (double[]){INFINITY, 0, 3, 0, 0, 3}, 3, 2, reference, &volume));
    assert_near(volume, 0, 0);
    OK(sr_hypervolume(ctx, (double[]){-INFINITY, 0, 1, 1}, 2, 2, reference, &volume));
    assert_true(isinf(volume));
    OK(sr_hypervolume(ctx, two, 2, 2, (double[]){INFINITY, 3}, &volume));
    assert_true(isinf(volume));
    assert_int_equal(sr_hypervolume(ctx, two, 1, 0, reference, &volume), SARTOR_INVALID);
    /* the part of the unit cube behind a sphere's octant, from many points: 1 - pi / 6 */
    double *v = malloc(sizeof *v * 3 * 20000);
    assert_non_null(v);
    draw_points(v, 20000, 3, 3);
    OK(sr_hypervolume(ctx, v, 20000, 3, (double[]){1, 1, 1}, &volume));
    assert_near(volume, 1 - 3.14159265358979 / 6, 0.02);
    free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dominates),          cmocka_unit_test(test_front),
        cmocka_unit_test(test_large_front),        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_crowding),           cmocka_unit_test(test_hypervolume),
        cmocka_unit_test(test_hypervolume_padded), cmocka_unit_test(test_hypervolume_edges),
    };
    ctx = sartor_context_create();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sartor_context_destroy(&ctx);
    return failed;
}
