/* Search algorithms: names, budgets and draws; what births say about children; who survives, by
 * definition. How well they search is in test_search_quality.c. */
#include "search/algorithm.h"

#include "herd.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;
static sr_rng rng = {5, SR_FOR_TEST, 0};
static uint64_t drawn;
static int below(int bound) { return (int)sr_rng_below(rng, drawn++, (uint64_t)bound); }

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));                                \
    } while (0)

static void assert_near(double a, double b, double most) {
    if (!(fabs(a - b) <= most)) fail_msg("%g, not %g", a, b);
}

/* ---- settings, draws ---- */

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"nsga2", "ga", "firefly", "random"};
    for (int i = 0; i < 4; i++) {
        const sr_algorithm *a = sr_algorithm_find(names[i]);
        assert_non_null(a);
        assert_string_equal(a->name, names[i]);
        assert_ptr_equal(sr_algorithm_get(i), a);
        assert_true(strlen(a->summary) > 0);
    }
    assert_null(sr_algorithm_get(4));
    assert_null(sr_algorithm_get(-1));
    assert_null(sr_algorithm_find("nsga"));
    assert_null(sr_algorithm_find(""));
}

static void test_children(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        const sr_algorithm *a = sr_algorithm_get(i);
        sr_evolution e = sr_evolution_defaults();
        assert_int_equal(e.population, 16);
        assert_int_equal(e.survival, SR_SURVIVAL_ELITIST);
        assert_int_equal(a->children(&e, 0), 16);
        assert_int_equal(a->children(&e, 1), 14);
        assert_int_equal(a->children(&e, 9), 14);
        e.population = 2;
        assert_int_equal(a->children(&e, 1), 1);
        e.population = 1;
        assert_int_equal(a->children(&e, 0), 1);
        assert_int_equal(a->children(&e, 1), 1);
        e.population = 7;
        e.survival = SR_SURVIVAL_MU_PLUS_LAMBDA;
        assert_int_equal(a->children(&e, 0), 7);
        assert_int_equal(a->children(&e, 1), 7);
    }
}

static int compare_u64(const void *pa, const void *pb) {
    uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
    return (a > b) - (a < b);
}

static void test_draws(void **state) {
    (void)state;
    enum { SIDE = 24, ALL = 2 * SIDE * SIDE * SIDE };
    static uint64_t first[ALL];
    sr_evolution e = sr_evolution_defaults();
    size_t n = 0;
    for (int seed = 0; seed < 2; seed++)
        for (int generation = 0; generation < SIDE; generation++)
            for (int slot = 0; slot < SIDE; slot++)
                for (int attempt = 0; attempt < SIDE; attempt++) {
                    e.seed = (uint64_t)seed;
                    sr_draw draw = sr_slot_draw(&e, generation, slot, attempt);
                    assert_int_equal(draw.next, 0);
                    first[n++] = sr_rng_u64(draw.rng, 0);
                }
    qsort(first, n, sizeof *first, compare_u64);
    for (size_t i = 1; i < n; i++) assert_true(first[i] != first[i - 1]);
}

/* ---- children ---- */

static sr_space words;
static sr_evolution word_evolution(void) {
    words = word_space();
    sr_evolution e = sr_evolution_defaults();
    e.space = &words;
    e.objectives = 2;
    return e;
}

static void make_parents(const sr_evolution *e, int n, herd *h) {
    h->n = 0;
    for (int i = 0; i < n; i++) {
        sr_first_candidate(e, 0, i, below(1000000), herd_place(h));
        herd_add(h, two_words_limited);
    }
}

static int differing(const word *a, const word *b) {
    return (int)lround(words.distance(&words, a, b) * WORD_LETTERS);
}

/* What a birth says is what happened. */
static void check_birth(const sr_algorithm *a, const herd *h, const word *child,
                        const sr_birth *birth) {
    const word *p[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++) {
        assert_in_range(birth->parent[k] + 1, 0, h->n);
        if (birth->parent[k] >= 0) p[k] = h->member[birth->parent[k]].candidate;
    }
    if (strcmp(birth->how, "sample") == 0) {
        assert_true(p[0] == NULL && p[1] == NULL && birth->mutations == 0);
        assert_string_equal(a->name, "random");
        return;
    }
    assert_non_null(p[0]);
    if (strcmp(birth->how, "mutation") == 0 || strcmp(birth->how, "copy") == 0) {
        assert_null(p[1]);
        assert_int_equal(differing(child, p[0]), birth->mutations);
        assert_int_equal(birth->mutations > 0, strcmp(birth->how, "mutation") == 0);
        return;
    }
    assert_non_null(p[1]);
    if (strcmp(a->name, "firefly") == 0) {
        assert_string_equal(birth->how, "move");
        return;
    }
    int foreign = 0;
    for (int i = 0; i < WORD_LETTERS; i++)
        foreign += child->letter[i] != p[0]->letter[i] && child->letter[i] != p[1]->letter[i];
    assert_true(foreign <= birth->mutations);
    assert_true(birth->parent[0] != birth->parent[1]);
    if (strcmp(birth->how, "crossover") == 0) {
        assert_int_equal(birth->mutations, 0);
        assert_true(differing(child, p[0]) > 0 && differing(child, p[1]) > 0);
    } else {
        assert_string_equal(birth->how, "crossover+mutation");
        assert_true(birth->mutations > 0);
    }
}

static void test_propose(void **state) {
    (void)state;
    static herd h;
    sr_evolution e = word_evolution();
    for (int i = 0; i < 4; i++) {
        const sr_algorithm *a = sr_algorithm_get(i);
        int repeated = 0, all = 0, copies = 0;
        for (int n = 1; n <= 16; n++)
            for (int slot = 0; slot < 64; slot++) {
                make_parents(&e, n, &h);
                if (slot % 4 == 0) /* two equal parents */
                    h.candidate[n - 1] = h.candidate[0];
                word child, again, other;
                sr_birth birth, same;
                OK(a->propose(ctx, &e, h.member, n, 3, slot, 0, &child, &birth));
                check_birth(a, &h, &child, &birth);
                OK(a->propose(ctx, &e, h.member, n, 3, slot, 0, &again, &same));
                assert_memory_equal(&child, &again, sizeof child);
                assert_string_equal(birth.how, same.how);
                OK(a->propose(ctx, &e, h.member, n, 3, slot, 1, &other, &same));
                repeated += memcmp(&child, &other, sizeof child) == 0;
                OK(a->propose(ctx, &e, h.member, n, 4, slot, 0, &other, &same));
                repeated += memcmp(&child, &other, sizeof child) == 0;
                copies += strcmp(birth.how, "copy") == 0;
                all++;
            }
        assert_true(repeated < all / 20);
        assert_true(copies == 0);
    }
    /* nothing can change: the birth says so */
    e.mutation_rate = 0;
    make_parents(&e, 1, &h);
    for (int i = 0; i < 3; i++) {
        word child;
        sr_birth birth;
        OK(sr_algorithm_get(i)->propose(ctx, &e, h.member, 1, 1, 0, 0, &child, &birth));
        assert_string_equal(birth.how, "copy");
        assert_memory_equal(&child, &h.candidate[0], sizeof child);
    }
}

/* First parents follow the tournament: of n, place p wins (1 - p/n)^k - (1 - (p+1)/n)^k. */
static void test_tournament(void **state) {
    (void)state;
    static herd h;
    enum { N = 4, DRAWS = 8000 };
    for (int round = 0; round < 3; round++) {
        sr_evolution e = word_evolution();
        const sr_algorithm *a = sr_algorithm_find(round == 0 ? "nsga2" : "ga");
        int size = round == 0 ? 2 : 3;
        if (round == 2) e.tournament = size = 5;
        make_parents(&e, N, &h);
        for (int i = 0; i < N; i++) /* so different that no child is like a parent */
            memset(&h.candidate[i], i, sizeof(word));
        double share[N] = {0}, sum = 0;
        for (int slot = 0; slot < DRAWS; slot++) {
            word child;
            sr_birth birth;
            OK(a->propose(ctx, &e, h.member, N, 1, slot, 0, &child, &birth));
            if (birth.parent[1] < 0) continue;
            share[birth.parent[0]]++;
            sum++;
        }
        for (int p = 0; p < N; p++) {
            double expected = pow(1 - p / (double)N, size) - pow(1 - (p + 1) / (double)N, size);
            assert_near(share[p] / sum, expected, 0.02);
        }
    }
}

static void set_member(herd *h, int i, double x, double y, int letter) {
    memset(&h->candidate[i], letter, sizeof(word));
    h->values[i][0] = x;
    h->values[i][1] = y;
    h->member[i] = (sr_member){&h->candidate[i], h->values[i], 0};
    if (h->n <= i) h->n = i + 1;
}

static void test_firefly(void **state) {
    (void)state;
    static herd h;
    const sr_algorithm *a = sr_algorithm_find("firefly");
    sr_evolution e = word_evolution();
    word child;
    sr_birth birth;
    h.n = 0;
    set_member(&h, 0, 0, 1, 0); /* two of the front, one behind the second, one infeasible */
    set_member(&h, 1, 1, 0, 1);
    set_member(&h, 2, 2, 0.5, 2);
    set_member(&h, 3, 0, 0, 3);
    h.member[3].violation = 1;
    int taken[4] = {0}, moves = 0;
    enum { DRAWS = 2000 };
    for (int attempt = 0; attempt < DRAWS; attempt++) {
        for (int slot = 0; slot < 2; slot++) {
            OK(a->propose(ctx, &e, h.member, 4, 1, slot, attempt, &child, &birth));
            assert_string_equal(birth.how, "mutation");
            assert_int_equal(birth.parent[0], slot);
        }
        e.mutation_rate = 0;
        OK(a->propose(ctx, &e, h.member, 4, 1, 2, attempt, &child, &birth));
        int ones = 0;
        for (int i = 0; i < WORD_LETTERS; i++) {
            assert_true(child.letter[i] == 1 || child.letter[i] == 2);
            ones += child.letter[i] == 1;
        }
        moves += ones;
        assert_string_equal(birth.how, ones > 0 ? "move" : "copy");
        assert_int_equal(birth.parent[1], ones > 0 ? 1 : -1);
        /* everything feasible is brighter than the infeasible; the first has the last word */
        OK(a->propose(ctx, &e, h.member, 4, 1, 7, attempt, &child, &birth));
        assert_int_equal(birth.parent[0], 3);
        assert_int_equal(birth.parent[1], 0);
        for (int i = 0; i < WORD_LETTERS; i++) taken[(int)child.letter[i]]++;
        e.mutation_rate = 0.1;
    }
    assert_near(moves / (double)(DRAWS * WORD_LETTERS), exp(-1), 0.02);
    assert_near(taken[0] / (double)(DRAWS * WORD_LETTERS), exp(-1), 0.02);
    assert_true(taken[1] > taken[2] && taken[2] > 0 && taken[3] > 0);
}

/* ---- survivors ---- */

static double mean_of(const herd *h, int i) { return (h->values[i][0] + h->values[i][1]) / 2; }

/* Rank and crowding of some members, straight from the definitions' functions. */
typedef struct standing {
    int rank[HERD_MOST];
    double crowding[HERD_MOST];
} standing;

static void stand(const herd *h, const int *list, int n, standing *s) {
    double values[HERD_MOST * 2] = {0}, violation[HERD_MOST] = {0}, distance[HERD_MOST];
    int rank[HERD_MOST], front[HERD_MOST];
    for (int i = 0; i < n; i++) {
        memcpy(values + 2 * i, h->values[list[i]], 2 * sizeof *values);
        violation[i] = h->member[list[i]].violation;
    }
    OK(sr_nondominated_sort(ctx, values, violation, (size_t)n, 2, rank));
    for (int r = 0; r < n; r++) {
        int in = 0;
        for (int i = 0; i < n; i++)
            if (rank[i] == r) front[in++] = i;
        OK(sr_crowding(ctx, values, 2, front, (size_t)in, distance));
        for (int i = 0; i < in; i++) {
            s->rank[list[front[i]]] = r;
            s->crowding[list[front[i]]] = distance[i];
        }
    }
}

/* Whether i comes before j. */
static bool ahead(const sr_algorithm *a, const herd *h, const standing *s, int i, int j) {
    if (strcmp(a->name, "ga") == 0) {
        if (h->member[i].violation != h->member[j].violation)
            return h->member[i].violation < h->member[j].violation;
        if (mean_of(h, i) != mean_of(h, j)) return mean_of(h, i) < mean_of(h, j);
        return i < j;
    }
    if (s->rank[i] != s->rank[j]) return s->rank[i] < s->rank[j];
    if (s->crowding[i] != s->crowding[j]) return s->crowding[i] > s->crowding[j];
    return i < j;
}

/* The `most` that come first of `list`, by counting who is ahead of whom. */
static int first_of(const sr_algorithm *a, const herd *h, const int *list, int n, int most,
                    int *out) {
    standing s;
    stand(h, list, n, &s);
    for (int i = 0; i < n; i++) {
        int place = 0;
        for (int j = 0; j < n; j++) place += ahead(a, h, &s, list[j], list[i]);
        if (place < most) out[place] = list[i];
    }
    return n < most ? n : most;
}

static int survivors_by_definition(const sr_algorithm *a, const sr_evolution *e, const herd *h,
                                   int parents, int *out) {
    int list[HERD_MOST], elite[HERD_MOST] = {0}, n = 0, failed = 1, good = 0;
    for (int i = 0; i < h->n; i++) failed &= isinf(h->member[i].violation) != 0;
    for (int i = 0; i < parents; i++)
        if (failed || !isinf(h->member[i].violation)) list[n++] = i;
    if (e->survival == SR_SURVIVAL_ELITIST && strcmp(a->name, "random") != 0) {
        for (int i = parents; i < h->n; i++) good += !isinf(h->member[i].violation);
        int places = e->population - good > e->elites ? e->population - good : e->elites;
        n = first_of(a, h, list, n, places < e->population ? places : e->population, elite);
        memcpy(list, elite, sizeof list);
    }
    for (int i = parents; i < h->n; i++)
        if (failed || !isinf(h->member[i].violation)) list[n++] = i;
    return first_of(a, h, list, n, e->population, out);
}

static void test_survive(void **state) {
    (void)state;
    static herd h;
    for (int round = 0; round < 2000; round++) {
        const sr_algorithm *a = sr_algorithm_get(round % 4);
        sr_evolution e = word_evolution();
        e.survival = round / 4 % 2 ? SR_SURVIVAL_MU_PLUS_LAMBDA : SR_SURVIVAL_ELITIST;
        e.population = 1 + below(20);
        int parents = below(3) ? e.population : 0;
        if (parents && below(4) == 0) parents = 1 + below(parents);
        int children = a->children(&e, parents > 0), chosen[2 * HERD_MOST], expected[HERD_MOST], n;
        make_parents(&e, parents + children, &h);
        bool all_failed = below(10) == 0;
        for (int i = 0; i < h.n; i++)
            if (all_failed) h.member[i].violation = INFINITY;
        OK(a->survive(ctx, &e, h.member, parents, children, chosen, &n));
        assert_int_equal(n, survivors_by_definition(a, &e, &h, parents, expected));
        assert_true(n >= 1);
        assert_memory_equal(chosen, expected, (size_t)n * sizeof *chosen);
    }
    int chosen[1], n = 9;
    sr_evolution e = word_evolution();
    OK(sr_algorithm_find("nsga2")->survive(ctx, &e, h.member, 0, 0, chosen, &n));
    assert_int_equal(n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_children),
        cmocka_unit_test(test_draws),      cmocka_unit_test(test_propose),
        cmocka_unit_test(test_tournament), cmocka_unit_test(test_firefly),
        cmocka_unit_test(test_survive),
    };
    ctx = sartor_context_create();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sartor_context_destroy(&ctx);
    return failed;
}
