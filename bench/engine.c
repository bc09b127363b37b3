/* Speed of the engine against the machine's own limits, in one process and one run.
 *
 *     engine train MODEL f32|bf16 THREADS [STEPS]   training steps of a reference model (A, B, C)
 *     engine decode f32|f16 THREADS [TOKENS]        decoding with transformer++, 24 LIVs x 768
 *
 * `train` interleaves steps with oneDNN's 2048-cube product of the same type and threads, `decode`
 * with a plain read of as many bytes as the weights have: the ratios compare what the machine gave
 * at the same time. One JSON line each; with SARTOR_PROFILE=1 also where the time goes. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "model/cost.h"
#include "model/decoder.h"
#include "op/onednn.h"
#include "train/trainer.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 4096, CONTEXT = 256, BATCH = 16, CUBE = 2048, MOST = 200 };

static void die(sartor_context *ctx, const char *what) {
    fprintf(stderr, "engine: %s: %s\n", what, sartor_error(ctx));
    exit(1);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, by_value);
    return x[n / 2];
}

static sr_model *make_model(sartor_context *ctx, const char *arch, int livs, sr_sizes sizes) {
    sr_genome *g = malloc(sizeof *g);
    sr_model *m = NULL;
    if (g == NULL || sr_arch_parse(ctx, arch, livs, g) != SARTOR_OK ||
        sr_model_create(ctx, g, &sizes, &m) != SARTOR_OK)
        die(ctx, arch);
    free(g);
    return m;
}

/* ---- the product ---- */

typedef struct cube {
    sr_matmul p;
    void *a, *b, *c, *scratch;
} cube;

static cube make_cube(sartor_context *ctx, sr_dtype type, int threads) {
    cube k = {.p = {.m = CUBE,
                    .n = CUBE,
                    .k = CUBE,
                    .a_stride = CUBE,
                    .b_stride = CUBE,
                    .c_stride = CUBE,
                    .type = type,
                    .c_type = type,
                    .sign = 1}};
    omp_set_num_threads(threads);
    if (sr_onednn_prepare(ctx, &k.p, threads) != SARTOR_OK) die(ctx, "product");
    void **all[] = {&k.a, &k.b, &k.c};
    for (int i = 0; i < 3; i++)
        if (sr_alloc_aligned(ctx, (size_t)CUBE * CUBE, 4, "product", all[i]) != SARTOR_OK)
            die(ctx, "product");
    if (sr_alloc_aligned(ctx, (size_t)sr_onednn_scratch(&k.p, threads) + 64, 1, "product",
                         &k.scratch) != SARTOR_OK)
        die(ctx, "product");
    return k;
}

static double time_cube(const cube *k, int threads) {
    omp_set_num_threads(threads);
    double start = sr_seconds();
    sr_onednn_run(&k->p, threads, k->a, k->b, k->c, k->scratch);
    return sr_seconds() - start;
}

/* ---- training ---- */

static int64_t fill(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets) {
    (void)user;
    sr_rng rng = {(uint64_t)step, SR_FOR_TEST, (uint32_t)micro};
    for (int64_t i = 0; i < BATCH * CONTEXT; i++) {
        ids[i] = (int32_t)sr_rng_below(rng, (uint64_t)i, VOCAB);
        targets[i] = (ids[i] * 7 + 1) % VOCAB;
    }
    return BATCH * CONTEXT;
}

static void profile(const sr_graph *g, int steps) {
    sr_op_time times[32];
    int n = sr_graph_times(g, times, 32);
    for (int i = 0; i < n; i++)
        fprintf(stderr, "%-18s %5d calls  forward %8.2f ms  backward %8.2f ms a step\n",
                times[i].op, times[i].calls / steps, 1e3 * times[i].forward / steps,
                1e3 * times[i].backward / steps);
}

static void train(sartor_context *ctx, char name, const char *type, int threads, int steps) {
    static const char *const arch[] = {
        "(SA-1 GMemless)x6", "((GConv-1 GMemless)x2 SA-3 GMemless)x2", "(Rec-1 GMemless)x6"};
    if (name < 'A' || name > 'C' || steps < 1 || steps > MOST) die(ctx, "arguments");
    const bool bf16 = strcmp(type, "bf16") == 0;
    sr_sizes sizes = {.width = 256,
                      .head_dim = 32,
                      .window = 128,
                      .vocab = VOCAB,
                      .context = CONTEXT,
                      .filter_length = CONTEXT};
    sr_model *m = make_model(ctx, arch[name - 'A'], 0, sizes);
    sr_cost cost;
    if (sr_model_cost(ctx, m, &cost) != SARTOR_OK) die(ctx, "cost");
    sr_trainer_options o = {.rows = BATCH,
                            .length = CONTEXT,
                            .accumulate = 1,
                            .numbers = bf16 ? SR_FAST_BF16 : SR_FAST_F32,
                            .threads = threads,
                            .weight_decay = 0.1,
                            .clip = 1,
                            .schedule = {1e-3, 1e-4, 10, 1, {1000}}};
    sr_trainer *t;
    if (sr_trainer_create(ctx, m, &o, &t) != SARTOR_OK || sr_trainer_allocate(ctx, t) != SARTOR_OK)
        die(ctx, "trainer");
    sr_model_init(m, 1);
    sr_trainer_refresh(t);
    sr_task task = {.fill = fill};
    cube k = make_cube(ctx, bf16 ? SR_BF16 : SR_F32, threads);
    double step_time[MOST], cube_time[3 * MOST];
    sr_step info;
    for (int i = 0; i < 2; i++) {
        if (sr_trainer_step(ctx, t, &task, &info) != SARTOR_OK) die(ctx, "step");
        time_cube(&k, threads);
    }
    bool profiled = getenv("SARTOR_PROFILE") != NULL;
    sr_graph_profile(t->graph.graph, profiled);
    for (int i = 0; i < steps; i++) {
        double start = sr_seconds();
        if (sr_trainer_step(ctx, t, &task, &info) != SARTOR_OK) die(ctx, "step");
        step_time[i] = sr_seconds() - start;
        for (int j = 0; j < 3; j++) cube_time[3 * i + j] = time_cube(&k, threads);
    }
    if (profiled) profile(t->graph.graph, steps);
    double seconds = median(step_time, steps), product = median(cube_time, 3 * steps);
    double rate = 3 * cost.flops_per_token * BATCH * CONTEXT / seconds / 1e9;
    double limit = 2.0 * CUBE * CUBE * CUBE / product / 1e9;
    printf("{\"framework\": \"sartor\", \"model\": \"%c\", \"dtype\": \"%s\", \"threads\": %d, "
           "\"seconds_per_step\": %.5f, \"tokens_per_second\": %.1f, \"gflops\": %.1f, "
           "\"product_gflops\": %.1f, \"ratio\": %.4f, \"loss\": %.4f}\n",
           name, type, threads, seconds, BATCH * CONTEXT / seconds, rate, limit, rate / limit,
           info.loss);
    sr_trainer_destroy(&t);
    sr_model_destroy(&m);
}

/* ---- decoding ---- */

static double read_all(const float *x, int64_t n, int threads) {
    double start = sr_seconds();
    float total = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : total) schedule(static)
    for (int64_t block = 0; block < n / 4096; block++) {
        float lane[64] = {0};
        for (int64_t i = block * 4096; i < (block + 1) * 4096; i += 64)
            for (int j = 0; j < 64; j++) lane[j] += x[i + j];
        for (int j = 0; j < 64; j++) total += lane[j];
    }
    double seconds = sr_seconds() - start;
    return total == 12345.678f ? 0 : seconds; /* the sum must be used */
}

static void decode(sartor_context *ctx, const char *cache, int threads, int tokens) {
    sr_sizes sizes = {.width = 768,
                      .head_dim = 64,
                      .window = 128,
                      .vocab = 257,
                      .context = 512,
                      .filter_length = 512};
    sr_model *m = make_model(ctx, "transformer++", 24, sizes);
    if (tokens < 1 || tokens > MOST || sr_model_allocate(ctx, m) != SARTOR_OK) die(ctx, "model");
    sr_model_init(m, 1);
    sr_decoder *d;
    sr_decoder_options o = {512, strcmp(cache, "f32") == 0 ? SR_F32 : SR_F16, SR_FAST_F32, threads};
    if (sr_decoder_create(ctx, m, &o, &d) != SARTOR_OK) die(ctx, "decoder");
    const float *logits;
    int32_t id = 1;
    double step[MOST], read[MOST];
    for (int i = -3; i < tokens; i++) {
        double start = sr_seconds();
        if (sr_decoder_feed(ctx, d, &id, 1, &logits) != SARTOR_OK) die(ctx, "feed");
        double seconds = sr_seconds() - start,
               plain = read_all(m->params, m->schema.elements, threads);
        if (i >= 0) step[i] = seconds, read[i] = plain;
    }
    double a = median(step, tokens), b = median(read, tokens);
    printf("{\"framework\": \"sartor\", \"model\": \"transformer++ 24 x 768\", \"cache\": \"%s\", "
           "\"threads\": %d, \"tokens_per_second\": %.2f, \"read_gbytes_per_second\": %.2f, "
           "\"ratio\": %.4f}\n",
           cache, threads, 1 / a, 4e-9 * (double)m->schema.elements / b, b / a);
    sr_decoder_destroy(&d);
    sr_model_destroy(&m);
}

int main(int argc, char **argv) {
    sartor_context *ctx = sartor_context_create();
    if (argc >= 5 && strcmp(argv[1], "train") == 0)
        train(ctx, argv[2][0], argv[3], (int)strtol(argv[4], NULL, 10),
              argc > 5 ? (int)strtol(argv[5], NULL, 10) : 12);
    else if (argc >= 4 && strcmp(argv[1], "decode") == 0)
        decode(ctx, argv[2], (int)strtol(argv[3], NULL, 10),
               argc > 4 ? (int)strtol(argv[4], NULL, 10) : 32);
    else {
        fprintf(stderr, "usage: engine train A|B|C f32|bf16 THREADS [STEPS]\n"
                        "       engine decode f32|f16 THREADS [TOKENS]\n");
        return 2;
    }
    sartor_context_destroy(&ctx);
    return 0;
}
