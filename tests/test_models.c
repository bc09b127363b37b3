/* Whole models: every LIV class, sharing, causality, decoding, costs, initial weights. */
#include "model_run.h"

#include "base/rng.h"
#include "model/cost.h"
#include "model/decoder.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const sr_sizes small = {.width = 32,
                               .head_dim = 8,
                               .window = 7,
                               .vocab = 40,
                               .context = 48,
                               .filter_length = 48,
                               .tied = false};

/* Architectures that between them use both kinds of sharing in every family. */
static const char *const sharing[] = {
    "1.1.2.1.2-1.1.2.1.2-9.1.2.1.2-9.1.2.1.2", /* K and all weights; gate and all weights */
    "2.1.1.1.4-2.1.1.1.4-1.1.1.1.4",           /* K and V across classes */
    "3.1.2.1.3-9.1.1.1.1-3.1.2.1.3",           /* V, grouped queries */
    "5.1.2.1.2-5.1.2.1.3-5.1.1.1.4",           /* B and C of recurrences */
    "7.1.2.1.4-8.1.1.1.4-7.1.2.1.2-8.1.2.1.3-8.1.2.1.1",                 /* gates, short and long */
    "10.1.2.1.2-10.1.2.1.4-14.1.2.2.2-14.1.2.2.2-16.1.2.1.4-16.1.2.1.4", /* differential */
    "19.1.1.1.4-22.1.1.1.4-1.1.1.1.2",            /* linear, banded and full share a cache */
    "65.1.2.1.4-1.1.1.1.4-67.1.1.1.2-65.1.2.1.1", /* biases, with and without */
    /* Gates and routers; two deep: rounding to bf16 may decide near ties between experts otherwise.
     */
    "70.1.2.1.2-70.1.2.1.4",
    "71.1.2.1.4-71.1.2.1.3",
    "72.1.2.1.2-72.1.2.1.3-72.1.1.1.4-69.1.2.1.1-69.1.2.1.1", /* B and C; a whole MLP */
    "77.1.2.1.2-77.1.2.1.4",                                  /* K and V of matrix states */
    "78.1.2.1.4-79.1.2.1.2-78.1.2.1.2-79.1.2.1.2-78.1.1.1.3", /* and receptances */
    "80.1.2.1.2-80.1.2.1.3",
    "82.1.2.1.4-82.1.1.1.4",
    "84.1.2.1.4-84.1.2.1.2",
};
enum { SHARING = sizeof sharing / sizeof *sharing };
/* Classes without features to share: two units with one set of featurizer weights. */
static const char *const twins[] = {"Hyena", "MH-Hyena", "Hyena-Experts"};
enum { TWINS = sizeof twins / sizeof *twins };

static const char *arch_of(int i, char text[64]) {
    if (i >= sr_class_count() + SHARING) {
        const int n = sr_class_find(twins[i - sr_class_count() - SHARING])->number;
        snprintf(text, 64, "%d.1.2.1.1-%d.1.2.1.1", n, n);
        return text;
    }
    if (i >= sr_class_count()) return sharing[i - sr_class_count()];
    snprintf(text, 64, "%s GMemless", sr_class_get(i + 1)->name);
    return text;
}
static int arch_count(void) { return sr_class_count() + SHARING + TWINS; }

static void tokens(int32_t *ids, int64_t n, int64_t vocab, uint64_t seed) {
    sr_rng rng = {seed, SR_FOR_TEST, 0};
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)sr_rng_below(rng, (uint64_t)i, (uint64_t)vocab);
}

/* Weights large enough that every path matters. */
static sr_model *lively(sartor_context *ctx, const char *arch, const sr_sizes *sizes) {
    sr_model *m = model_make(ctx, arch, sizes, 5);
    sr_rng rng = {77, SR_FOR_TEST, 0};
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        if (!p->decay) continue;
        for (int64_t k = 0; k < p->rows * p->cols; k++)
            m->params[p->offset + k] =
                (float)(sr_rng_normal(rng, (uint64_t)(p->offset + k)) / sqrt((double)p->cols));
    }
    return m;
}

static double difference(model_run *r, const int32_t *ids, const int32_t *targets, double *x,
                         double h) {
    const double at = *x;
    *x = at + h;
    const double up = model_run_go(r, ids, targets);
    *x = at - h;
    const double down = model_run_go(r, ids, targets);
    *x = at;
    return (up - down) / (2 * h);
}

/* The f64 truth's gradients against central differences through the whole model, of the fourth
 * order where the second is not enough. */
static void test_gradients_by_differences(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    sr_sizes tiny = small;
    tiny.width = 16, tiny.head_dim = 4, tiny.vocab = 11, tiny.filter_length = 12;
    int32_t ids[24], targets[24];
    tokens(ids, 24, 11, 1);
    tokens(targets, 24, 11, 2);
    targets[3] = -1;
    for (int a = 0; a < arch_count(); a++) {
        char text[64];
        const char *arch = arch_of(a, text);
        sr_model *m = lively(ctx, arch, &tiny);
        model_run r = model_run_make(ctx, m, SR_TRUTH_F64, SR_GRAPH_LOSS, 2, 12, true, 1);
        model_run_go(&r, ids, targets);
        double *params = r.params, *grads = malloc((size_t)m->schema.elements * 8);
        memcpy(grads, r.grads, (size_t)m->schema.elements * 8);
        for (int i = 0; i < m->schema.count; i++) {
            const sr_param *p = &m->schema.param[i];
            int64_t n = p->rows * p->cols;
            for (int64_t k = 0; p->trained && k < n; k += n / 3 + 1) {
                double *x = &params[p->offset + k], h = 1e-5, exact = grads[p->offset + k];
                double numeric = difference(&r, ids, targets, x, h);
                if (!(fabs(numeric - exact) <= 1e-6 * fabs(exact) + 1e-8)) /* strongly curved? */
                    numeric = (4 * difference(&r, ids, targets, x, h / 10) -
                               difference(&r, ids, targets, x, h / 5)) /
                              3;
                if (!(fabs(numeric - exact) <= 1e-6 * fabs(exact) + 1e-8))
                    fail_msg("%s: %s[%d]: %.9g, by differences %.9g", arch, p->name, (int)k, exact,
                             numeric);
            }
        }
        free(grads);
        model_run_free(&r);
        sr_model_destroy(&m);
    }
    sartor_context_destroy(&ctx);
}

/* The fast kernels' loss and gradients against the f64 truth, tensor by tensor. */
static void test_fast_against_truth(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    enum { N = 2 * 48 };
    int32_t ids[N], targets[N];
    tokens(ids, N, 40, 1);
    tokens(targets, N, 40, 2);
    targets[7] = -1;
    for (int a = 0; a < arch_count(); a++) {
        char text[64];
        const char *arch = arch_of(a, text);
        sr_model *m = lively(ctx, arch, &small);
        model_run t = model_run_make(ctx, m, SR_TRUTH_F64, SR_GRAPH_LOSS, 2, 48, true, 1);
        double truth = model_run_go(&t, ids, targets), all = 0;
        for (int64_t i = 0; i < m->schema.elements; i++)
            all += ((double *)t.grads)[i] * ((double *)t.grads)[i];
        for (int v = 0; v < 3; v++) {
            sr_numbers numbers = v == 2 ? SR_FAST_BF16 : SR_FAST_F32;
            model_run r = model_run_make(ctx, m, numbers, SR_GRAPH_LOSS, 2, 48, true, 1 + v % 2);
            double loss = model_run_go(&r, ids, targets);
            if (!(fabs(loss - truth) <= (v == 2 ? 2e-2 : 1e-5) * truth))
                fail_msg("%s: loss %.9g, truth %.9g (variant %d)", arch, loss, truth, v);
            for (int i = 0; i < m->schema.count; i++) {
                const sr_param *p = &m->schema.param[i];
                double dot = 0, aa = 0, bb = 0, dd = 0;
                for (int64_t k = p->offset; k < p->offset + p->rows * p->cols; k++) {
                    double x = (double)((float *)r.grads)[k], y = ((double *)t.grads)[k];
                    dot += x * y, aa += x * x, bb += y * y, dd += (x - y) * (x - y);
                }
                if (!p->trained) continue;
                bool good = v == 2 ? dot >= 0.99 * sqrt(aa * bb) || bb < 1e-8 * all
                                   : sqrt(dd) <= 1e-4 * sqrt(bb) + 1e-7 * sqrt(all);
                if (!good)
                    fail_msg("%s: %s variant %d: cosine %.6f, relative distance %.3g", arch,
                             p->name, v, dot / sqrt(aa * bb), sqrt(dd / bb));
            }
            model_run_free(&r);
        }
        model_run_free(&t);
        sr_model_destroy(&m);
    }
    sartor_context_destroy(&ctx);
}

/* Changing token t changes no bit before t; classes with a transform in them stay within 1e-5. */
static void test_causality(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    enum { T = 300, AT = 171 };
    sr_sizes sizes = small;
    sizes.context = sizes.filter_length = T;
    int32_t ids[T];
    for (int a = 0; a < arch_count(); a++) {
        char text[64];
        const char *arch = arch_of(a, text);
        sr_model *m = lively(ctx, arch, &sizes);
        bool exact = sr_unit_filters(m->units, m->genome.n) == 0;
        for (int v = 0; v < 2; v++) {
            model_run r = model_run_make(ctx, m, v == 0 ? SR_FAST_F32 : SR_FAST_BF16,
                                         SR_GRAPH_LOGITS, 1, T, false, 1);
            tokens(ids, T, 40, 3);
            model_run_go(&r, ids, NULL);
            sr_view out = sr_graph_view(r.graph.graph, r.graph.out);
            size_t bytes = (size_t)(out.rows * out.cols) * sizeof(float);
            float *before = malloc(bytes), *after = out.data;
            memcpy(before, out.data, bytes);
            ids[AT] = (ids[AT] + 1) % 40;
            model_run_go(&r, ids, NULL);
            double worst = 0, largest = 0, changed = 0;
            for (int64_t i = 0; i < AT * out.cols; i++) {
                worst = fmax(worst, fabs((double)(before[i] - after[i])));
                largest = fmax(largest, fabs((double)before[i]));
            }
            for (int64_t i = AT * out.cols; i < T * out.cols; i++)
                changed = fmax(changed, fabs((double)(before[i] - after[i])));
            if (worst > (exact ? 0 : (v == 0 ? 1e-5 : 2e-2) * largest))
                fail_msg("%s sees the future: %.3g of %.3g (variant %d)", arch, worst, largest, v);
            if (changed == 0) fail_msg("%s does not see the present", arch);
            free(before);
            model_run_free(&r);
        }
        sr_model_destroy(&m);
    }
    sartor_context_destroy(&ctx);
}

/* Chunks and steps give the logits of one full pass, and the cache is as large as the cost says. */
static void test_decoding(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    enum { T = 400 };
    sr_sizes sizes = small;
    sizes.context = sizes.filter_length = T;
    int32_t ids[T];
    tokens(ids, T, 40, 4);
    const int64_t splits[][8] = {{400}, {1, 1, 1, 1, 16, 300, 80}, {256, 64, 79, 1}, {7, 200, 193}};
    for (int a = 0; a < arch_count(); a++) {
        char text[64];
        const char *arch = arch_of(a, text);
        sr_model *m = lively(ctx, arch, &sizes);
        sr_cost cost;
        if (sr_model_cost(ctx, m, &cost) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
        model_run full = model_run_make(ctx, m, SR_FAST_F32, SR_GRAPH_LOGITS, 1, T, false, 1);
        model_run_go(&full, ids, NULL);
        sr_view out = sr_graph_view(full.graph.graph, full.graph.out);
        for (int v = 0; v < 3; v++) { /* f32 and f16 caches; f16 on two threads */
            sr_decoder *d;
            sr_decoder_options options = {T, v == 0 ? SR_F32 : SR_F16, SR_FAST_F32, v == 2 ? 2 : 1};
            if (sr_decoder_create(ctx, m, &options, &d) != SARTOR_OK)
                fail_msg("%s: %s", arch, sartor_error(ctx));
            if (v > 0 && sr_decoder_cache_bytes(d) != cost.cache_bytes)
                fail_msg("%s: cache is %ld bytes, the cost says %ld", arch,
                         (long)sr_decoder_cache_bytes(d), (long)cost.cache_bytes);
            for (int s = 0; s < 4; s++) {
                sr_decoder_reset(d);
                for (int k = 0; k < 8 && splits[s][k] > 0; k++) {
                    const float *logits;
                    if (sr_decoder_feed(ctx, d, ids + sr_decoder_position(d), splits[s][k],
                                        &logits) != SARTOR_OK)
                        fail_msg("%s: %s", arch, sartor_error(ctx));
                    const float *expect =
                        (float *)out.data + (sr_decoder_position(d) - 1) * out.cols;
                    double worst = 0, largest = 0;
                    for (int64_t i = 0; i < out.cols; i++) {
                        worst = fmax(worst, fabs((double)(logits[i] - expect[i])));
                        largest = fmax(largest, fabs((double)expect[i]));
                    }
                    if (!(worst <= (v == 0 ? 1e-4 : 1e-2) * (1 + largest)))
                        fail_msg("%s: split %d at %ld: off by %.3g (variant %d)", arch, s,
                                 (long)sr_decoder_position(d), worst, v);
                }
            }
            sr_decoder_destroy(&d);
        }
        model_run_free(&full);
        sr_model_destroy(&m);
    }
    sartor_context_destroy(&ctx);
}

static sr_cost cost_of(sartor_context *ctx, const char *arch, int livs, int64_t width) {
    sr_genome *g = malloc(sizeof *g);
    sr_sizes sizes = {width, 64, 128, 257, 4096, 4096, false, SR_HEAD_LANGUAGE, 0};
    sr_model *m = NULL;
    sr_cost cost = {0, 0, 0, 0};
    if (sr_arch_parse(ctx, arch, livs, g) != SARTOR_OK ||
        sr_model_create(ctx, g, &sizes, &m) != SARTOR_OK ||
        sr_model_cost(ctx, m, &cost) != SARTOR_OK)
        fail_msg("%s: %s", arch, sartor_error(ctx));
    sr_model_destroy(&m);
    free(g);
    return cost;
}

/* The numbers of the STAR paper's baselines, as far as arithmetic pins them. */
static void test_published_numbers(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    sr_cost t = cost_of(ctx, "transformer++", 24, 768);
    assert_int_equal(t.cache_bytes, 150994944);
    assert_true(fabs((double)t.backbone - 84.9e6) < 0.1e6);
    t = cost_of(ctx, "transformer++", 48, 2048);
    assert_int_equal(t.cache_bytes, 805306368);
    assert_true(fabs((double)t.backbone - 1.21e9) < 0.01e9);
    t = cost_of(ctx, "striped-mamba", 24, 768);
    assert_true(fabs((double)t.backbone - 80.2e6) < 0.802e6);
    assert_true(fabs((double)t.cache_bytes - 25.5e6) < 0.255e6);
    sartor_context_destroy(&ctx);
}

/* The layers of MAD at its benchmark's sizes (mad-lab, configs/layers), the norm before each left
 * out, and the unused `gates` of MoE-MLP (128 numbers). */
static void test_mad_parameters(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t params;
    } rows[] = {{"MHA", 66048},
                {"MHA-1H", 66048},
                {"MHA-W", 66048},
                {"MHA-W-1H", 66048},
                {"MLP", 131072},
                {"GMemless", 135168},
                {"MoE-MLP", 165000 - 128},
                {"MoE-MLP-Top2", 165000 - 128},
                {"MoE-MLP-Shared", 165000 - 128 + 128 * 128}, /* not in MAD */
                {"Mamba", 107264},
                {"LinAttn", 65824},
                {"LinAttn-1H", 131584},
                {"GLA", 86160},
                {"GLA-1H", 86272},
                /* sequences of 128; 3 more for each position */
                {"Hyena", 124348},
                {"MH-Hyena", 30862},
                {"Hyena-Experts", 57464},
                {"Hyena-Experts-Top2", 57464},
                {"GDN", 5 * 128 * 128 + 3 * 4 * 128 + 2 * 8 * (128 + 1) + 16}, /* not in MAD */
                {"RWKV-6", 140544},
                {"RWKV-6-CM", 147712}};
    const sr_sizes sizes = {128, 8, 33, 16, 128, 128, false, SR_HEAD_LANGUAGE, 0};
    sartor_context *ctx = sartor_context_create();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sr_model *m = model_make(ctx, rows[i].name, &sizes, 1);
        assert_int_equal(sr_schema_backbone(&m->schema) - 2 * 128, rows[i].params);
        sr_model_destroy(&m);
    }
    sartor_context_destroy(&ctx);
}

/* Matrices begin at 0.02, those that write into the stream at 0.02 / sqrt(LIVs). */
static void test_beginning(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double size;
    } rows[] = {{"liv.0.q.weight", 0.02},       {"liv.0.out.weight", 0.01},
                {"liv.1.out.weight", 0.01},     {"liv.2.router.weight", 0.02},
                {"liv.2.experts.weight", 0.01}, {"liv.2.out.weight", 0.01},
                {"liv.3.a.out.weight", 0.01},   {"liv.3.b.out.weight", 0.01}};
    sartor_context *ctx = sartor_context_create();
    sr_model *m = model_make(ctx, "SA-1 GMemless MoE-MLP-Shared SA-1-Diff", &small, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int found = sr_schema_find(&m->schema, rows[i].name);
        if (found < 0) fail_msg("no tensor %s", rows[i].name);
        const sr_param *p = &m->schema.param[found];
        const double n = (double)(p->rows * p->cols);
        double squares = 0;
        for (int64_t k = 0; k < p->rows * p->cols; k++)
            squares += pow((double)m->params[p->offset + k], 2);
        if (!(fabs(sqrt(squares / n) / rows[i].size - 1) < 5 / sqrt(2 * n)))
            fail_msg("%s: %g, expected %g", rows[i].name, sqrt(squares / n), rows[i].size);
    }
    sr_model_destroy(&m);
    sartor_context_destroy(&ctx);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_by_differences),
        cmocka_unit_test(test_fast_against_truth),
        cmocka_unit_test(test_causality),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_published_numbers),
        cmocka_unit_test(test_mad_parameters),
        cmocka_unit_test(test_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
