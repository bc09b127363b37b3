/* What new LIVs of a grown model begin with, and that they change nothing: drawn in the size of
 * trained weights, copies of old LIVs of their class and as large, silent or stacked. */
#include "context_tools.h"
#include "growth_tools.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* New LIVs of every class, at the start, in the middle and at the end. */
static void test_new_livs(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "SA-1 GMemless", &growth_sizes);
    for (int c = 1; c <= sr_class_count(); c++)
        for (int p = 0; p < 3; p++) {
            static const char *const places[] = {"start", "1", "end"};
            char request[96];
            snprintf(request, sizeof request, "livs=%s,%s@%s", sr_class_get(c)->name,
                     sr_class_get(c)->name, places[p]);
            sr_growth *g = growth_must(ctx, m, "new LIVs", request, false);
            assert_int_equal(g->to->genome.n, 4);
            growth_expect_same(ctx, m, g->to, "SA-1 GMemless", request, false);
            sr_growth_destroy(&g);
        }
    sr_model_destroy(&m);
}

/* What is drawn has the size of trained weights: of the same tensor, or of other LIVs' of the
 * class.
 */
static void expect_size(const sr_growth *g, const uint8_t *entry, const char *name, double size) {
    const int i = sr_schema_find(&g->to->schema, name);
    assert_true(i >= 0);
    const sr_param *p = &g->to->schema.param[i];
    double sum = 0;
    int64_t n = 0;
    for (int64_t k = 0; k < p->rows * p->cols; k++) {
        if (entry[p->offset + k] != GROWTH_FREE) continue;
        sum += pow((double)g->to->params[p->offset + k], 2);
        n++;
    }
    assert_true(n > 0);
    if (!(fabs(sqrt(sum / (double)n) / size - 1) < 5 / sqrt(2.0 * (double)n)))
        fail_msg("%s: %g, expected %g", name, sqrt(sum / (double)n), size);
}

/* Every entry of a tensor becomes +-x in turn. */
static void set_all(sr_model *m, const char *name, double x) {
    const sr_param *p = &m->schema.param[sr_schema_find(&m->schema, name)];
    for (int64_t k = 0; k < p->rows * p->cols; k++)
        m->params[p->offset + k] = (float)(k % 2 == 0 ? x : -x);
}

static void test_free_sizes(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "SA-1 GMemless SA-3", &growth_sizes);
    set_all(m, "liv.0.q.weight", 1);
    set_all(m, "liv.1.gate.weight", 2);
    set_all(m, "liv.2.q.weight", 3);
    sr_growth *g = growth_must(ctx, m, "sizes", "width=+8 ff=+8 livs=SWA-1@end", false);
    uint8_t *entry = growth_entries(g);
    expect_size(g, entry, "liv.0.q.weight", 1);
    expect_size(g, entry, "liv.1.gate.weight", 2);
    expect_size(g, entry, "liv.2.q.weight", 3);
    expect_size(g, entry, "liv.3.q.weight", 0.02); /* no LIV is of its class */
    free(entry);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

/* New LIVs copy old ones of their class in turn, whatever lies between them. */
static void test_new_livs_copy(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"liv.1.q.weight", "liv.0.q.weight"},
                                           {"liv.2.gate.weight", "liv.4.gate.weight"},
                                           {"liv.3.q.weight", "liv.5.q.weight"},
                                           {"liv.3.norm.gain", "liv.5.norm.gain"}};
    sr_model *m = growth_model(ctx, "SA-1 GMemless SA-1", &growth_sizes);
    set_all(m, "liv.2.norm.gain", 3);
    sr_growth *g = growth_must(ctx, m, "copies", "livs=SA-1,GMemless,SA-1@1", false);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        int64_t n, same;
        const float *a = growth_tensor(g->to, pairs[i][0], &n),
                    *b = growth_tensor(g->to, pairs[i][1], &same);
        assert_int_equal(n, same);
        assert_memory_equal(a, b, (size_t)n * sizeof *a);
    }
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

/* New LIVs are as large as the ones that they copy have become, in this growth or before, with
 * their constants; where those grew they have numbers of their own, which no output has silenced.
 */
static void test_new_livs_fit(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "SA-3 GMemless GMemless", &growth_sizes);
    sr_growth *first =
        growth_must(ctx, m, "larger", "ff=+7 key=+5 heads=+4 value=+1 width=+3 at=1,3", false);
    sr_growth *g = growth_must(ctx, first->to, "as large",
                               "ff=+2 at=2 livs=GMemless,SA-3,GMemless,GMemless@1", false);
    static const int alike[] = {0, 5, 0, 6, 5, 5, 6}; /* by LIV of the larger model */
    for (int i = 1; i < 5; i++)
        assert_memory_equal(&g->to->units[i].size, &g->to->units[alike[i]].size,
                            sizeof g->to->units[i].size);
    growth_expect_same(ctx, m, g->to, "new LIVs", "as large", false);
    int64_t n, same;
    const float *a = growth_tensor(g->to, "liv.2.rope.freq", &n),
                *b = growth_tensor(g->to, "liv.0.rope.freq", &same);
    assert_int_equal(n, same);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    sr_growth_destroy(&g);
    sr_growth_destroy(&first);
    sr_growth *both = growth_must(ctx, m, "at once", "ff=+7 livs=GMemless@end", false);
    a = growth_tensor(both->to, "liv.3.gate.weight", &n);
    b = growth_tensor(both->to, "liv.1.gate.weight", &same);
    const int64_t old = m->units[1].size.axis[SR_AXIS_FF] * m->sizes.width;
    assert_int_equal(n, same);
    assert_memory_equal(a, b, (size_t)old * sizeof *a);
    assert_memory_not_equal(a + old, b + old, (size_t)(n - old) * sizeof *a);
    sr_growth_destroy(&both);
    sr_model_destroy(&m);
}

/* None by chance among weights that were rounded. */
static void leave_no_zeros(sr_model *m) {
    for (int64_t k = 0; k < m->schema.elements; k++)
        if (m->params[k] == 0) m->params[k] = 0.125F;
}

/* What growth tells of zeros is what the new LIVs' matrices hold. */
static void expect_zeros(const sr_growth *g) {
    for (int i = 0; i < g->to->schema.count; i++) {
        const sr_param *p = &g->to->schema.param[i];
        if (!p->decay || p->scope == 0 || g->origin[p->scope - 1].unit >= 0) continue;
        int64_t zeros = 0;
        for (int64_t k = 0; k < p->rows * p->cols; k++) zeros += g->to->params[p->offset + k] == 0;
        if (sr_growth_of(g, i).zero != zeros)
            fail_msg("%s: %d zeros, told are %d", p->name, (int)zeros,
                     (int)sr_growth_of(g, i).zero);
    }
}

/* Stacked LIVs are old ones again, as those are after the growth; the function is another. A class
 * that the model does not have stays silent. */
static void test_stacked(void **state) {
    (void)state;
    const char *request =
        "width=+4 ff=+3 livs=GMemless,Rec-1,SA-3,MHA,MoE-MLP-Shared@1 new-livs=stacked";
    static const int pairs[][2] = {{1, 6}, {3, 0}, {4, 7}, {5, 8}}; /* LIVs of the larger model */
    sr_model *m = growth_model(ctx, "SA-3 GMemless MHA MoE-MLP-Shared", &growth_sizes);
    leave_no_zeros(m);
    sr_growth *g = growth_must(ctx, m, "stacked", request, false);
    assert_false(g->exact);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const sr_unit *copy = &g->to->units[pairs[i][0]], *old = &g->to->units[pairs[i][1]];
        for (int s = -1; s < SR_SLOTS; s++) {
            const int a = s < 0 ? copy->norm : copy->slot[0][s];
            const int b = s < 0 ? old->norm : old->slot[0][s];
            assert_int_equal(a < 0, b < 0);
            if (a < 0) continue;
            const sr_param *p = &g->to->schema.param[a], *q = &g->to->schema.param[b];
            assert_memory_equal(g->to->params + p->offset, g->to->params + q->offset,
                                (size_t)(p->rows * p->cols) * sizeof(float));
            if (p->trained) assert_int_equal(sr_growth_of(g, a).fresh, p->rows * p->cols);
        }
    }
    expect_zeros(g);
    const sr_growth_change silent = sr_growth_of(g, g->to->units[2].slot[0][SR_SLOT_OUT]);
    assert_int_equal(silent.zero, silent.entries);
    const growth_difference d = growth_compare(ctx, m, g->to, SR_TRUTH_F64);
    assert_true(d.worst > 1e-3 * d.largest);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

/* What new LIVs do when nothing is said has a name too. */
static void test_silent(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "SA-3 GMemless", &growth_sizes);
    leave_no_zeros(m);
    sr_growth *g = growth_must(ctx, m, "silent", "width=+4 livs=SA-3@1 new-livs=silent", false);
    assert_true(g->exact);
    expect_zeros(g);
    growth_expect_same(ctx, m, g->to, "SA-3 GMemless", "new-livs=silent", false);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

/* A dense unit that became experts is none of the class that it was, nor a new one of the class
 * that it is now: its router is drawn, and no copy of it is stacked whole. */
static void test_became_experts(void **state) {
    (void)state;
    int64_t n, same;
    sr_model *m = growth_model(ctx, "SA-1 GEGLU MoE-MLP-Shared", &growth_sizes);
    sr_growth *g =
        growth_must(ctx, m, "routers", "to=1.1.1.1.1-86.1.1.1.1-86.1.1.1.1 ff=+1", false);
    const float *a = growth_tensor(g->to, "liv.1.router.weight", &n),
                *b = growth_tensor(g->to, "liv.2.router.weight", &same);
    assert_int_equal(n, same);
    for (int64_t k = 0; k < n; k++) assert_true(fabs((double)(a[k] - b[k])) > 0);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
    m = growth_model(ctx, "SA-1 GEGLU", &growth_sizes);
    g = growth_must(ctx, m, "stacked", "to=1.1.1.1.1-70.1.1.1.1-85.1.1.1.1 new-livs=stacked",
                    false);
    a = growth_tensor(g->to, "liv.2.out.weight", &n);
    for (int64_t k = 0; k < n; k++) assert_true(a[k] == 0);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_livs, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_free_sizes, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_new_livs_copy, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_new_livs_fit, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_stacked, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_silent, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_became_experts, make_context, free_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
