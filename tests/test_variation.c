/* Sampling, crossover, mutation and distance of genomes, and STAR's search space over them.
 *
 * Rates are compared with what follows from the rules, within about four standard deviations; the
 * seeds are fixed, so a test gives the same answer every time. */
#include "genome/variation.h"

#include "search/star.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;
static sr_rng rng = {11, SR_FOR_TEST, 0};
static uint64_t next;
static sr_genome a, b, c, d;
static int repaired;

static void parse(const char *s, sr_genome *g) {
    if (sr_genome_parse(ctx, s, strlen(s), g) != SARTOR_OK)
        fail_msg("%s: %s", s, sartor_error(ctx));
}

static void assert_near(double x, double expected, double tolerance) {
    if (!(fabs(x - expected) <= tolerance))
        fail_msg("%g is not %g within %g", x, expected, tolerance);
}

/* A share of n trials against its probability. */
static void assert_rate(int count, int n, double p) {
    assert_near((double)count / n, p, 4.2 * sqrt(p * (1 - p) / n));
}

static void assert_same(const sr_genome *x, const sr_genome *y) {
    assert_true(sr_genome_equal(x, y));
}

static sr_pool pool_of(int first, int second) {
    sr_pool pool = {{false}};
    pool.has[first] = pool.has[second] = true;
    return pool;
}

/* Valid, and repair finds nothing to do. */
static void assert_finished(const sr_genome *g, const sr_pool *pool) {
    sr_repairs r;
    if (sr_genome_check(ctx, g, pool) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    d = *g;
    assert_int_equal(sr_genome_repair(ctx, &d, pool, 1, &r), SARTOR_OK);
    assert_int_equal(r.classes + r.labels + r.strategies + r.dissolved, 0);
    assert_same(&d, g);
}

static int shares_weights(const sr_genome *g) {
    int n = 0;
    for (int i = 0; i < g->n; i++) n += g->liv[i].featurizer_strategy == 2;
    return n;
}
static int shares_features(const sr_genome *g) {
    int n = 0;
    for (int i = 0; i < g->n; i++) n += g->liv[i].group_strategy > 1;
    return n;
}

/* Chi-square of counts that should be equal, in standard deviations from its mean. */
static double unevenness(const int *count, int n) {
    double total = 0, x = 0;
    for (int i = 0; i < n; i++) total += count[i];
    for (int i = 0; i < n; i++) x += (count[i] - total / n) * (count[i] - total / n) / (total / n);
    return (x - (n - 1)) / sqrt(2.0 * (n - 1));
}

/* ---- sampling ---- */

static void test_sample_classes(void **state) {
    (void)state;
    sr_pool all = sr_pool_all(), some = pool_of(9, 40);
    int count[SR_POOL_CLASSES] = {0}, two[2] = {0};
    for (int i = 0; i < 4000; i++) {
        sr_genome_sample(&all, 12, rng, &next, &a);
        assert_int_equal(a.n, 12);
        for (int k = 0; k < 12; k++) count[a.liv[k].liv_class - 1]++;
        sr_genome_sample(&some, 5, rng, &next, &a);
        assert_finished(&a, &some);
        for (int k = 0; k < 5; k++) two[a.liv[k].liv_class == 40]++;
    }
    assert_true(fabs(unevenness(count, sr_class_count())) < 3.5);
    assert_rate(two[0], two[0] + two[1], 0.5);
    assert_int_equal(count[sr_class_count()], 0);
}

static void test_sample_valid(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    for (int livs = 1; livs <= 48; livs++)
        for (int i = 0; i < 20; i++) {
            sr_genome_sample(&pool, livs, rng, &next, &a);
            assert_finished(&a, &pool);
        }
    sr_genome_sample(&pool, SR_MAX_LIVS, rng, &next, &a);
    assert_finished(&a, &pool);
}

/* How often LIVs share tells how labels and strategies were drawn. */
static void test_sample_sharing(void **state) {
    (void)state;
    const int n = 30000;
    sr_pool mem = pool_of(9, 9), sa = pool_of(1, 1);
    int gates = 0, weights = 0, k = 0, both = 0, first_two = 0;
    for (int i = 0; i < n; i++) {
        sr_genome_sample(&mem, 2, rng, &next, &a); /* one label, two strategies of each kind */
        weights += shares_weights(&a) == 2;
        gates += shares_features(&a) == 2;
        sr_genome_sample(&sa, 2, rng, &next, &a);
        k += (a.liv[0].group_strategy - 1) & 1;
        both += a.liv[0].group_strategy == 4;
        sr_genome_sample(&mem, 4, rng, &next, &a); /* two labels */
        first_two += a.liv[0].featurizer_strategy == 2 && a.liv[1].featurizer_strategy == 2 &&
                     a.liv[0].featurizer_label == a.liv[1].featurizer_label;
    }
    assert_rate(weights, n, 0.25);
    assert_rate(gates, n, 0.25);
    assert_rate(k, n, 0.25);
    assert_rate(both, n, 1.0 / 16);
    assert_rate(first_two, n, 0.125);
}

/* A LIV that is cut off from its partner is set back, and that is counted. */
static void test_cross_counts_repairs(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    parse("1.1.2.1.1-1.1.2.1.1", &a);
    parse("9.1.1.1.1-7.1.1.1.1", &b);
    repaired = 0;
    sr_genome_cross(&a, &b, &pool, rng, &next, &c, &repaired);
    assert_int_equal(repaired, 1);
    repaired = 0;
    sr_genome_cross(&b, &b, &pool, rng, &next, &c, &repaired);
    assert_int_equal(repaired, 0);
}

static void test_determinism(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    uint64_t at = 5, again = 5, other = 6;
    sr_genome_sample(&pool, 12, rng, &at, &a);
    sr_genome_sample(&pool, 12, rng, &again, &b);
    assert_same(&a, &b);
    assert_int_equal(at, again);
    assert_true(at > 5);
    sr_genome_sample(&pool, 12, rng, &other, &c);
    assert_false(sr_genome_equal(&a, &c));
    assert_int_equal(sr_genome_mutate(&a, &pool, 0.5, rng, &at),
                     sr_genome_mutate(&b, &pool, 0.5, rng, &again));
    assert_same(&a, &b);
    assert_int_equal(at, again);
    sr_genome x;
    sr_genome_cross(&a, &c, &pool, rng, &at, &x, &repaired);
    sr_genome_cross(&b, &c, &pool, rng, &again, &d, &repaired);
    assert_same(&x, &d);
    assert_int_equal(at, again);
}

/* ---- crossover ---- */

/* Parents that share nothing and differ everywhere: the child shows the cuts. */
static void test_cross_cuts(void **state) {
    (void)state;
    enum { N = 6, SEGMENTS = N * (N + 1) / 2 - 1 };
    sr_pool pool = sr_pool_paper();
    int count[N][N + 1] = {{0}}, seen[SEGMENTS], n = 0;
    parse("(GConv-1)x6", &a);
    parse("(GMemless)x6", &b);
    for (int i = 0; i < 20000; i++) {
        sr_genome_cross(&a, &b, &pool, rng, &next, &c, &repaired);
        assert_int_equal(c.n, N);
        int from = 0, to = N;
        while (from < N && c.liv[from].liv_class == 7) from++;
        while (to > from && c.liv[to - 1].liv_class == 7) to--;
        for (int k = from; k < to; k++) assert_int_equal(c.liv[k].liv_class, 9);
        assert_in_range(to - from, 1, N - 1);
        count[from][to]++;
    }
    for (int from = 0; from < N; from++)
        for (int to = from + 1; to <= N; to++)
            if (to - from < N) seen[n++] = count[from][to];
    assert_int_equal(n, SEGMENTS);
    assert_true(fabs(unevenness(seen, n)) < 3.5);
}

static void test_cross_short(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    int second = 0, first[2] = {0};
    for (int i = 0; i < 4000; i++) {
        parse("GConv-1", &a);
        parse("GMemless", &b);
        sr_genome_cross(&a, &b, &pool, rng, &next, &c, &repaired);
        assert_int_equal(c.n, 1);
        second += c.liv[0].liv_class == 9;
        parse("GConv-1 GConv-1", &a);
        parse("GMemless GMemless", &b);
        sr_genome_cross(&a, &b, &pool, rng, &next, &c, &repaired);
        assert_int_not_equal(c.liv[0].liv_class, c.liv[1].liv_class);
        first[c.liv[0].liv_class == 9]++;
    }
    assert_rate(second, 4000, 0.5);
    assert_rate(first[1], 4000, 0.5);
}

/* Any child is the canonical form of some splice of its parents. */
static void test_cross_is_a_splice(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    for (int i = 0; i < 300; i++) {
        sr_genome_sample(&pool, 8, rng, &next, &a);
        sr_genome_sample(&pool, 8, rng, &next, &b);
        sr_genome_cross(&a, &b, &pool, rng, &next, &c, &repaired);
        assert_finished(&c, &pool);
        bool found = false;
        for (int from = 0; from < 8; from++)
            for (int to = from + 1; to <= 8; to++) {
                d = a;
                for (int k = from; k < to; k++) d.liv[k] = b.liv[k];
                sr_genome_canonical(&d);
                found = found || (to - from < 8 && sr_genome_equal(&c, &d));
            }
        assert_true(found);
    }
}

/* Groups of the parents that carry one label become one group. */
static void test_cross_merges_groups(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    bool merged = false;
    parse("9.1.2.1.1-9.1.2.1.1-7.1.1.1.1-7.1.1.1.1", &a);
    parse("7.1.1.1.1-7.1.1.1.1-9.1.2.1.1-9.1.2.1.1", &b);
    for (int i = 0; i < 200; i++) {
        sr_genome_cross(&a, &b, &pool, rng, &next, &c, &repaired);
        merged = merged || shares_weights(&c) == 4;
    }
    assert_true(merged);
}

/* ---- mutation ---- */

static void test_mutate_nothing(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    for (int i = 0; i < 300; i++) {
        sr_genome_sample(&pool, 12, rng, &next, &a);
        b = a;
        assert_int_equal(sr_genome_mutate(&b, &pool, 0, rng, &next), 0);
        assert_same(&a, &b);
    }
}

static void test_mutate_counts(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    const int n = 3000;
    int classes = 0, total = 0;
    for (int i = 0; i < n; i++) {
        sr_genome_sample(&pool, 12, rng, &next, &a);
        b = a;
        int changed = sr_genome_mutate(&b, &pool, 0.1, rng, &next), differ = 0;
        assert_finished(&b, &pool);
        for (int k = 0; k < 12; k++) {
            const sr_gene *x = &a.liv[k], *y = &b.liv[k];
            classes += x->liv_class != y->liv_class;
            differ += (x->liv_class != y->liv_class) +
                      (x->featurizer_label != y->featurizer_label) +
                      (x->featurizer_strategy != y->featurizer_strategy) +
                      (x->group_label != y->group_label) + (x->group_strategy != y->group_strategy);
        }
        assert_int_equal(changed, differ);
        total += changed;
    }
    assert_rate(classes, n * 12, 0.1 * 16 / 17);
    assert_true(total > classes);
}

/* One class and one label: only the two strategies matter, each drawn anew with probability r. The
 * three spellings of "nothing shared" are equally likely before. */
static void test_mutate_rates(void **state) {
    (void)state;
    const int n = 20000;
    const double r = 0.1, flip = r / 2;
    sr_pool pool = pool_of(9, 9);
    int made[2] = {0}, kept[2] = {0};
    for (int i = 0; i < n; i++) {
        parse("9.1.1.1.1-9.1.1.1.1", &a);
        sr_genome_mutate(&a, &pool, r, rng, &next);
        made[0] += shares_weights(&a) == 2;
        made[1] += shares_features(&a) == 2;
        parse("9.1.2.1.2-9.1.2.1.2", &a);
        sr_genome_mutate(&a, &pool, r, rng, &next);
        kept[0] += shares_weights(&a) == 2;
        kept[1] += shares_features(&a) == 2;
    }
    for (int k = 0; k < 2; k++) {
        assert_rate(made[k], n, flip * flip / 3 + 2.0 / 3 * flip * (1 - flip));
        assert_rate(kept[k], n, (1 - flip) * (1 - flip));
    }
}

/* Four LIVs, all in one group, labels 1 and 2: the pair (1, 2) stays together when both strategies
 * stay and the labels agree. A label moves to the other value with probability r / 2. */
static void test_mutate_labels(void **state) {
    (void)state;
    const int n = 20000;
    const double r = 0.2, flip = r / 2;
    sr_pool pool = pool_of(9, 9);
    int weights = 0, gates = 0;
    for (int i = 0; i < n; i++) {
        parse("9.1.2.1.2-9.1.2.1.2-9.1.2.1.2-9.1.2.1.2", &a);
        sr_genome_mutate(&a, &pool, r, rng, &next);
        const sr_gene *x = &a.liv[0], *y = &a.liv[1];
        weights += x->featurizer_strategy == 2 && y->featurizer_strategy == 2 &&
                   x->featurizer_label == y->featurizer_label;
        gates +=
            x->group_strategy == 2 && y->group_strategy == 2 && x->group_label == y->group_label;
    }
    double agree = (1 - flip) * (1 - flip) + flip * flip;
    assert_rate(weights, n, (1 - flip) * (1 - flip) * agree);
    assert_rate(gates, n, (1 - flip) * (1 - flip) * agree);
}

static void test_mutate_new_class(void **state) {
    (void)state;
    const int n = 40000;
    sr_pool pool = pool_of(63, 64);
    int both = 0, share = 0;
    for (int i = 0; i < n; i++) {
        parse("63.1.2.1.1-63.1.2.1.1", &a);
        sr_genome_mutate(&a, &pool, 0.5, rng, &next);
        if (a.liv[0].liv_class != 64 || a.liv[1].liv_class != 64) continue;
        both++;
        share += shares_weights(&a) == 2;
    }
    assert_rate(both, n, 1.0 / 16);
    assert_rate(share, both, 0.25); /* (3/4)^2 if the strategies had stayed */
}

static void test_mutate_everything(void **state) {
    (void)state;
    const int n = 20000;
    sr_pool pool = pool_of(9, 9);
    int share = 0;
    for (int i = 0; i < n; i++) {
        parse("9.1.2.1.2-9.1.2.1.2", &a);
        sr_genome_mutate(&a, &pool, 1, rng, &next);
        share += shares_features(&a) == 2;
    }
    assert_rate(share, n, 0.25);
}

/* Mutation without selection keeps the sharing of sampled genomes. */
static void test_mutate_drift(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    double sampled[2] = {0}, drifted[2] = {0};
    for (int i = 0; i < 5000; i++) {
        sr_genome_sample(&pool, 12, rng, &next, &a);
        sampled[0] += shares_weights(&a) / 60000.0;
        sampled[1] += shares_features(&a) / 60000.0;
    }
    for (int chain = 0; chain < 50; chain++) {
        parse("(GConv-1 GMemless)x6", &a);
        for (int t = 0; t < 100; t++) {
            sr_genome_mutate(&a, &pool, 0.1, rng, &next);
            if (t < 40) continue;
            drifted[0] += shares_weights(&a) / 36000.0;
            drifted[1] += shares_features(&a) / 36000.0;
        }
    }
    assert_near(sampled[0], 0.026, 0.004);
    assert_near(sampled[1], 0.065, 0.006);
    assert_near(drifted[0], sampled[0], 0.3 * sampled[0]);
    assert_near(drifted[1], sampled[1], 0.3 * sampled[1]);
}

/* Classes outside the pool, as in a parent from another study, are moved into it. */
static void test_other_pool(void **state) {
    (void)state;
    sr_pool all = sr_pool_all(), few = pool_of(7, 9);
    for (int i = 0; i < 200; i++) {
        sr_genome_sample(&all, 6, rng, &next, &a);
        sr_genome_sample(&all, 6, rng, &next, &b);
        sr_genome_cross(&a, &b, &few, rng, &next, &c, &repaired);
        assert_finished(&c, &few);
        sr_genome_mutate(&a, &few, 0.1, rng, &next);
        assert_finished(&a, &few);
    }
}

/* ---- distance ---- */

static double distance(const char *x, const char *y) {
    parse(x, &a);
    parse(y, &b);
    double one = sr_genome_distance(&a, &b);
    assert_true(one == sr_genome_distance(&b, &a));
    return one;
}

static void test_distance(void **state) {
    (void)state;
    assert_true(distance("(GConv-1 GMemless)x2", "(GConv-1 GMemless)x2") == 0);
    assert_true(distance("(GConv-1 GMemless)x2", "(GMemless GConv-1)x2") == 1);
    assert_true(distance("SA-1 SA-1 SA-1 SA-1", "SA-1 SA-2 SA-1 SA-1") == 0.25);
    /* labels that share nothing do not count, numbering neither */
    assert_true(distance("9.1.1.1.1-9.1.1.1.1", "9.3.2.1.2-9.2.2.4.1") == 0);
    assert_true(distance("9.1.2.1.1-9.1.2.1.1", "9.7.2.1.1-9.7.2.1.1") == 0);
    /* both partners of a pair differ */
    assert_true(distance("(GMemless)x4", "9.1.2.1.1-9.1.1.1.1-9.1.2.1.1-9.1.1.1.1") == 0.5);
    assert_true(distance("1.1.1.1.2-1.1.1.1.2", "1.1.1.1.3-1.1.1.1.3") == 1); /* K, V */
    /* a third member is new to both others */
    assert_true(distance("9.1.2.1.1-9.1.2.1.1-9.1.2.1.1-9.1.1.1.1",
                         "9.1.2.1.1-9.1.2.1.1-9.1.1.1.1-9.1.1.1.1") == 0.75);
    sr_pool pool = sr_pool_paper();
    for (int i = 0; i < 300; i++) {
        sr_genome_sample(&pool, 10, rng, &next, &a);
        b = a;
        sr_genome_mutate(&b, &pool, 0.1, rng, &next);
        double x = sr_genome_distance(&a, &b);
        assert_true(x >= 0 && x <= 1 && x == sr_genome_distance(&b, &a));
        assert_true((x == 0) == sr_genome_equal(&a, &b));
    }
}

/* ---- the space ---- */

static void test_space(void **state) {
    (void)state;
    sr_star star = {.pool = sr_pool_paper(), .livs = 6, .sizes = "width=64"}, wider = star;
    snprintf(wider.sizes, sizeof wider.sizes, "width=128");
    sr_space space = sr_star_space(&star), other = sr_star_space(&wider);
    assert_int_equal(space.bytes, sizeof(sr_genome));
    sr_draw draw = {rng, 0, 0};
    for (int i = 0; i < 50; i++) {
        char id[SR_HASH_TEXT], same[SR_HASH_TEXT], wide[SR_HASH_TEXT];
        space.sample(&space, &draw, &a);
        char *text = space.print(&space, &a);
        assert_non_null(text);
        assert_int_equal(space.parse(ctx, &space, text, &b), SARTOR_OK);
        free(text);
        assert_same(&a, &b);
        space.identity(&space, &a, id);
        sr_arch_id(&a, "width=64", same);
        other.identity(&other, &a, wide);
        assert_string_equal(id, same);
        assert_string_not_equal(id, wide);
        space.sample(&space, &draw, &b);
        space.cross(&space, &draw, &a, &b, &c);
        space.mutate(&space, &draw, 0.2, &c);
        assert_finished(&c, &star.pool);
        assert_true(space.distance(&space, &a, &b) == sr_genome_distance(&a, &b));
    }
    static const char *const wrong[] = {"(GMemless)x5", "(LA-1)x6", "(GMemless)x6 nothing", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(space.parse(ctx, &space, wrong[i], &a), SARTOR_INVALID);
    assert_int_equal(space.parse(ctx, &space, "9.3.1.1.1-(GMemless)x5", &a), SARTOR_INVALID);
    assert_int_equal(
        space.parse(ctx, &space, "9.3.1.1.1-9.3.2.1.1-9.3.2.1.1-9.1.1.1.1-9.1.1.1.1-9.2.2.1.1", &a),
        SARTOR_OK);
    assert_finished(&a, &star.pool); /* canonical */
}

static void test_approach(void **state) {
    (void)state;
    const int n = 3000;
    sr_star star = {.pool = sr_pool_paper(), .livs = 8, .sizes = ""};
    sr_space space = sr_star_space(&star);
    sr_draw draw = {rng, 0, 0};
    int taken = 0;
    for (int i = 0; i < n; i++) {
        space.sample(&space, &draw, &a);
        space.sample(&space, &draw, &b);
        c = a;
        space.approach(&space, &draw, 0, &b, &c);
        assert_same(&a, &c);
        space.approach(&space, &draw, 1, &b, &c);
        assert_same(&b, &c);
        parse("(GConv-1)x8", &a);
        parse("(GMemless)x8", &b);
        space.approach(&space, &draw, 0.3, &b, &a);
        for (int k = 0; k < 8; k++) taken += a.liv[k].liv_class == 9;
    }
    assert_rate(taken, n * 8, 0.3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_classes),
        cmocka_unit_test(test_sample_valid),
        cmocka_unit_test(test_sample_sharing),
        cmocka_unit_test(test_cross_counts_repairs),
        cmocka_unit_test(test_determinism),
        cmocka_unit_test(test_cross_cuts),
        cmocka_unit_test(test_cross_short),
        cmocka_unit_test(test_cross_is_a_splice),
        cmocka_unit_test(test_cross_merges_groups),
        cmocka_unit_test(test_mutate_nothing),
        cmocka_unit_test(test_mutate_counts),
        cmocka_unit_test(test_mutate_rates),
        cmocka_unit_test(test_mutate_labels),
        cmocka_unit_test(test_mutate_new_class),
        cmocka_unit_test(test_mutate_everything),
        cmocka_unit_test(test_mutate_drift),
        cmocka_unit_test(test_other_pool),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_space),
        cmocka_unit_test(test_approach),
    };
    ctx = sartor_context_create();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sartor_context_destroy(&ctx);
    return failed;
}
