/* Exact hypervolume.
 *
 * Up to 3 objectives: a sweep over the last one that keeps the staircase of the points so far in
 * the plane of the other two (missing objectives are padded: 0, reference 1). 4: slices between
 * consecutive values of the last objective, each a sweep. More: the volume that each point adds to
 * those before it, which is its box without the part that they cover in the box's corner (While,
 * Bradstreet and Barone, "A fast way of calculating exact hypervolumes", 2012): one objective less.
 * Points are moved so that the reference is the origin: coordinates are negative, and everything
 * that is added up in a sweep is positive. */
#include "base/memory.h"
#include "search/pareto.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- ordered sets of small numbers ---- */

enum { LEVELS = 6 }; /* 64^6 exceeds every n */

/* Bitmaps: bit i of level 0 is member i, bit i of level l+1 tells that word i of level l has any.
 */
typedef struct number_set {
    uint64_t *level[LEVELS];
    int levels;
} number_set;

static size_t set_words(size_t n) {
    size_t words = 0;
    do {
        n = (n + 63) / 64;
        words += n;
    } while (n > 1);
    return words;
}

static void set_make(number_set *set, uint64_t *memory, size_t n) {
    set->levels = 0;
    do {
        n = (n + 63) / 64;
        set->level[set->levels++] = memory;
        memory += n;
    } while (n > 1);
}

static void set_put(number_set *set, size_t i) {
    for (int l = 0; l < set->levels; l++, i /= 64) set->level[l][i / 64] |= UINT64_C(1) << i % 64;
}

static void set_remove(number_set *set, size_t i) {
    for (int l = 0; l < set->levels; l++, i /= 64) {
        set->level[l][i / 64] &= ~(UINT64_C(1) << i % 64);
        if (set->level[l][i / 64] != 0) return;
    }
}

/* The nearest member below or above i; -1: none. */
static int64_t set_before(const number_set *set, size_t i) {
    for (int l = 0; l < set->levels; l++, i /= 64) {
        uint64_t word = set->level[l][i / 64] & ((UINT64_C(1) << i % 64) - 1);
        if (word == 0) continue;
        i = i / 64 * 64 + 63 - (size_t)__builtin_clzll(word);
        while (l-- > 0) i = i * 64 + 63 - (size_t)__builtin_clzll(set->level[l][i]);
        return (int64_t)i;
    }
    return -1;
}

static int64_t set_after(const number_set *set, size_t i) {
    for (int l = 0; l < set->levels; l++, i /= 64) {
        uint64_t word = set->level[l][i / 64] & (~UINT64_C(1) << i % 64);
        if (word == 0) continue;
        i = i / 64 * 64 + (size_t)__builtin_ctzll(word);
        while (l-- > 0) i = i * 64 + (size_t)__builtin_ctzll(set->level[l][i]);
        return (int64_t)i;
    }
    return -1;
}

/* ---- 3 objectives ---- */

typedef struct point {
    double x[4];  /* below 0; [3] only in slices */
    size_t place; /* in the order of x[0], index */
} point;

/* Points of the staircase by place: x[0] ascends, x[1] descends. */
typedef struct sweep {
    const point **at; /* by place */
    number_set stairs;
} sweep;

/* Adds a point to the staircase; the area that it adds. */
static double staircase_add(sweep *s, const point *p) {
    int64_t before = set_before(&s->stairs, p->place);
    double top = before < 0 ? 0 : s->at[before]->x[1];
    if (top <= p->x[1]) return 0;
    double area = 0, left = p->x[0];
    int64_t next = set_after(&s->stairs, p->place);
    for (; next >= 0 && s->at[next]->x[1] >= p->x[1];
         next = set_after(&s->stairs, p->place)) { /* steps that p hides */
        area += (s->at[next]->x[0] - left) * (top - p->x[1]);
        left = s->at[next]->x[0];
        top = s->at[next]->x[1];
        set_remove(&s->stairs, (size_t)next);
    }
    area += ((next < 0 ? 0 : s->at[next]->x[0]) - left) * (top - p->x[1]);
    set_put(&s->stairs, p->place);
    return area;
}

/* The volume of points that lie in order of x[2]. */
static double sweep_volume(sweep *s, const point *const *points, size_t n) {
    double volume = 0, area = 0;
    for (size_t i = 0; i < n; i++) {
        area += staircase_add(s, points[i]);
        volume += area * ((i + 1 < n ? points[i + 1]->x[2] : 0) - points[i]->x[2]);
    }
    for (size_t i = 0; i < n; i++) set_remove(&s->stairs, points[i]->place);
    return volume;
}

static int compare_at(const void *pa, const void *pb, int k) {
    const point *a = *(const point *const *)pa, *b = *(const point *const *)pb;
    if (a->x[k] != b->x[k]) return a->x[k] < b->x[k] ? -1 : 1;
    return (a > b) - (a < b);
}
static int by_first(const void *a, const void *b) { return compare_at(a, b, 0); }
static int by_third(const void *a, const void *b) { return compare_at(a, b, 2); }
static int by_fourth(const void *a, const void *b) { return compare_at(a, b, 3); }

/* ---- 4 objectives ---- */

/* Slices between consecutive values of x[3]: `active` holds the points so far in order of x[2]. */
static double slice_volume(sweep *s, const point *const *points, const point **active, size_t n) {
    double volume = 0;
    for (size_t i = 0; i < n; i++) {
        size_t low = 0, high = i;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (active[middle]->x[2] <= points[i]->x[2])
                low = middle + 1;
            else
                high = middle;
        }
        memmove(active + low + 1, active + low, (i - low) * sizeof *active);
        active[low] = points[i];
        double depth = (i + 1 < n ? points[i + 1]->x[3] : 0) - points[i]->x[3];
        if (depth > 0) volume += depth * sweep_volume(s, active, i + 1);
    }
    return volume;
}

/* x: n x m coordinates below 0, m <= 4. */
static sartor_status volume_by_sweeps(sartor_context *ctx, const double *x, size_t n, int m,
                                      double *volume) {
    void *points_memory = NULL, *pointers = NULL, *words = NULL;
    sartor_status status = sr_alloc(ctx, n, sizeof(point), "hypervolume", &points_memory);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, n, 3 * sizeof(const point *), "hypervolume", &pointers);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, set_words(n), sizeof(uint64_t), "hypervolume", &words);
    if (status == SARTOR_OK) {
        point *points = points_memory;
        const point **order = pointers, **active = order + n;
        sweep s = {.at = active + n};
        set_make(&s.stairs, words, n);
        for (size_t i = 0; i < n; i++) {
            for (int k = 0; k < 4; k++) points[i].x[k] = k < m ? x[i * (size_t)m + (size_t)k] : -1;
            s.at[i] = order[i] = &points[i];
        }
        qsort(s.at, n, sizeof *s.at, by_first);
        for (size_t i = 0; i < n; i++) points[s.at[i] - points].place = i;
        qsort(order, n, sizeof *order, m < 4 ? by_third : by_fourth);
        *volume = m < 4 ? sweep_volume(&s, order, n) : slice_volume(&s, order, active, n);
    }
    free(points_memory);
    free(pointers);
    free(words);
    return status;
}

/* ---- more objectives ---- */

static double larger(double a, double b) { return a > b ? a : b; }

static void sort_by_last(double *x, size_t n, int m) {
    double row[SR_MAX_OBJECTIVES];
    size_t bytes = (size_t)m * sizeof *x;
    for (size_t i = 1; i < n; i++) {
        memcpy(row, x + i * (size_t)m, bytes);
        size_t j = i;
        for (; j > 0 && x[j * (size_t)m - 1] > row[m - 1]; j--)
            memcpy(x + j * (size_t)m, x + (j - 1) * (size_t)m, bytes);
        memcpy(x + j * (size_t)m, row, bytes);
    }
}

/* Appends a point to a set in which no point covers another, if none covers it; returns the new
 * count. */
static size_t put_if_free(double *set, size_t n, int m, const double *p) {
    size_t kept = 0, width = (size_t)m;
    for (size_t i = 0; i < n; i++) {
        const double *q = set + i * width;
        bool q_covers = true, p_covers = true;
        for (int k = 0; k < m; k++) {
            q_covers &= q[k] <= p[k];
            p_covers &= p[k] <= q[k];
        }
        if (q_covers) return n; /* then p covers nothing: `set` is untouched */
        if (!p_covers) memmove(set + kept++ * width, q, width * sizeof *set);
    }
    memcpy(set + kept * width, p, width * sizeof *set);
    return kept + 1;
}

/* x: n x m coordinates below 0; reordered. */
static sartor_status volume_of(sartor_context *ctx, double *x, size_t n, int m, double *volume) {
    *volume = 0;
    if (n == 0) return SARTOR_OK;
    if (m <= 4) return volume_by_sweeps(ctx, x, n, m, volume);
    sort_by_last(x, n, m);
    void *memory = NULL;
    SR_TRY(sr_alloc(ctx, n, (size_t)(m - 1) * sizeof(double), "hypervolume", &memory));
    sartor_status status = SARTOR_OK;
    for (size_t i = 0; i < n && status == SARTOR_OK; i++) {
        const double *p = x + i * (size_t)m;
        double corner[SR_MAX_OBJECTIVES], box = 1, covered;
        for (int k = 0; k + 1 < m; k++) box *= -p[k];
        /* Earlier points begin before p in the last objective: there their boxes span p's. */
        size_t corners = 0;
        for (size_t j = 0; j < i; j++) {
            for (int k = 0; k + 1 < m; k++) corner[k] = larger(p[k], x[j * (size_t)m + (size_t)k]);
            corners = put_if_free(memory, corners, m - 1, corner);
        }
        status = volume_of(ctx, memory, corners, m - 1, &covered);
        if (status == SARTOR_OK && covered < box) *volume += (box - covered) * -p[m - 1];
    }
    free(memory);
    return status;
}

sartor_status sr_hypervolume(sartor_context *ctx, const double *values, size_t n, int m,
                             const double *reference, double *volume) {
    *volume = 0;
    if (m < 1 || m > SR_MAX_OBJECTIVES)
        return sr_fail(ctx, SARTOR_INVALID, "hypervolume: %d objectives are not in 1..%d", m,
                       SR_MAX_OBJECTIVES);
    if (n > INT32_MAX) return sr_fail(ctx, SARTOR_INVALID, "hypervolume: %zu points", n);
    void *memory = NULL;
    SR_TRY(sr_alloc(ctx, n, (size_t)m * sizeof(double), "hypervolume", &memory));
    double *x = memory;
    size_t kept = 0;
    bool infinite = false;
    for (size_t i = 0; i < n; i++) {
        bool below = true, open = false;
        for (int k = 0; k < m; k++) {
            double *to = &x[kept * (size_t)m + (size_t)k];
            *to = values[i * (size_t)m + (size_t)k] - reference[k];
            below &= *to < 0;
            open |= isinf(*to);
        }
        if (below) kept++;
        infinite |= below && open;
    }
    sartor_status status = SARTOR_OK;
    if (infinite)
        *volume = INFINITY;
    else
        status = volume_of(ctx, x, kept, m, volume);
    free(memory);
    return status;
}
