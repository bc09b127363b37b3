/* Heads and the rotation of their keys: how many there are after a growth, how their pairs turn,
 * and that a second growth keeps what the first has chosen. */
#include "context_tools.h"
#include "growth_tools.h"

#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t size_of(const sr_param *p) { return p->rows * p->cols; }

/* Old pairs turn as they did; of a spread table the new ones turn as in a new model of that size,
 * of an extended one ever more slowly, by the ratio of the last two. */
static void test_rotations(void **state) {
    (void)state;
    static const struct {
        const char *arch, *request, *table;
        int64_t pairs;
    } cases[] = {
        {"SA-1", "key=12 rotation=spread", "rope.12.freq", 6},
        {"SA-1", "key=9 rotation=extend", "liv.0.rope.freq", 4},
        {"SA-1", "key=9 rotation=none", "liv.0.rope.freq", 2},
    };
    int64_t n;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, cases[i].arch, &growth_sizes);
        sr_growth *g = growth_must(ctx, m, cases[i].arch, cases[i].request, false);
        const float *table = growth_tensor(g->to, cases[i].table, &n);
        assert_int_equal(n, cases[i].pairs);
        for (int64_t k = 0; k < n; k++) {
            /* of 4 channels: 1, 1/100; of 12: 10000^(-k/6) */
            const double expected = n == 6 ? pow(10000, -(double)k / 6) : pow(100, -(double)k);
            if (!(fabs((double)table[k] / expected - 1) < 1e-6))
                fail_msg("%s: pair %d turns by %g, not %g", cases[i].request, (int)k,
                         (double)table[k], expected);
        }
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
    /* a single pair goes on with the ratio of its base, and a grown table with its own */
    sr_sizes sizes = growth_sizes;
    sizes.head_dim = 2;
    sr_model *m = growth_model(ctx, "SA-1", &sizes);
    sr_growth *g = growth_must(ctx, m, "one pair", "key=4 rotation=extend", false),
              *again = growth_must(ctx, g->to, "one pair", "key=+2", false);
    const float *table = growth_tensor(again->to, "liv.0.rope.freq", &n);
    assert_int_equal(n, 3);
    for (int64_t k = 0; k < n; k++)
        assert_true(fabs((double)table[k] / pow(1e-4, (double)k) - 1) < 1e-6);
    sr_growth_destroy(&again);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

/* What a request makes of the first LIV. */
static sr_unit_sizes sizes_after(const char *arch, const char *request) {
    sr_model *m = growth_model(ctx, arch, &growth_sizes);
    sr_growth *g = growth_must(ctx, m, arch, request, false);
    const sr_unit_sizes u = g->to->units[0].size;
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
    return u;
}

/* Where each query head has its own keys, both grow; in groups queries alone do. */
static void test_keys_follow(void **state) {
    (void)state;
    sr_unit_sizes u = sizes_after("SA-1", "heads=+1");
    assert_int_equal(u.axis[SR_AXIS_HEAD], 5);
    assert_int_equal(u.axis[SR_AXIS_KV_HEAD], 5);
    u = sizes_after("SA-1", "heads=+4");
    assert_int_equal(u.axis[SR_AXIS_KV_HEAD], 8);
    u = sizes_after("SA-1", "heads=+4 kv-heads=8");
    assert_int_equal(u.axis[SR_AXIS_KV_HEAD], 8);
    u = sizes_after("SA-4", "heads=+4");
    assert_int_equal(u.axis[SR_AXIS_KV_HEAD], 2);
}

/* Pairs spread where they can, and otherwise the table is extended. */
static void test_usual_rotation(void **state) {
    (void)state;
    assert_int_equal(sizes_after("SA-1", "key=8").pairs, 0);
    assert_int_equal(sizes_after("SA-1", "key=12").pairs, 0);
    assert_int_equal(sizes_after("SA-1", "key=9").pairs, 4);
    assert_int_equal(sizes_after("SA-1", "key=10").pairs, 5);
    assert_int_equal(sizes_after("SA-1", "key=10 rotation=none").pairs, 2);
    /* keys that do not grow keep the model's table */
    assert_int_equal(sizes_after("SA-1", "value=+1 rotation=extend").pairs, 0);
}

/* New channels of the first growth have been trained when the second one comes. */
static void train(sr_model *m) {
    const sr_rng rng = {31, SR_FOR_TEST, 0};
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        for (int64_t k = p->offset; p->trained && k < p->offset + size_of(p); k++)
            m->params[k] += (float)(0.3 * sr_rng_normal(rng, (uint64_t)k));
    }
}

static void test_twice(void **state) {
    (void)state;
    static const struct {
        const char *first, *second;
        int64_t pairs; /* of the unit's own table in the end; 0: the model's */
    } cases[] = {
        {"key=8 rotation=extend", "key=16", 8},
        {"key=8 rotation=extend", "key=16 rotation=none", 4},
        {"key=8 rotation=none", "key=16", 2},
        {"key=9", "key=11", 4},
        {"key=9", "key=18", 4},
        {"key=8 rotation=extend", "key=11", 5},
        {"key=8 rotation=none", "key=9 rotation=none", 2},
        {"key=8 rotation=none", "ff=+1", 2},
        {"key=9 rotation=extend", "heads=+1", 4},
        {"key=8", "key=16", 0},
        {"key=8", "key=9", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, "SA-1 GMemless", &growth_sizes);
        sr_growth *first = growth_must(ctx, m, "first", cases[i].first, false);
        train(first->to);
        sr_growth *second = growth_must(ctx, first->to, "second", cases[i].second, false);
        const growth_difference d = growth_compare(ctx, first->to, second->to, SR_TRUTH_F64);
        const int64_t pairs = second->to->units[0].size.pairs;
        if (d.worst != 0 || pairs != cases[i].pairs)
            fail_msg("%s, then %s: %d pairs, logits differ by %g", cases[i].first, cases[i].second,
                     (int)pairs, d.worst);
        sr_growth_destroy(&second);
        sr_growth_destroy(&first);
        sr_model_destroy(&m);
    }
}

/* A new LIV of another class is that of the nearest width at which heads are whole. */
static void test_nearest_width(void **state) {
    (void)state;
    static const struct {
        const char *request;
        int64_t heads;
    } cases[] = {{"width=17 livs=SA-2@end", 4}, {"width=19 livs=SA-2@end", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, "SA-1", &growth_sizes);
        sr_growth *g = growth_must(ctx, m, "nearest", cases[i].request, false);
        assert_int_equal(g->to->units[1].size.axis[SR_AXIS_HEAD], cases[i].heads);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

static void test_refused_rotations(void **state) {
    (void)state;
    static const struct {
        const char *first, *second, *says;
    } cases[] = {
        {"key=8 rotation=extend", "key=16 rotation=spread", "spread to a multiple"},
        {"key=8 rotation=none", "key=16 rotation=extend", "not all of its 8 channels are rotated"},
        {"key=9", "key=11 rotation=extend", "not all of its 9 channels are rotated"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, "SA-1 GMemless", &growth_sizes);
        sr_growth *first = growth_must(ctx, m, "first", cases[i].first, false);
        assert_null(growth_of(ctx, first->to, cases[i].second, false));
        if (strstr(sartor_error(ctx), cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].second, sartor_error(ctx));
        sr_growth_destroy(&first);
        sr_model_destroy(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keys_follow, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_rotations, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_usual_rotation, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_twice, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_nearest_width, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_refused_rotations, make_context, free_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
