/* Inheriting weights: what a child computes, on the plain truths in f32. An equal genome gives
 * equal bits; a changed LIV, the parent without this LIV's branch; LIVs of two parents, what each
 * had. */
#include "model_run.h"

#include "base/rng.h"
#include "grow/inherit.h"
#include "liv/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const sr_sizes sizes = {
    .width = 32, .head_dim = 8, .window = 5, .vocab = 40, .context = 16, .filter_length = 16};
enum { BATCH = 2, LENGTH = 16, LOGITS = BATCH * LENGTH * 40 };

static sartor_context *ctx;

static int setup(void **state) {
    (void)state;
    ctx = sartor_context_create();
    return ctx == NULL;
}
static int teardown(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return 0;
}

/* Weights as after training: no gain is 1, no bias 0, and every LIV matters. */
static sr_model *trained(const char *arch, const sr_sizes *s, uint64_t seed) {
    sr_model *m = model_make(ctx, arch, s, seed);
    const sr_rng rng = {seed, SR_FOR_INIT, 77};
    for (int k = 0; k < m->schema.count; k++) {
        const sr_param *p = &m->schema.param[k];
        for (int64_t i = p->offset; p->trained && i < p->offset + p->rows * p->cols; i++)
            m->params[i] += 0.1f * (float)sr_rng_normal(rng, (uint64_t)i);
    }
    return m;
}

static void logits(sr_model *m, float out[LOGITS]) {
    int32_t ids[BATCH * LENGTH];
    for (int i = 0; i < BATCH * LENGTH; i++) ids[i] = (i * 7 + i * i % 5) % 40;
    model_run r = model_run_make(ctx, m, SR_TRUTH_F32, SR_GRAPH_LOGITS, BATCH, LENGTH, false, 1);
    (void)model_run_go(&r, ids, NULL);
    const sr_view v = sr_graph_view(r.graph.graph, r.graph.out);
    for (int i = 0; i < BATCH * LENGTH; i++)
        memcpy(out + (ptrdiff_t)i * 40, (const float *)v.data + i * v.stride, 40 * sizeof *out);
    model_run_free(&r);
}

static void expect_equal(sr_model *a, sr_model *b) {
    float *x = malloc(sizeof *x * LOGITS), *y = malloc(sizeof *y * LOGITS);
    assert_non_null(x);
    assert_non_null(y);
    logits(a, x);
    logits(b, y);
    for (int i = 0; i < LOGITS; i++)
        if (x[i] != y[i]) fail_msg("logit %d: %.9g, expected %.9g", i, (double)x[i], (double)y[i]);
    free(x);
    free(y);
}

static bool same_logits(sr_model *a, sr_model *b) {
    float *x = malloc(sizeof *x * LOGITS), *y = malloc(sizeof *y * LOGITS);
    assert_non_null(x);
    assert_non_null(y);
    logits(a, x);
    logits(b, y);
    const bool same = memcmp(x, y, sizeof *x * LOGITS) == 0;
    free(x);
    free(y);
    return same;
}

/* A child of one or two parents. */
static sr_model *child_of(const char *arch, const sr_model *a, const sr_model *b,
                          sr_inheritance *told) {
    const sr_model *const parents[SR_MAX_PARENTS] = {a, b};
    sr_model *child = model_make(ctx, arch, &a->sizes, 5);
    if (sr_inherit(ctx, child, parents, b != NULL ? 2 : 1, 5, told) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    sr_inheritance *plan = malloc(sizeof *plan);
    assert_non_null(plan);
    assert_int_equal(sr_inherit_plan(ctx, child, parents, b != NULL ? 2 : 1, plan), SARTOR_OK);
    assert_memory_equal(plan, told, sizeof *plan);
    free(plan);
    return child;
}

static void expect_from(const sr_inheritance *told, int n, const int *from) {
    for (int i = 0; i < n; i++)
        if (told->from[i] != from[i])
            fail_msg("LIV %d comes from %d, expected %d", i, told->from[i], from[i]);
}

/* The model without the branch of one LIV: its output projection multiplies nothing. */
static void remove_branch(sr_model *m, int liv) {
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = SR_SLOT_OUT; s <= SR_SLOT_OUT_BIAS; s++) {
            const int k = m->units[liv].slot[b][s];
            if (k < 0) continue;
            const sr_param *p = &m->schema.param[k];
            memset(m->params + p->offset, 0, (size_t)(p->rows * p->cols) * sizeof(float));
        }
}

/* Sharing in every family, plain and differential. */
static const char *const sharing[] = {
    "1.1.2.1.2-1.1.2.1.2-9.1.2.1.2-9.1.2.1.2",
    "2.1.1.1.4-2.1.1.1.4-1.1.1.1.4",
    "5.1.2.1.2-5.1.2.1.3-5.1.1.1.4",
    "7.1.2.1.4-8.1.1.1.4-7.1.2.1.2-8.1.2.1.3-8.1.2.1.1",
    "10.1.2.1.2-10.1.2.1.4-14.1.2.2.2-14.1.2.2.2-16.1.2.1.4-16.1.2.1.4",
    "77.1.2.1.2-77.1.2.1.4",
    "78.1.2.1.4-79.1.2.1.2-78.1.2.1.2-79.1.2.1.2-78.1.1.1.3",
    "84.1.2.1.4-84.1.2.1.2",
};

static void test_equal_genome(void **state) {
    (void)state;
    const int n = sr_class_count() + (int)(sizeof sharing / sizeof *sharing);
    for (int i = 0; i < n; i++) {
        char arch[96];
        if (i < sr_class_count())
            snprintf(arch, sizeof arch, "%s GMemless", sr_class_get(i + 1)->name);
        else
            snprintf(arch, sizeof arch, "%s", sharing[i - sr_class_count()]);
        sr_model *parent = trained(arch, &sizes, 3);
        sr_inheritance told;
        sr_model *child = child_of(arch, parent, NULL, &told);
        assert_memory_equal(child->params, parent->params,
                            (size_t)parent->schema.elements * sizeof(float));
        assert_int_equal(told.inherited, told.parameters);
        expect_equal(child, parent);
        sr_model_destroy(&child);
        sr_model_destroy(&parent);
    }
}

/* The middle one of three LIVs becomes another class, for every class on either side. */
static void test_changed_liv(void **state) {
    (void)state;
    for (int c = 1; c <= sr_class_count(); c++) {
        const char *name = sr_class_get(c)->name;
        char before[96], after[96], without[96];
        snprintf(before, sizeof before, "Rec-1 %s GMemless", name);
        snprintf(after, sizeof after, "Rec-1 %s GMemless", c == 9 ? "SA-1" : "GMemless");
        snprintf(without, sizeof without, "Rec-1 GMemless");
        sr_model *parent = trained(before, &sizes, 4), *other = trained(after, &sizes, 6);
        sr_inheritance told;
        sr_model *child = child_of(after, parent, NULL, &told);
        expect_from(&told, 3, (int[]){0, SR_CHANGED, 0});
        sr_model *shorter = model_make(ctx, without, &sizes, 1);
        for (int k = 0; k < shorter->schema.count; k++) { /* LIV 1 there is LIV 2 here */
            const sr_param *p = &shorter->schema.param[k];
            char from[SR_PARAM_NAME];
            snprintf(from, sizeof from, "%s", p->name);
            if (strncmp(from, "liv.1.", 6) == 0) from[4] = '2';
            const int q = sr_schema_find(&parent->schema, from);
            assert_true(q >= 0);
            memcpy(shorter->params + p->offset, parent->params + parent->schema.param[q].offset,
                   (size_t)(p->rows * p->cols) * sizeof(float));
        }
        expect_equal(child, shorter);
        /* The same when the changed class is on the parent's side. */
        sr_model *back = child_of(before, other, NULL, &told);
        expect_from(&told, 3, (int[]){0, SR_CHANGED, 0});
        assert_true(told.inherited < told.parameters);
        remove_branch(other, 1);
        expect_equal(back, other);
        sr_model_destroy(&back);
        sr_model_destroy(&other);
        sr_model_destroy(&shorter);
        sr_model_destroy(&child);
        sr_model_destroy(&parent);
    }
}

/* What begins with a zero output can learn at once, and everything else of it one step later. */
static void test_changed_liv_is_alive(void **state) {
    (void)state;
    sr_model *parent = trained("SA-1 GMemless", &sizes, 4);
    sr_inheritance told;
    sr_model *child = child_of("Rec-1-Diff GMemless", parent, NULL, &told);
    model_run r = model_run_make(ctx, child, SR_TRUTH_F32, SR_GRAPH_LOSS, BATCH, LENGTH, true, 1);
    int32_t ids[BATCH * LENGTH], targets[BATCH * LENGTH];
    for (int i = 0; i < BATCH * LENGTH; i++) ids[i] = i * 11 % 40, targets[i] = i * 3 % 40;
    for (int step = 0; step < 2; step++) {
        memset(r.grads, 0, (size_t)child->schema.elements * sizeof(float));
        (void)model_run_go(&r, ids, targets);
        for (int k = 0; k < child->schema.count; k++) {
            const sr_param *p = &child->schema.param[k];
            const bool out = strstr(p->name, ".out.") != NULL;
            double sum = 0;
            for (int64_t i = p->offset; i < p->offset + p->rows * p->cols; i++)
                sum += model_run_get(&r, r.grads, i) * model_run_get(&r, r.grads, i);
            if (p->scope == 1 && p->trained && (out || step > 0) && !(sum > 0))
                fail_msg("%s has no gradient in step %d", p->name, step);
        }
        for (int64_t i = 0; i < child->schema.elements; i++)
            ((float *)r.params)[i] -= 0.1f * ((const float *)r.grads)[i];
    }
    model_run_free(&r);
    sr_model_destroy(&child);
    sr_model_destroy(&parent);
}

static void test_two_parents(void **state) {
    (void)state;
    sr_model *a = trained("SA-1 GMemless Rec-1 GMemless", &sizes, 1);
    sr_model *b = trained("GConv-1 GConv-1 GConv-1 GMemless", &sizes, 2);
    sr_inheritance told;
    sr_model *child = child_of("SA-1 GConv-1 Rec-2 GMemless", a, b, &told);
    expect_from(&told, 4, (int[]){0, 1, SR_CHANGED, 0});
    sr_model *hand = model_make(ctx, "SA-1 GConv-1 Rec-2 GMemless", &sizes, 9);
    int64_t inherited = 0;
    for (int k = 0; k < hand->schema.count; k++) {
        const sr_param *p = &hand->schema.param[k];
        if (strncmp(p->name, "liv.2.", 6) == 0) continue;
        const sr_model *from = strncmp(p->name, "liv.1.", 6) == 0 ? b : a;
        const int q = sr_schema_find(&from->schema, p->name);
        assert_true(q >= 0);
        memcpy(hand->params + p->offset, from->params + from->schema.param[q].offset,
               (size_t)(p->rows * p->cols) * sizeof(float));
        inherited += p->trained ? p->rows * p->cols : 0;
    }
    assert_int_equal(told.inherited, inherited);
    remove_branch(hand, 2);
    expect_equal(child, hand);
    sr_model_destroy(&hand);
    sr_model_destroy(&child);
    sr_model_destroy(&b);
    sr_model_destroy(&a);
}

/* Shared weights that part are copied; those that meet are the first one's, and the other LIV is
 * changed; readers of a feature go with the LIV that computes it. */
static void test_sharing(void **state) {
    (void)state;
    static const struct {
        const char *parent, *child;
        int from[3];
    } cases[] = {
        /* part: all weights; the first changes, the second keeps what was its too */
        {"1.1.2.1.1-1.1.2.1.1-9.1.1.1.1", "1.1.1.1.1-1.1.1.1.1-9.1.1.1.1", {0, 0, 0}},
        {"1.1.2.1.1-1.1.2.1.1-9.1.1.1.1", "7.1.1.1.1-1.1.1.1.1-9.1.1.1.1", {SR_CHANGED, 0, 0}},
        /* meet */
        {"1.1.1.1.1-1.1.1.1.1-9.1.1.1.1", "1.1.2.1.1-1.1.2.1.1-9.1.1.1.1", {0, SR_CHANGED, 0}},
        /* K read from the first: it changes, or the second stops reading, or starts to */
        {"1.1.1.1.2-1.1.1.1.2-9.1.1.1.1",
         "7.1.1.1.1-1.1.1.1.1-9.1.1.1.1",
         {SR_CHANGED, SR_CHANGED, 0}},
        {"1.1.1.1.2-1.1.1.1.2-9.1.1.1.1", "1.1.1.1.1-1.1.1.1.1-9.1.1.1.1", {0, SR_CHANGED, 0}},
        {"1.1.1.1.1-1.1.1.1.1-9.1.1.1.1", "1.1.1.1.2-1.1.1.1.2-9.1.1.1.1", {0, SR_CHANGED, 0}},
        /* the gate of a third LIV, read across another class: untouched */
        /* the third LIV reads the first one's keys instead of the second one's */
        {"1.1.1.2.1-1.1.1.1.2-1.1.1.1.2", "1.1.1.1.2-1.1.1.2.1-1.1.1.1.2", {0, 0, SR_CHANGED}},
        {"9.1.1.1.2-1.1.1.1.1-9.1.1.1.2", "9.1.1.1.2-7.1.1.1.1-9.1.1.1.2", {0, SR_CHANGED, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *parent = trained(cases[i].parent, &sizes, 8);
        sr_inheritance told;
        sr_model *child = child_of(cases[i].child, parent, NULL, &told);
        expect_from(&told, 3, cases[i].from);
        assert_false(told.inherited == told.parameters && told.from[1] == SR_CHANGED);
        for (int k = 0; k < 3; k++)
            if (told.from[k] == SR_CHANGED) remove_branch(parent, k);
        expect_equal(child, parent);
        sr_model_destroy(&child);
        sr_model_destroy(&parent);
    }
}

/* A reader follows its source: the second parent's pair comes whole or not at all. */
static void test_features_of_two_parents(void **state) {
    (void)state;
    sr_model *a = trained("1.1.1.1.1-7.1.1.1.1-9.1.1.1.1", &sizes, 1);
    sr_model *b = trained("1.1.1.1.2-1.1.1.1.2-9.1.1.1.1", &sizes, 2);
    sr_inheritance told;
    /* The source agrees with the first parent already, whose K is not what the reader knew. */
    sr_model *child = child_of("1.1.1.1.2-1.1.1.1.2-9.1.1.1.1", a, b, &told);
    expect_from(&told, 3, (int[]){0, SR_CHANGED, 0});
    sr_model_destroy(&child);
    child = child_of("1.1.1.1.2-1.1.1.1.2-9.1.1.1.1", b, a, &told);
    expect_from(&told, 3, (int[]){0, 0, 0});
    expect_equal(child, b);
    assert_false(same_logits(child, a));
    sr_model_destroy(&child);
    sr_model_destroy(&b);
    sr_model_destroy(&a);
}

/* A LIV that has grown, if only in a constant, is another one. */
static void test_grown_parent(void **state) {
    (void)state;
    sr_model *plain = trained("SA-1 GMemless", &sizes, 1), *parent = NULL;
    sr_unit_sizes units[2] = {plain->units[0].size, plain->units[1].size};
    units[0].scale *= 2;
    if (sr_model_create_sized(ctx, &plain->genome, &sizes, units, &parent) != SARTOR_OK ||
        sr_model_allocate(ctx, parent) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    memcpy(parent->params, plain->params, (size_t)plain->schema.elements * sizeof(float));
    sr_inheritance told;
    sr_model *child = child_of("SA-1 GMemless", parent, NULL, &told);
    expect_from(&told, 2, (int[]){SR_CHANGED, 0});
    remove_branch(parent, 0);
    expect_equal(child, parent);
    sr_model_destroy(&child);
    child = child_of("SA-1 GMemless", parent, plain, &told);
    expect_from(&told, 2, (int[]){1, 0});
    sr_model_destroy(&child);
    sr_model_destroy(&parent);
    sr_model_destroy(&plain);
}

static void test_refusals(void **state) {
    (void)state;
    sr_sizes wider = sizes;
    wider.width = 64;
    sr_model *parent = trained("SA-1 GMemless", &sizes, 1);
    sr_model *longer = model_make(ctx, "SA-1 GMemless SA-1", &sizes, 1);
    sr_model *wide = model_make(ctx, "SA-1 GMemless", &wider, 1);
    const sr_model *const parents[1] = {parent};
    sr_inheritance told;
    assert_int_equal(sr_inherit(ctx, longer, parents, 1, 1, &told), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "3 LIVs, a parent 2"));
    assert_int_equal(sr_inherit(ctx, wide, parents, 1, 1, &told), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "width=64"));
    /* Another table of rotations is another function. */
    sr_model *child = model_make(ctx, "SA-1 GMemless", &sizes, 1);
    const int table = sr_schema_find(&parent->schema, "rope.8.freq");
    assert_true(table >= 0);
    parent->params[parent->schema.param[table].offset + 1] *= 2;
    assert_int_equal(sr_inherit(ctx, child, parents, 1, 1, &told), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "rope.8.freq"));
    sr_model_destroy(&child);
    sr_sizes grown = sizes;
    grown.divisor = 16;
    child = model_make(ctx, "SA-1 GMemless", &grown, 1);
    assert_int_equal(sr_inherit(ctx, child, parents, 1, 1, &told), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "has grown"));
    sr_model_destroy(&child);
    sr_model_destroy(&wide);
    sr_model_destroy(&longer);
    sr_model_destroy(&parent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_genome),
        cmocka_unit_test(test_changed_liv),
        cmocka_unit_test(test_changed_liv_is_alive),
        cmocka_unit_test(test_two_parents),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_features_of_two_parents),
        cmocka_unit_test(test_grown_parent),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
