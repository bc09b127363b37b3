/* What growth puts into new entries, number by number. The other tests of growth see that the
 * function stays and that what is new learns, which several fillings would allow. */
#include "context_tools.h"
#include "growth_tools.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t size_of(const sr_param *p) { return p->rows * p->cols; }

/* Gains, and other constants that multiply a coordinate: new ones are the mean of the old ones. */
static void test_gains_are_means(void **state) {
    (void)state;
    static const struct {
        const char *arch, *request, *name;
    } cases[] = {
        {"SA-1", "width=+3", "norm.gain"},
        {"SA-1", "width=+3", "liv.0.norm.gain"},
        {"Rec-1", "channels=+3", "liv.0.D"},
        {"Mamba-2", "heads=+2", "liv.0.D"},
        {"Mamba-2", "heads=+2", "liv.0.out_norm.gain"},
        {"Mamba-2", "value=+3", "liv.0.out_norm.gain"},
        {"GLA", "value=+3", "liv.0.out_norm.gain"},
        {"GDN", "value=+3", "liv.0.head_norm.gain"},
        {"RWKV-6", "heads=+2", "liv.0.head_norm.gain"},
        {"RWKV-6", "value=+3", "liv.0.head_norm.gain"},
        {"GConv-2", "rank=+3", "liv.0.filter.in.freq"},
        {"GConv-2", "rank=+3", "liv.0.filter.1.freq"},
        {"Hyena", "rank=+3", "liv.0.filter.freq"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, cases[i].arch, &growth_sizes);
        sr_growth *g = growth_must(ctx, m, cases[i].arch, cases[i].request, false);
        const sr_param *old = &m->schema.param[growth_param(&m->schema, cases[i].name)];
        const int param = growth_param(&g->to->schema, cases[i].name);
        const sr_param *new = &g->to->schema.param[param];
        double sum = 0;
        for (int64_t k = 0; k < size_of(old); k++) sum += (double)m->params[old->offset + k];
        const float mean = (float)(sum / (double)size_of(old));
        int64_t place[SR_MAX_AXES], fresh = 0;
        for (int64_t k = 0; k < size_of(new); k++) {
            if (growth_new_axes(g, param, k, place) == 0) continue;
            fresh++;
            if (g->to->params[new->offset + k] != mean)
                fail_msg("%s, %s: %s[%d] is %g, the mean %g", cases[i].arch, cases[i].request,
                         cases[i].name, (int)k, (double)g->to->params[new->offset + k],
                         (double)mean);
        }
        assert_int_equal(fresh, size_of(new) - size_of(old));
        assert_true(fresh > 0);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

static const float *values(const sr_model *m, const char *name, int64_t *n) {
    const sr_param *p = &m->schema.param[growth_param(&m->schema, name)];
    *n = size_of(p);
    return m->params + p->offset;
}

/* Where a new LIV copies one that grows as well, it has what that one has of old numbers: also
 * the means among gains, and the second of two equal heads. */
static void test_new_livs_take_what_is_old(void **state) {
    (void)state;
    static const struct {
        const char *arch, *request, *new, *old;
    } cases[] = {
        {"SA-1", "width=+4 livs=SA-1@end", "liv.1.norm.gain", "liv.0.norm.gain"},
        {"Rec-1", "channels=+3 livs=Rec-1@end", "liv.1.D", "liv.0.D"},
        {"SA-4", "kv-heads=4 livs=SA-4@end", "liv.1.k.weight", "liv.0.k.weight"},
        {"SA-1-Diff", "livs=SA-1-Diff@end", "liv.1.b.q.weight", "liv.0.b.q.weight"},
        {"SA-1", "key=9 rotation=extend livs=SA-1@end", "liv.1.rope.freq", "liv.0.rope.freq"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t n, same;
        sr_model *m = growth_model(ctx, cases[i].arch, &growth_sizes);
        sr_growth *g = growth_must(ctx, m, cases[i].arch, cases[i].request, false);
        const float *a = values(g->to, cases[i].new, &n), *b = values(g->to, cases[i].old, &same);
        assert_int_equal(n, same);
        assert_memory_equal(a, b, (size_t)n * sizeof *a);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

static double root_mean_square(const float *x, int64_t n) {
    double squares = 0;
    for (int64_t k = 0; k < n; k++) squares += (double)x[k] * (double)x[k];
    return sqrt(squares / (double)n);
}

/* What is new in a LIV that is copied is drawn anew for the copy, as large as trained weights; a
 * LIV whose class has become another one is not copied. */
static void test_new_livs_draw_the_rest(void **state) {
    (void)state;
    int64_t n, old;
    sr_model *m = growth_model(ctx, "GMemless", &growth_sizes);
    sr_growth *g = growth_must(ctx, m, "a copy", "ff=+16 livs=GMemless@end", false);
    const float *trained = values(m, "liv.0.gate.weight", &old),
                *copy = values(g->to, "liv.1.gate.weight", &n);
    const double size = root_mean_square(trained, old);
    assert_true(fabs(root_mean_square(copy + old, n - old) / size - 1) < 0.3);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);

    m = growth_model(ctx, "SA-1 GEGLU", &growth_sizes);
    g = growth_must(ctx, m, "no copy", "to=1.1.1.1.1-70.1.1.1.1-85.1.1.1.1 ff=+8", false);
    const float *experts = values(g->to, "liv.1.gate.weight", &old),
                *dense = values(g->to, "liv.2.gate.weight", &n);
    assert_true(n < old);
    assert_memory_not_equal(dense, experts, (size_t)n * sizeof *dense);
    assert_true(fabs(root_mean_square(dense, n) / 0.02 - 1) < 0.3);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

/* A tensor of zeros does not say how large weights are: new ones are those of a new model, where
 * the others' zeros would let nothing learn. */
static void test_zeros_have_no_size(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "Mamba-2", &growth_sizes);
    const sr_param *old = &m->schema.param[growth_param(&m->schema, "liv.0.out.weight")];
    memset(m->params + old->offset, 0, (size_t)size_of(old) * sizeof *m->params);
    sr_growth *g = growth_must(ctx, m, "Mamba-2", "heads=+2", false);
    const int param = growth_param(&g->to->schema, "liv.0.out.weight");
    const sr_param *new = &g->to->schema.param[param];
    /* nothing else than the new entries is there */
    const double share = (double)(size_of(new) - size_of(old)) / (double)size_of(new),
                 size = root_mean_square(g->to->params + new->offset, size_of(new)) / sqrt(share);
    assert_true(fabs(size / new->init.a - 1) < 0.3);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

/* ---- beside the weights ---- */

static const struct {
    const char *arch, *request;
} several[] = {{"SA-3 Rec-1 GMemless", "width=+3 ff=+1 state=+2 heads=+4 livs=SA-1@1"},
               {"SA-4 GMemless", "kv-heads=4 ff=+2"},
               {"GLA RWKV-6", "value=+2 key=+1 heads=+2"},
               {"SA-1 GEGLU", "to=1.1.1.1.1-70.1.1.1.1-5.1.1.1.1"}};
enum { SEVERAL = sizeof several / sizeof *several };

/* Old entries keep the generation they had, and the moments; of several equal ones the first alone
 * is old, also on the way back. */
static void test_old_generations(void **state) {
    (void)state;
    enum { NOW = 9 };
    for (int i = 0; i < SEVERAL; i++) {
        sr_model *m = growth_model(ctx, several[i].arch, &growth_sizes);
        sr_growth *g = growth_must(ctx, m, several[i].arch, several[i].request, false);
        const size_t n = (size_t)m->schema.elements, grown = (size_t)g->to->schema.elements;
        uint8_t *from = calloc(n, 1), *to = calloc(grown, 1), *back = calloc(n, 1);
        float *old = calloc(n, sizeof *old), *moment = calloc(grown, sizeof *moment),
              *first = calloc(n, sizeof *first);
        size_t fresh = 0;
        for (size_t k = 0; k < n; k++) {
            from[k] = (uint8_t)(k % 7);
            old[k] = (float)(k + 1);
        }
        sr_growth_generations(g, from, NOW, to);
        sr_growth_shrink_generations(g, to, back);
        sr_growth_moments(g, old, moment);
        sr_growth_shrink(g, moment, first);
        for (size_t k = 0; k < grown; k++) {
            fresh += to[k] == NOW;
            assert_int_equal(to[k] == NOW, moment[k] == 0);
            /* an entry's generation is that of the entry whose moment it has */
            if (moment[k] != 0) assert_int_equal(to[k], ((size_t)moment[k] - 1) % 7);
        }
        for (int p = 0; p < m->schema.count; p++) {
            const sr_param *t = &m->schema.param[p];
            if (!t->trained) continue; /* a table that another one takes the place of */
            const size_t bytes = (size_t)size_of(t);
            assert_memory_equal(back + t->offset, from + t->offset, bytes);
            assert_memory_equal(first + t->offset, old + t->offset, bytes * sizeof *old);
        }
        assert_true(fresh > 0);
        free(from);
        free(to);
        free(back);
        free(old);
        free(moment);
        free(first);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

/* What is told of a tensor: its new entries, and how many of them are zero. */
static void test_counts(void **state) {
    (void)state;
    for (int i = 0; i < SEVERAL; i++) {
        sr_model *m = growth_model(ctx, several[i].arch, &growth_sizes);
        sr_growth *g = growth_must(ctx, m, several[i].arch, several[i].request, false);
        uint8_t *entry = growth_entries(g), *generation = calloc((size_t)g->to->schema.elements, 1);
        int64_t all = 0;
        sr_growth_generations(g, NULL, 1, generation);
        for (int p = 0; p < g->to->schema.count; p++) {
            const sr_param *t = &g->to->schema.param[p];
            const sr_growth_change c = sr_growth_of(g, p);
            int64_t zero = 0, fresh = 0;
            for (int64_t k = t->offset; k < t->offset + size_of(t); k++) {
                zero += entry[k] == GROWTH_ZERO;
                fresh += generation[k];
            }
            assert_int_equal(c.entries, size_of(t));
            assert_int_equal(c.fresh, fresh);
            assert_int_equal(c.zero, zero);
            all += zero;
        }
        assert_true(all > 0);
        free(entry);
        free(generation);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

/* ---- growth that is not exact ---- */

/* Growth that changes the function adds no more than it must: one side of a new coordinate is zero
 * there too, the other free. */
static void test_approximate_growth(void **state) {
    (void)state;
    static const struct {
        const char *arch, *request, *name;
        growth_entry entry;
    } cases[] = {
        {"GDN", "key=+3", "liv.0.k.weight", GROWTH_ZERO},
        {"GDN", "key=+3", "liv.0.q.weight", GROWTH_FREE},
        {"Hyena", "channels=+16", "liv.0.out.weight", GROWTH_ZERO},
        {"Hyena", "channels=+16", "liv.0.filter.out.weight", GROWTH_FREE},
        {"MH-Hyena", "channels=+16", "liv.0.out.weight", GROWTH_ZERO},
        {"MH-Hyena", "heads=+2", "liv.0.filter.out.weight", GROWTH_FREE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, cases[i].arch, &growth_sizes);
        sr_growth *g = growth_must(ctx, m, cases[i].arch, cases[i].request, true);
        uint8_t *entry = growth_entries(g);
        const int param = growth_param(&g->to->schema, cases[i].name);
        const sr_param *p = &g->to->schema.param[param];
        int64_t place[SR_MAX_AXES], fresh = 0;
        assert_false(g->exact);
        for (int64_t k = 0; k < size_of(p); k++) {
            if (growth_new_axes(g, param, k, place) == 0) continue;
            fresh++;
            if (entry[p->offset + k] != cases[i].entry)
                fail_msg("%s, %s: %s[%d] is of kind %d", cases[i].arch, cases[i].request, p->name,
                         (int)k, entry[p->offset + k]);
            assert_int_equal(g->to->params[p->offset + k] == 0, cases[i].entry == GROWTH_ZERO);
        }
        assert_true(fresh > 0);
        free(entry);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

/* Growth with the seed that the model began with does not draw the same numbers again: those of row
 * 2 r + 1, say, for the new half of row r of a matrix that becomes twice as wide. */
static void test_numbers_are_new(void **state) {
    (void)state;
    enum { SEED = 3 };
    sr_model *m = growth_model(ctx, "GMemless", &growth_sizes);
    sr_model_init(m, SEED);
    sr_growth *g = growth_must(ctx, m, "numbers", "width=+16", false);
    assert_int_equal(g->to->sizes.width, 2 * m->sizes.width);
    sr_growth_fill(g, SEED);
    const float *old =
        m->params + m->schema.param[growth_param(&m->schema, "liv.0.gate.weight")].offset;
    const sr_param *p = &g->to->schema.param[growth_param(&g->to->schema, "liv.0.gate.weight")];
    const float *new = g->to->params + p->offset;
    const int64_t n = m->sizes.width;
    double aa = 0, ab = 0, bb = 0;
    for (int64_t r = 0; 2 * r + 1 < p->rows; r++)
        for (int64_t c = 0; c < n; c++) {
            const double a = (double)new[2 * r * n + n + c], b = (double)old[(2 * r + 1) * n + c];
            aa += a * a, ab += a * b, bb += b * b;
        }
    assert_true(aa > 0 && bb > 0);
    assert_true(fabs(ab / sqrt(aa * bb)) < 5 / sqrt((double)(p->rows / 2 * n)));
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gains_are_means, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_new_livs_take_what_is_old, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_new_livs_draw_the_rest, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_zeros_have_no_size, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_numbers_are_new, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_old_generations, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_counts, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_approximate_growth, make_context, free_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
