#define _GNU_SOURCE
/* Models that map a sequence to a sequence (model/head.h): gradients, kernels, scores, files. */
#define _GNU_SOURCE
#include "model_run.h"

#include "base/rng.h"
#include "model/cost.h"
#include "model/decoder.h"
#include "model/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCH = 3, LENGTH = 10, N = BATCH * LENGTH, VOCAB = 11, WIDTH = 8 };
static const sr_sizes sizes = {.width = WIDTH,
                               .head_dim = 4,
                               .window = 4,
                               .vocab = VOCAB,
                               .context = LENGTH,
                               .filter_length = LENGTH,
                               .head = SR_HEAD_SEQUENCE};
static sartor_context *ctx;
static int32_t ids[N], targets[N];

static int setup(void **state) {
    (void)state;
    const sr_rng rng = {3, SR_FOR_TEST, 0};
    ctx = sartor_context_create();
    for (int i = 0; i < N; i++) {
        ids[i] = (int32_t)sr_rng_below(rng, (uint64_t)i, VOCAB);
        targets[i] = (int32_t)sr_rng_below(rng, (uint64_t)(N + i), VOCAB);
    }
    targets[4] = targets[17] = -100;
    return ctx != NULL ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return 0;
}

/* Weights and biases large enough that every path matters. */
static sr_model *lively(void) {
    sr_model *m = model_make(ctx, "SA-1 GMemless", &sizes, 5);
    const sr_rng rng = {7, SR_FOR_TEST, 0};
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        const bool bias = strstr(p->name, "bias") != NULL;
        for (int64_t k = p->offset; (p->decay || bias) && k < p->offset + p->rows * p->cols; k++)
            m->params[k] = (float)(sr_rng_normal(rng, (uint64_t)k) / sqrt(WIDTH));
    }
    return m;
}

static void test_gradients_by_differences(void **state) {
    (void)state;
    sr_model *m = lively();
    model_run r = model_run_make(ctx, m, SR_TRUTH_F64, SR_GRAPH_LOSS, BATCH, LENGTH, true, 1);
    (void)model_run_go(&r, ids, targets);
    double *params = r.params, *grads = malloc((size_t)m->schema.elements * 8);
    memcpy(grads, r.grads, (size_t)m->schema.elements * 8);
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        const int64_t n = p->rows * p->cols;
        double size = 0;
        for (int64_t k = p->offset; p->trained && k < p->offset + n; k += n / 7 + 1) {
            const double x = params[k], h = 1e-5;
            params[k] = x + h;
            const double up = model_run_go(&r, ids, targets);
            params[k] = x - h;
            const double down = model_run_go(&r, ids, targets);
            params[k] = x;
            const double numeric = (up - down) / (2 * h);
            if (!(fabs(numeric - grads[k]) <= 1e-6 * fabs(grads[k]) + 1e-8))
                fail_msg("%s[%d]: %.9g, by differences %.9g", p->name, (int)(k - p->offset),
                         grads[k], numeric);
            size += fabs(grads[k]);
        }
        if (p->trained && size == 0) fail_msg("%s has no gradient", p->name);
    }
    free(grads);
    model_run_free(&r);
    sr_model_destroy(&m);
}

static void test_fast_against_truth(void **state) {
    (void)state;
    sr_model *m = lively();
    model_run t = model_run_make(ctx, m, SR_TRUTH_F64, SR_GRAPH_LOSS, BATCH, LENGTH, true, 1);
    const double truth = model_run_go(&t, ids, targets);
    for (int threads = 1; threads <= 2; threads++) {
        model_run r =
            model_run_make(ctx, m, SR_FAST_F32, SR_GRAPH_LOSS, BATCH, LENGTH, true, threads);
        const double loss = model_run_go(&r, ids, targets);
        double distance = 0, norm = 0;
        if (!(fabs(loss - truth) <= 1e-5 * truth)) fail_msg("loss %.9g, truth %.9g", loss, truth);
        for (int64_t i = 0; i < m->schema.elements; i++) {
            const double x = model_run_get(&r, r.grads, i), y = model_run_get(&t, t.grads, i);
            bool trained = false;
            for (int k = 0; k < m->schema.count; k++) {
                const sr_param *p = &m->schema.param[k];
                if (i >= p->offset && i < p->offset + p->rows * p->cols) trained = p->trained;
            }
            if (!trained) continue;
            distance += (x - y) * (x - y);
            norm += y * y;
        }
        assert_true(sqrt(distance) <= 1e-5 * sqrt(norm));
        model_run_free(&r);
    }
    model_run_free(&t);
    sr_model_destroy(&m);
}

/* Losses and predictions of the scoring graph are those of the logits; and logits depend on the
 * tokens only through the last one's state, so that equal prefixes of it do not matter. */
static void test_scores(void **state) {
    (void)state;
    sr_model *m = lively();
    model_run logits =
        model_run_make(ctx, m, SR_FAST_F32, SR_GRAPH_LOGITS, BATCH, LENGTH, false, 1);
    model_run score = model_run_make(ctx, m, SR_FAST_F32, SR_GRAPH_SCORE, BATCH, LENGTH, false, 1);
    (void)model_run_go(&logits, ids, NULL);
    memcpy(sr_graph_ids_data(score.graph.graph, score.graph.targets), targets, sizeof targets);
    (void)model_run_go(&score, ids, NULL);
    const sr_view all = sr_graph_view(logits.graph.graph, logits.graph.out);
    const sr_view scores = sr_graph_view(score.graph.graph, score.graph.out);
    for (int i = 0; i < N; i++) {
        const float *p = (const float *)all.data + i * all.stride;
        const float *s = (const float *)scores.data + i * scores.stride;
        double sum = 0;
        int best = 0;
        for (int v = 0; v < VOCAB; v++) {
            sum += exp((double)p[v]);
            best = p[v] > p[best] ? v : best;
        }
        if (targets[i] < 0) {
            assert_true(s[0] == 0 && s[1] == -1);
            continue;
        }
        assert_true(fabs((double)s[0] - (log(sum) - (double)p[targets[i]])) < 1e-4);
        assert_int_equal((int)s[1], best);
    }
    /* rows of one sequence differ by position alone */
    bool differ = false;
    for (int v = 0; v < VOCAB; v++)
        differ =
            differ || ((const float *)all.data)[v] != ((const float *)all.data)[all.stride + v];
    assert_true(differ);
    model_run_free(&logits);
    model_run_free(&score);
    sr_model_destroy(&m);
}

/* It has no next token, and says so wherever one is asked for. */
static void test_does_not_decode(void **state) {
    (void)state;
    sr_model *m = lively();
    sr_decoder *d;
    const sr_decoder_options o = {
        .context = LENGTH, .cache = SR_F32, .numbers = SR_FAST_F32, .threads = 1};
    assert_int_equal(sr_decoder_create(ctx, m, &o, &d), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "no next token"));
    sr_cost cost;
    assert_int_equal(sr_model_cost(ctx, m, &cost), SARTOR_OK);
    assert_int_equal(cost.cache_bytes, 0);
    /* norm, square and bias, twice */
    sr_model *plain;
    sr_sizes language = sizes;
    language.head = SR_HEAD_LANGUAGE;
    plain = model_make(ctx, "SA-1 GMemless", &language, 1);
    assert_int_equal(sr_schema_backbone(&m->schema) - sr_schema_backbone(&plain->schema),
                     2 * (WIDTH + WIDTH * WIDTH + WIDTH));
    sr_model_destroy(&plain);
    sr_model_destroy(&m);
    language = sizes;
    language.width = 9;
    language.head_dim = 3;
    sr_genome *genome = malloc(sizeof *genome);
    assert_int_equal(sr_arch_parse(ctx, "SA-1", 0, genome), SARTOR_OK);
    assert_int_equal(sr_model_create(ctx, genome, &language, &m), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "even"));
    free(genome);
}

static void test_file(void **state) {
    (void)state;
    char path[] = "/tmp/sartor-head-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    sr_model *m = lively(), *back;
    sr_st_reader *reader;
    assert_int_equal(sr_model_save(ctx, path, m, "", 0, NULL, 0, NULL, 0), SARTOR_OK);
    assert_int_equal(sr_model_open(ctx, path, &reader, &back), SARTOR_OK);
    sr_st_close(&reader);
    assert_int_equal(back->sizes.head, SR_HEAD_SEQUENCE);
    assert_int_equal(back->schema.elements, m->schema.elements);
    assert_memory_equal(back->params, m->params, (size_t)m->schema.elements * sizeof(float));
    sr_model_destroy(&back);
    sr_model_destroy(&m);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_by_differences),
        cmocka_unit_test(test_fast_against_truth),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_does_not_decode),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
