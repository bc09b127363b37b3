/* That growth zeroes what must be zero and nothing else, stores every constant that it must, and
 * that all of what is new can learn. */
#include "growth_tools.h"

#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, LENGTH = 24, TOKENS = BATCH * LENGTH, SINGLES = 2, BLOCKS = 1 << SR_MAX_AXES };
static const double seen = 1e-9; /* a smaller change of a logit is none */

static sartor_context *ctx;
static int failures;

static int make_context(void **state) {
    (void)state;
    ctx = sartor_context_create();
    failures = 0;
    return ctx == NULL;
}
static int free_context(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return 0;
}

/* Failures are told one by one and end the test when all cases are through. */
#define BAD(...)                                                                                   \
    do {                                                                                           \
        print_error(__VA_ARGS__);                                                                  \
        failures++;                                                                                \
    } while (0)
static void end(void) {
    if (failures > 0) fail_msg("%d failures", failures);
}

/* ---- cases: a model and a request ---- */

typedef struct grown {
    sr_model *from;
    sr_growth *growth;
    uint8_t *entry;
    const char *arch, *request;
} grown;

/* False where the model cannot grow so (test_growth has these). */
static bool grow(grown *g, const char *arch, const char *request) {
    *g = (grown){growth_model(ctx, arch, &growth_sizes), NULL, NULL, arch, request};
    g->growth = growth_of(ctx, g->from, request, false);
    if (g->growth == NULL) {
        sr_model_destroy(&g->from);
        return false;
    }
    g->entry = growth_entries(g->growth);
    return true;
}

static void grown_free(grown *g) {
    free(g->entry);
    sr_growth_destroy(&g->growth);
    sr_model_destroy(&g->from);
}

/* Axes that meet in one tensor, or in one product. */
static const char *const corners[] = {"heads=+4 value=+3",
                                      "width=+3 ff=+3",
                                      "key=+3 heads=+4",
                                      "state=+3 channels=+3",
                                      "taps=+2 channels=+3",
                                      "rank=+3 channels=+3",
                                      "mix=+3 width=+3",
                                      "width=+3 key=+3 value=+3",
                                      "rank=+3 key=+3",
                                      "features=+3 key=+3",
                                      "state=+2 heads=+2 taps=+1",
                                      "width=+3 heads=+4",
                                      "rank=+3 width=+3",
                                      "state=+3 width=+3",
                                      "taps=+1 value=+3",
                                      "key=+3 value=+3"};

/* Dense units that become mixtures. */
static const char *const experts[] = {"to=1.1.1.1.1-70.1.1.1.1",
                                      "to=1.1.1.1.1-71.1.1.1.1 width=24 ff=+3"};

/* Calls `check` for every architecture and every request that it takes. */
static void for_growths(void (*check)(grown *)) {
    char arch[96], request[96];
    grown g;
    for (int a = 0; growth_arch(a, arch) != NULL; a++) {
        for (int i = 0; sr_growth_size_get(i) != NULL; i++) {
            snprintf(request, sizeof request, "%s=+3", sr_growth_size_get(i)->name);
            bool took = grow(&g, arch, request);
            if (!took) snprintf(request, sizeof request, "%s=+4", sr_growth_size_get(i)->name);
            if (!took && !grow(&g, arch, request)) continue;
            check(&g);
            grown_free(&g);
        }
        for (size_t i = 0; i < sizeof corners / sizeof *corners; i++) {
            if (!grow(&g, arch, corners[i])) continue;
            check(&g);
            grown_free(&g);
        }
    }
    for (int c = 1; c <= sr_class_count(); c++) {
        snprintf(request, sizeof request, "livs=%s@1", sr_class_get(c)->name);
        if (!grow(&g, "SA-1 GMemless", request)) fail_msg("%s: %s", request, sartor_error(ctx));
        check(&g);
        grown_free(&g);
    }
    for (size_t i = 0; i < sizeof experts / sizeof *experts; i++) {
        if (!grow(&g, "SA-1 GEGLU", experts[i])) fail_msg("%s", sartor_error(ctx));
        check(&g);
        grown_free(&g);
    }
}

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
    end();
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
    end();
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
    end();
}

/* ---- what is new has a gradient ---- */

enum { STEPS = 2, LATER = 3 };
static const double rate = 1e-2;

/* Adds the sizes of all gradients, before each of a few plain steps, to `sum`. */
static void descend(sr_model *m, int steps, double *sum) {
    int32_t ids[TOKENS], targets[TOKENS];
    model_run r = model_run_make(ctx, m, SR_TRUTH_F64, SR_GRAPH_LOSS, BATCH, LENGTH, true, 1);
    growth_tokens(ids, TOKENS, m->sizes.vocab, 3);
    growth_tokens(targets, TOKENS, m->sizes.vocab, 4);
    for (int step = 0; step <= steps; step++) {
        model_run_go(&r, ids, targets);
        for (int i = 0; i < m->schema.count; i++) {
            const sr_param *p = &m->schema.param[i];
            for (int64_t k = p->offset; p->trained && k < p->offset + p->rows * p->cols; k++) {
                const double d = ((double *)r.grads)[k];
                sum[k] += fabs(d);
                ((double *)r.params)[k] -= rate * d;
            }
        }
    }
    model_run_free(&r);
}

/* Of experts only the active ones are alive: no token of the test may choose one of them. */
static bool may_rest(const grown *g, const sr_param *t, int axis) {
    return t->axis[axis].kind == SR_AXIS_EXPERT &&
           g->growth->to->units[t->scope - 1].class_->code.sparsity == 2;
}

/* Every block of new entries, and within it every new coordinate of an axis, is alive. */
static void find_dead(const grown *g, int param, const double *sum) {
    const sr_param *t = &g->growth->to->schema.param[param];
    for (int a = 0; a < t->axes; a++) {
        double *alive = calloc((size_t)t->axis[a].size, sizeof *alive);
        bool *new = calloc((size_t)t->axis[a].size, sizeof *new);
        double block[BLOCKS] = {0};
        bool any[BLOCKS] = {false};
        int64_t place[SR_MAX_AXES];
        for (int64_t i = 0; i < t->rows * t->cols; i++) {
            const unsigned axes = growth_new_axes(g->growth, param, i, place);
            if (g->entry[t->offset + i] == GROWTH_OLD || !(axes >> a & 1)) continue;
            new[place[a]] = true;
            alive[place[a]] += sum[t->offset + i];
            any[axes & (BLOCKS - 1)] = true;
            block[axes & (BLOCKS - 1)] += sum[t->offset + i];
        }
        for (int64_t i = 0; i < t->axis[a].size; i++)
            if (new[i] && !(alive[i] > 0) && !may_rest(g, t, a))
                BAD("%s, %s: %s: %s %d is dead\n", g->arch, g->request, t->name,
                    sr_axis_name(t->axis[a].kind), (int)i);
        for (unsigned k = 0; k < BLOCKS; k++)
            if (any[k] && !(block[k] > 0))
                BAD("%s, %s: %s: block %x is dead\n", g->arch, g->request, t->name, k);
        free(alive);
        free(new);
    }
}

/* A new RWKV-6 wakes one step later than its output: that moves w.down, this w.mix.down, and this
 * w.mix.up; all three start at zero in a new model too. */
static bool is_late(const grown *g, int param) {
    return g->growth->tensor[param].from == NULL &&
           strstr(g->growth->to->schema.param[param].name, "w.mix.up.weight") != NULL;
}

static void check_alive(grown *g) {
    const sr_schema *s = &g->growth->to->schema;
    double *sum = calloc((size_t)s->elements, sizeof *sum);
    bool late = false;
    descend(g->growth->to, STEPS, sum);
    for (int i = 0; i < s->count; i++) {
        if (is_late(g, i))
            late = true;
        else if (s->param[i].trained)
            find_dead(g, i, sum);
    }
    if (late) descend(g->growth->to, LATER, sum);
    for (int i = 0; late && i < s->count; i++)
        if (is_late(g, i)) find_dead(g, i, sum);
    free(sum);
}

static void test_new_is_alive(void **state) {
    (void)state;
    for_growths(check_alive);
    end();
}

/* ---- what is new is not all the same ---- */

static bool is_random(const sr_param *p) {
    return p->init.kind == SR_INIT_NORMAL || p->init.kind == SR_INIT_UNIFORM;
}

/* Rows shorter than this may be alike by chance. */
enum { SHORTEST = 12 };

static void check_symmetry(grown *g) {
    const sr_model *m = g->growth->to;
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *t = &m->schema.param[i];
        if (!is_random(t) || t->cols < SHORTEST) continue;
        const float *w = m->params + t->offset;
        double worst = 0;
        for (int64_t r = 0; r < t->rows; r++)
            for (int64_t q = 0; q < r; q++) {
                double dot = 0, a = 0, b = 0;
                bool fresh = true;
                for (int64_t k = 0; k < t->cols && fresh; k++) {
                    const double x = (double)w[r * t->cols + k], y = (double)w[q * t->cols + k];
                    fresh = g->entry[t->offset + r * t->cols + k] == GROWTH_FREE &&
                            g->entry[t->offset + q * t->cols + k] == GROWTH_FREE;
                    dot += x * y;
                    a += x * x;
                    b += y * y;
                }
                if (fresh) worst = fmax(worst, fabs(dot) / sqrt(a * b));
            }
        if (!(worst < 0.99)) BAD("%s, %s: %s: cosine %g\n", g->arch, g->request, t->name, worst);
    }
}

static void test_new_differs(void **state) {
    (void)state;
    for_growths(check_symmetry);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_zeros_are_needed, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_free_is_free, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_constants_are_needed, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_new_is_alive, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_new_differs, make_context, free_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
