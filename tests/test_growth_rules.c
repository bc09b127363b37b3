/* That growth zeroes what must be zero and nothing else, and stores every constant that it must. */
#include "growth_cases.h"

#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, LENGTH = 24, TOKENS = BATCH * LENGTH, SINGLES = 2, BLOCKS = 1 << SR_MAX_AXES };
static const double seen = 1e-9; /* a smaller change of a logit is none */

/* ---- what must be zero, and what may be anything ---- */

/* A larger model in f64, and its logits as growth left it. */
typedef struct probe {
    model_run run;
    int32_t ids[TOKENS];
    double *logits;
} probe;

static double logit(const probe *p, int64_t i, int64_t j) {
    const sr_view v = sr_graph_view(p->run.graph.graph, p->run.graph.out);
    return ((double *)v.data)[i * v.stride + j];
}

static probe probe_make(sr_model *m) {
    probe p = {.run =
                   model_run_make(ctx, m, SR_TRUTH_F64, SR_GRAPH_LOGITS, BATCH, LENGTH, false, 1)};
    growth_tokens(p.ids, TOKENS, m->sizes.vocab, 3);
    model_run_go(&p.run, p.ids, NULL);
    p.logits = calloc((size_t)(TOKENS * m->sizes.vocab), sizeof *p.logits);
    for (int64_t i = 0; i < TOKENS; i++)
        for (int64_t j = 0; j < m->sizes.vocab; j++)
            p.logits[i * m->sizes.vocab + j] = logit(&p, i, j);
    return p;
}

static void probe_free(probe *p) {
    free(p->logits);
    model_run_free(&p->run);
}

/* Largest change of a logit by the weights of the moment. */
static double change(probe *p) {
    const int64_t vocab = p->run.model->sizes.vocab;
    double worst = 0;
    model_run_go(&p->run, p->ids, NULL);
    for (int64_t i = 0; i < TOKENS; i++)
        for (int64_t j = 0; j < vocab; j++) {
            const double d = fabs(logit(p, i, j) - p->logits[i * vocab + j]);
            if (!(d <= worst)) worst = d;
        }
    return worst;
}

static double random_at(uint64_t i) { return 0.5 * sr_rng_normal((sr_rng){21, SR_FOR_TEST, 0}, i); }

/* Entries that have to be what they are: zeros, and averages. (A gain becomes the mean of old ones,
 * but might be anything.) */
static bool is_bound(const grown *g, const sr_param *t, int64_t i) {
    const uint8_t entry = g->entry[t->offset + i];
    return t->trained &&
           (entry == GROWTH_ZERO || (entry == GROWTH_TAKEN && t->init.kind != SR_INIT_CONSTANT));
}

/* Zeros that cannot be told from other numbers one by one, although growth has to set them. */
static bool is_unseen(const sr_param *t, const int64_t place[SR_MAX_AXES]) {
    for (int a = 0; a < t->axes; a++) {
        /* no token of the test may choose the expert */
        if (t->axis[a].kind == SR_AXIS_EXPERT) return true;
        /* what is added to all keys alike falls out of a softmax; where pairs turn it is not alike,
         * but the last of an odd number of channels has no partner */
        if (t->vector && t->axis[a].kind == SR_AXIS_KEY && place[a] == t->axis[a].size - 1 &&
            place[a] % 2 == 0)
            return true;
    }
    return false;
}

/* Every bound entry of a tensor's block (new on the axes `block`) becomes random; then some of them
 * one at a time. */
static int64_t mutated;
static void mutate_block(grown *g, probe *p, int param, unsigned block) {
    const sr_param *t = &g->growth->to->schema.param[param];
    double *w = (double *)p->run.params + t->offset;
    const int64_t n = t->rows * t->cols;
    int64_t bound = 0, place[SR_MAX_AXES], *at = calloc((size_t)n, sizeof *at);
    double *was = calloc((size_t)n, sizeof *was);
    for (int64_t i = 0; i < n; i++) {
        was[i] = w[i];
        if (!is_bound(g, t, i) || growth_new_axes(g->growth, param, i, place) != block) continue;
        at[bound++] = i;
        w[i] += random_at((uint64_t)i);
    }
    double d = bound > 0 ? change(p) : INFINITY;
    if (!(d > seen))
        BAD("%s, %s: %s, block %x: %d entries may be anything\n", g->arch, g->request, t->name,
            block, (int)bound);
    memcpy(w, was, (size_t)n * sizeof *w);
    for (uint64_t k = 0; bound > 0 && d > seen && k < SINGLES; k++) {
        const int64_t i = at[sr_rng_below((sr_rng){22, SR_FOR_TEST, 0}, k, (uint64_t)bound)];
        growth_new_axes(g->growth, param, i, place);
        if (is_unseen(t, place)) continue;
        w[i] += 0.7;
        d = change(p);
        if (!(d > seen))
            BAD("%s, %s: %s[%d] may be anything\n", g->arch, g->request, t->name, (int)i);
        w[i] = was[i];
    }
    mutated += bound;
    free(at);
    free(was);
}

static void mutate_zeros(grown *g) {
    probe p = probe_make(g->growth->to);
    for (int i = 0; i < g->growth->to->schema.count; i++)
        for (unsigned block = 1; block < BLOCKS; block++) mutate_block(g, &p, i, block);
    probe_free(&p);
}

static void test_zeros_are_needed(void **state) {
    (void)state;
    mutated = 0;
    for_growths(mutate_zeros);
    assert_true(mutated > 10000);
    end_cases();
}

/* RWKV's norm takes away a mean, and equal experts are averaged: silent up to rounding. */
static bool has_averages(const grown *g) {
    if (strncmp(g->request, "to=", 3) == 0) return true;
    for (int64_t i = 0; i < g->growth->to->schema.count; i++) {
        const sr_param *t = &g->growth->to->schema.param[i];
        for (int64_t k = 0; k < t->rows * t->cols; k++)
            if (g->entry[t->offset + k] == GROWTH_TAKEN && is_bound(g, t, k)) return true;
    }
    return false;
}

/* Free entries may hold anything. */
static void mutate_free(grown *g) {
    probe p = probe_make(g->growth->to);
    const sr_schema *s = &g->growth->to->schema;
    for (int i = 0; i < s->count; i++) {
        const sr_param *t = &s->param[i];
        for (int64_t k = t->offset; t->trained && k < t->offset + t->rows * t->cols; k++)
            if (g->entry[k] != GROWTH_OLD && !is_bound(g, t, k - t->offset))
                ((double *)p.run.params)[k] = random_at((uint64_t)k);
    }
    const double d = change(&p);
    if (!(d <= (has_averages(g) ? 1e-12 : 0)))
        BAD("%s, %s: free entries change logits by %g\n", g->arch, g->request, d);
    probe_free(&p);
}

static void test_free_is_free(void **state) {
    (void)state;
    for_growths(mutate_free);
    end_cases();
}

/* ---- constants that were computed from a size ---- */

/* The larger model compiled with other constants. */
static sr_model *recompiled(const sr_growth *g, const sr_sizes *sizes, const sr_unit_sizes *units) {
    sr_model *m;
    if (sr_model_create_sized(ctx, &g->to->genome, sizes, units, &m) != SARTOR_OK ||
        sr_model_allocate(ctx, m) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    sr_model_init(m, 1);
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *to = &m->schema.param[i];
        const int k = sr_schema_find(&g->to->schema, to->name);
        if (k < 0) continue; /* the rotation of a new model */
        const sr_param *from = &g->to->schema.param[k];
        assert_int_equal(from->rows * from->cols, to->rows * to->cols);
        memcpy(m->params + to->offset, g->to->params + from->offset,
               (size_t)(to->rows * to->cols) * sizeof *m->params);
    }
    return m;
}

static void expect_change(const grown *g, const sr_sizes *sizes, const sr_unit_sizes *units,
                          const char *what) {
    sr_model *m = recompiled(g->growth, sizes, units);
    const growth_difference d = growth_compare(ctx, g->from, m, SR_TRUTH_F64);
    if (!(d.worst > seen)) BAD("%s, %s: %s is not needed\n", g->arch, g->request, what);
    sr_model_destroy(&m);
}

/* The channels that a new unit's norm would divide by. */
static int64_t usual_divisor(const sr_unit *u) {
    sr_unit_sizes usual;
    const sr_sizes plain = {.width = 256, .head_dim = 16, .window = 1, .filter_length = 1};
    if (sr_unit_sizes_default(ctx, u->class_, &plain, &usual) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    const int64_t *size = u->size.axis;
    return usual.divisor == usual.axis[SR_AXIS_VALUE] ? size[SR_AXIS_VALUE]
                                                      : size[SR_AXIS_VALUE] * size[SR_AXIS_HEAD];
}

static int mutated_constants;

static void mutate_constants(grown *g) {
    const sr_model *to = g->growth->to;
    sr_sizes sizes = to->sizes;
    sr_unit_sizes units[SR_MAX_LIVS > 16 ? 16 : SR_MAX_LIVS];
    for (int i = 0; i < to->genome.n; i++) units[i] = to->units[i].size;
    if (sizes.divisor != 0 && sizes.divisor != sizes.width) {
        sizes.divisor = 0;
        expect_change(g, &sizes, units, "the divisor of the stream's norms");
        sizes = to->sizes;
        mutated_constants++;
    }
    for (int i = 0; i < to->genome.n; i++) {
        const sr_unit *u = &to->units[i];
        const int64_t divisor = usual_divisor(u);
        if (g->growth->origin[i].unit < 0) continue; /* nothing of a new unit is seen yet */
        if (u->size.divisor != 0 && u->size.divisor != divisor) {
            units[i].divisor = divisor;
            expect_change(g, &sizes, units, "a unit's divisor");
            mutated_constants++;
        }
        units[i] = u->size;
        if (u->size.scale != 0 && u->size.scale != u->size.axis[SR_AXIS_KEY]) {
            units[i].scale = u->size.axis[SR_AXIS_KEY];
            expect_change(g, &sizes, units, "the scale of q.k");
            mutated_constants++;
        }
        units[i] = u->size;
        if (u->size.pairs != 0) {
            units[i].pairs = 0;
            expect_change(g, &sizes, units, "a table of rotations");
            mutated_constants++;
        }
        units[i] = u->size;
    }
}

static void test_constants_are_needed(void **state) {
    (void)state;
    mutated_constants = 0;
    for_growths(mutate_constants);
    assert_true(mutated_constants > 100);
    end_cases();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_zeros_are_needed, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_free_is_free, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_constants_are_needed, make_context, free_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
