/* That all of what is new can learn: it has a gradient, and is not all the same. */
#include "growth_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, LENGTH = 24, TOKENS = BATCH * LENGTH, BLOCKS = 1 << SR_MAX_AXES };

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

/* No token of the test may choose one of the experts: then its score, and where only the chosen
 * have weight its output too, is out of use (op/route.c). */
static bool may_rest(const grown *g, const sr_param *t, int axis) {
    return t->axis[axis].kind == SR_AXIS_EXPERT &&
           (g->growth->to->units[t->scope - 1].class_->code.sparsity == 2 ||
            strstr(t->name, ".router.") != NULL);
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
    end_cases();
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
    end_cases();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_is_alive, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_new_differs, make_context, free_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
