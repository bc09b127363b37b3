/* The parts of training: schedule, optimiser, trainer, sampling. Whole runs: test_run.c. */
#include "base/rng.h"
#include "train/growth_steps.h"
#include "train/sample.h"
#include "train/stage.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;

static int setup(void **state) {
    (void)state;
    ctx = sartor_context_create();
    return ctx != NULL ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return 0;
}

static void close_to(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance * (1 + fabs(b)))) fail_msg("%.12g is not %.12g", a, b);
}

/* ---- schedule ---- */

static void test_schedule(void **state) {
    (void)state;
    sr_schedule s = {.peak = 1, .floor = 0.1, .warmup = 10, .totals = 1, .total = {110}};
    close_to(sr_schedule_rate(&s, 0), 0.1, 1e-12);
    close_to(sr_schedule_rate(&s, 9), 1, 1e-12);
    close_to(sr_schedule_rate(&s, 10), 1, 1e-12);
    close_to(sr_schedule_rate(&s, 60), 0.55, 1e-12);
    close_to(sr_schedule_rate(&s, 109), 0.1 + 0.45 * (1 + cos(acos(-1) * 0.99)), 1e-12);
    for (int64_t i = 11; i < 110; i++)
        assert_true(sr_schedule_rate(&s, i) < sr_schedule_rate(&s, i - 1));
    assert_int_equal(sr_schedule_end(&s), 110);

    /* Extended: the first part stays, the rest is on the longer cosine. */
    sr_schedule longer = s;
    longer.total[longer.totals++] = 210;
    for (int64_t i = 0; i < 110; i++)
        assert_true(sr_schedule_rate(&longer, i) == sr_schedule_rate(&s, i));
    close_to(sr_schedule_rate(&longer, 110), 0.55, 1e-12);
    close_to(sr_schedule_rate(&longer, 160), 0.1 + 0.45 * (1 + cos(acos(-1) * 0.75)), 1e-12);
    assert_int_equal(sr_schedule_total(&longer, 109), 110);
    assert_int_equal(sr_schedule_total(&longer, 110), 210);

    sr_schedule flat = {.peak = 2, .floor = 2, .warmup = 0, .totals = 1, .total = {1}};
    close_to(sr_schedule_rate(&flat, 0), 2, 1e-12);
    sr_schedule all_warm = {.peak = 1, .floor = 0, .warmup = 4, .totals = 1, .total = {4}};
    close_to(sr_schedule_rate(&all_warm, 3), 1, 1e-12);
}

static void test_growth_steps(void **state) {
    (void)state;
    sr_growth_steps s = {.count = 0};
    char text[2 * SR_GROWTH_STEPS_TEXT], long_text[SR_GROWTH_STEPS_TEXT + 1];
    const char *wide = " 20 :\twidth=256   ff=512;6000:livs=SA-3,GMemless@end ; ";
    assert_int_equal(sr_growth_steps_parse(ctx, wide, 6000, &s), SARTOR_OK);
    assert_int_equal(s.count, 2);
    assert_true(s.step[0] == 20 && s.step[1] == 6000);
    assert_string_equal(s.request[0], "width=256 ff=512");
    assert_string_equal(s.request[1], "livs=SA-3,GMemless@end");
    sr_growth_steps_print(&s, text);
    assert_string_equal(text, "20: width=256 ff=512; 6000: livs=SA-3,GMemless@end");
    const int64_t step[] = {0, 19, 20, 5999, 6000, 9000};
    const int due[] = {0, 0, 1, 1, 2, 2};
    for (int i = 0; i < 6; i++) assert_int_equal(sr_growth_steps_due(&s, step[i]), due[i]);

    memset(long_text, ' ', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    const char *const bad[][2] = {
        {"", "stage 1: expected STEP: WHAT"},
        {"width=2", "stage 1: expected"},
        {"7 width=2", "stage 1: expected"},
        {"-7: width=2", "stage 1: expected"},
        {"99999999999999999999: a", "stage 1: expected"},
        {"7: a; ; 9: b", "stage 2: expected"},
        {"0: a", "stage 1: step 0 is outside 1 to 6000"},
        {"7: a; 6001: b", "stage 2: step 6001 is outside"},
        {"7: a; 7: b", "stage 2: step 7 does not lie behind step 7"},
        {"7: a; 8: ", "stage 2: nothing is asked for"},
        {long_text, "longer than 4095 bytes"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(sr_growth_steps_parse(ctx, bad[i][0], 6000, &s), SARTOR_INVALID);
        if (strstr(sartor_error(ctx), bad[i][1]) == NULL)
            fail_msg("'%s': %s", bad[i][0], sartor_error(ctx));
    }
    char *end = long_text;
    for (int i = 0; i <= SR_MAX_GROWTHS; i++) end += snprintf(end, 16, "%d:a;", i + 1);
    assert_int_equal(sr_growth_steps_parse(ctx, long_text, 6000, &s), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "more than 64 stages"));
    end[-1] = '\0';
    *strrchr(long_text, ';') = '\0'; /* 64 of them */
    assert_int_equal(sr_growth_steps_parse(ctx, long_text, 6000, &s), SARTOR_OK);
    assert_int_equal(s.count, SR_MAX_GROWTHS);
}

/* ---- optimiser ---- */

static void add_param(sr_schema *schema, const char *name, int64_t size, bool decay, bool trained) {
    sr_param p = {.axes = 1, .decay = decay, .trained = trained};
    memcpy(p.name, name, strlen(name) + 1);
    p.axis[0] = (sr_axis){SR_AXIS_MODEL, SR_ALONG, SR_BETWEEN_LINEAR, size};
    assert_true(sr_schema_add(ctx, schema, &p) >= 0);
}

static void test_optimiser(void **state) {
    (void)state;
    sr_schema schema = {0};
    add_param(&schema, "a", 7, true, true);
    add_param(&schema, "b", 5, true, true);
    add_param(&schema, "constant", 3, false, false);
    add_param(&schema, "gain", 4, false, true);
    sr_optimiser o;
    assert_int_equal(sr_optimiser_init(ctx, &schema, &o), SARTOR_OK);
    assert_int_equal(o.ranges, 2); /* a and b are one, the constant is in none */
    assert_int_equal(o.range[0].count, 12);
    assert_int_equal(o.range[1].first, 15);

    enum { N = 19 };
    float p[N], g[N], m[N] = {0}, v[N] = {0};
    uint16_t rounded[N] = {0};
    double q[N], qm[N] = {0}, qv[N] = {0};
    sr_rng rng = {1, SR_FOR_TEST, 0};
    for (int i = 0; i < N; i++) q[i] = p[i] = (float)sr_rng_normal(rng, (uint64_t)i);
    float constant = p[13];
    for (int64_t step = 1; step <= 5; step++) {
        double norm = 0;
        for (int i = 0; i < N; i++) {
            g[i] = (float)sr_rng_normal(rng, (uint64_t)(100 * step + i));
            if (i < 12 || i >= 15) norm += (double)g[i] * (double)g[i];
        }
        close_to(sr_optimiser_norm(&o, g, NULL, 2), sqrt(norm), 1e-6);
        sr_update u = {step, 0.01 * (double)step, 0.1, 0.5, 2, 0, 0, false, NULL};
        sr_optimiser_step(&o, &u, p, g, m, v, rounded);
        for (int i = 0; i < N; i++) {
            if (i >= 12 && i < 15) continue;
            double gradient = 0.5 * (double)g[i], decay = i < 12 ? 0.1 : 0;
            qm[i] = 0.9 * qm[i] + 0.1 * gradient;
            qv[i] = 0.95 * qv[i] + 0.05 * gradient * gradient;
            double mean = qm[i] / (1 - pow(0.9, (double)step));
            double square = qv[i] / (1 - pow(0.95, (double)step));
            q[i] -= u.rate * decay * q[i] + u.rate * mean / (sqrt(square) + 1e-8);
            close_to((double)p[i], q[i], 1e-5);
            uint32_t bits = (uint32_t)rounded[i] << 16;
            float back;
            memcpy(&back, &bits, sizeof back);
            close_to((double)back, (double)p[i], 1.0 / 128);
        }
    }
    assert_true(p[13] == constant && m[13] == 0 && v[13] == 0);

    /* Other averages, and decay of everything: one more step, from moments that are zero. */
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    sr_update all = {1, 0.01, 0.1, 1, 1, 0.8, 0.98, true, NULL};
    for (int i = 0; i < N; i++) q[i] = p[i];
    sr_optimiser_step(&o, &all, p, g, m, v, NULL);
    for (int i = 0; i < N; i++) {
        if (i >= 12 && i < 15) continue;
        double gradient = g[i];
        q[i] -= 0.01 * 0.1 * q[i] + 0.01 * gradient / (fabs(gradient) + 1e-8);
        close_to((double)p[i], q[i], 1e-5);
        close_to((double)m[i], 0.2 * gradient, 1e-5);
        close_to((double)v[i], 0.02 * gradient * gradient, 1e-5);
    }
    assert_true(p[13] == constant && m[13] == 0 && v[13] == 0);
    g[17] = NAN;
    assert_true(isnan(sr_optimiser_norm(&o, g, NULL, 1)));
    sr_optimiser_free(&o);
    sr_schema_free(&schema);
}

/* ---- trainer ---- */

/* Four fixed sequences per step, in micro-batches of `rows`; some targets are not scored. */
typedef struct fixed {
    int64_t rows, length;
    bool mask;
} fixed;

static int32_t token_at(int64_t row, int64_t i) {
    return (int32_t)((i * i + 3 * row + i * row) % 31);
}
static bool hidden(const fixed *f, int64_t row, int64_t i) { return f->mask && i % 4 <= row % 3; }

static int64_t fill(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets) {
    const fixed *f = user;
    (void)step; /* always the same: the loss must fall fast */
    for (int64_t r = 0; r < f->rows; r++)
        for (int64_t i = 0; i < f->length; i++) {
            int64_t row = micro * f->rows + r;
            ids[r * f->length + i] = token_at(row, i);
            targets[r * f->length + i] = hidden(f, row, i) ? -1 : token_at(row, i + 1);
        }
    return 0;
}

static int64_t scored(void *user, int64_t step) {
    (void)step;
    int64_t n = 0;
    for (int64_t row = 0; row < 4; row++)
        for (int64_t i = 0; i < ((fixed *)user)->length; i++) n += !hidden(user, row, i);
    return n;
}

static sr_model *make_model(const char *arch) {
    sr_genome *genome = malloc(sizeof *genome);
    sr_sizes sizes = {
        .width = 32, .head_dim = 16, .window = 8, .vocab = 31, .context = 16, .filter_length = 16};
    sr_model *model = NULL;
    assert_int_equal(sr_arch_parse(ctx, arch, 0, genome), SARTOR_OK);
    assert_int_equal(sr_model_create(ctx, genome, &sizes, &model), SARTOR_OK);
    free(genome);
    return model;
}

typedef struct trained {
    double loss[6], norm[6];
    float *params;
    int64_t elements;
} trained;

static trained train(const char *arch, int64_t rows, sr_numbers numbers, bool mask) {
    enum { STEPS = 6 };
    sr_model *model = make_model(arch);
    sr_trainer_options options = {
        .rows = rows,
        .length = 16,
        .accumulate = 4 / rows,
        .numbers = numbers,
        .threads = 1,
        .weight_decay = 0.1,
        .clip = 1,
        .schedule = {.peak = 0.01, .floor = 0.001, .warmup = 2, .totals = 1, .total = {STEPS}}};
    sr_trainer *t;
    assert_int_equal(sr_trainer_create(ctx, model, &options, &t), SARTOR_OK);
    assert_int_equal(sr_trainer_allocate(ctx, t), SARTOR_OK);
    sr_model_init(model, 5);
    sr_trainer_refresh(t);
    fixed f = {rows, 16, mask};
    sr_task task = {.fill = fill, .scored = mask ? scored : NULL, .user = &f};
    trained out = {.elements = model->schema.elements};
    for (int i = 0; i < STEPS; i++) {
        sr_step step;
        assert_int_equal(sr_trainer_step(ctx, t, &task, &step), SARTOR_OK);
        assert_int_equal(step.tokens, 64);
        assert_int_equal(step.scored, mask ? scored(&f, 0) : 64);
        out.loss[i] = step.loss;
        out.norm[i] = step.norm;
    }
    assert_int_equal(t->step, STEPS);
    out.params = malloc((size_t)out.elements * sizeof(float));
    memcpy(out.params, model->params, (size_t)out.elements * sizeof(float));
    sr_trainer_destroy(&t);
    sr_model_destroy(&model);
    return out;
}

static void compare(const trained *a, const trained *b, double tolerance) {
    for (int i = 0; i < 6; i++) {
        close_to(a->loss[i], b->loss[i], tolerance);
        close_to(a->norm[i], b->norm[i], 10 * tolerance);
    }
}

/* The mean over all targets of a step does not depend on how it is cut into micro-batches. */
static void test_accumulate(void **state) {
    (void)state;
    static const char *const archs[] = {"(SA-1 GMemless)x2", "(Rec-1 GMemless)x2",
                                        "(GConv-1 GMemless GConv-2)x1"};
    for (size_t k = 0; k < sizeof archs / sizeof *archs; k++)
        for (int mask = 0; mask < 2; mask++) {
            trained whole = train(archs[k], 4, SR_FAST_F32, mask), again;
            if (!(whole.loss[5] < whole.loss[0] - 0.2))
                fail_msg("%s: loss %g after %g", archs[k], whole.loss[5], whole.loss[0]);
            again = train(archs[k], 4, SR_FAST_F32, mask);
            assert_memory_equal(whole.params, again.params, (size_t)whole.elements * sizeof(float));
            free(again.params);
            for (int64_t rows = 2; rows >= 1; rows--) {
                trained parts = train(archs[k], rows, SR_FAST_F32, mask);
                compare(&parts, &whole, 1e-5);
                free(parts.params);
            }
            trained plain = train(archs[k], 4, SR_TRUTH_F32, mask);
            compare(&plain, &whole, 1e-4);
            free(plain.params);
            trained rounded = train(archs[k], 4, SR_FAST_BF16, mask);
            for (int i = 0; i < 6; i++) close_to(rounded.loss[i], whole.loss[i], 0.02);
            free(rounded.params);
            free(whole.params);
        }
}

/* ---- stages ---- */

static sr_stage make_stage(const sr_run_record *record) {
    const sr_run_settings settings = {.sizes = {.context = 16},
                                      .batch = 4,
                                      .accumulate = 1,
                                      .steps = 9,
                                      .warmup = 2,
                                      .rate = 0.01,
                                      .weight_decay = 0.1,
                                      .precision = SARTOR_BF16,
                                      .threads = 1};
    sr_stage stage = {.model = make_model("SA-1 GMemless Rec-1")};
    assert_int_equal(sr_stage_plan(ctx, &stage, &settings), SARTOR_OK);
    assert_null(stage.model->params); /* nothing large yet */
    assert_null(stage.trainer->grads);
    assert_true(stage.scorer.arena_bytes <= stage.trainer->arena_bytes);
    assert_int_equal(sr_stage_allocate(ctx, &stage, record), SARTOR_OK);
    return stage;
}

static void go(sr_stage *stage, int steps) {
    fixed f = {4, 16, false};
    sr_task task = {.fill = fill, .user = &f};
    sr_step step;
    while (steps-- > 0)
        assert_int_equal(sr_trainer_step(ctx, stage->trainer, &task, &step), SARTOR_OK);
}

/* A stage that takes over in the middle goes on as the one before would have. */
static void test_stages(void **state) {
    (void)state;
    const sr_run_record record = {.totals = 2, .total = {9, 14}};
    sr_stage whole = make_stage(&record), first = make_stage(&record), second;
    sr_model_init(whole.model, 5);
    sr_model_init(first.model, 5);
    sr_trainer_refresh(whole.trainer);
    sr_trainer_refresh(first.trainer);
    assert_int_equal(sr_schedule_end(&first.trainer->options.schedule), 14);
    go(&whole, 12);
    go(&first, 7);
    second = make_stage(&record);
    const size_t bytes = (size_t)first.model->schema.elements * sizeof(float);
    memcpy(second.model->params, first.model->params, bytes);
    memcpy(second.trainer->m, first.trainer->m, bytes);
    memcpy(second.trainer->v, first.trainer->v, bytes);
    second.trainer->step = first.trainer->step;
    sr_trainer_refresh(second.trainer);
    sr_stage_free(&first);
    assert_null(first.model);
    go(&second, 5);
    assert_memory_equal(second.model->params, whole.model->params, bytes);
    sr_stage_free(&second);
    sr_stage_free(&whole);
    sr_stage_free(&whole); /* nothing is left to free */
}

static void test_not_finite(void **state) {
    (void)state;
    sr_model *model = make_model("SA-1 GMemless");
    sr_trainer_options options = {.rows = 4,
                                  .length = 16,
                                  .accumulate = 1,
                                  .numbers = SR_FAST_F32,
                                  .threads = 1,
                                  .schedule = {.peak = 0.01, .totals = 1, .total = {9}}};
    sr_trainer *t;
    assert_int_equal(sr_trainer_create(ctx, model, &options, &t), SARTOR_OK);
    assert_int_equal(sr_trainer_allocate(ctx, t), SARTOR_OK);
    sr_model_init(model, 5);
    model->params[model->schema.param[model->norm].offset] = NAN;
    size_t bytes = (size_t)model->schema.elements * sizeof(float);
    float *before = malloc(bytes);
    memcpy(before, model->params, bytes);
    fixed f = {4, 16, false};
    sr_task task = {.fill = fill, .user = &f};
    sr_step step;
    assert_int_equal(sr_trainer_step(ctx, t, &task, &step), SARTOR_NOT_FINITE);
    assert_non_null(strstr(sartor_error(ctx), "step 1"));
    assert_memory_equal(before, model->params, bytes); /* nothing was updated */
    assert_int_equal(t->step, 0);
    free(before);
    sr_trainer_destroy(&t);
    sr_model_destroy(&model);
}

static void test_too_large(void **state) {
    (void)state;
    sr_model *model = make_model("(SA-1 GMemless)x2");
    sr_trainer_options options = {.rows = 1 << 20,
                                  .length = 1024,
                                  .accumulate = 1,
                                  .numbers = SR_TRUTH_F32,
                                  .threads = 1,
                                  .schedule = {.peak = 0.01, .totals = 1, .total = {9}}};
    sr_trainer *t;
    assert_int_equal(sr_trainer_create(ctx, model, &options, &t), SARTOR_MEMORY);
    assert_null(t);
    assert_non_null(strstr(sartor_error(ctx), "this machine has"));
    sr_model_destroy(&model);
}

/* ---- sampling ---- */

enum { VOCAB = 50, DRAWS = 4000 };

/* How often each token comes, over many positions. */
static void draw(sr_sampler *s, const float *logits, int count[VOCAB]) {
    memset(count, 0, VOCAB * sizeof *count);
    s->vocab = VOCAB;
    assert_int_equal(sr_sampler_init(ctx, s), SARTOR_OK);
    for (uint64_t i = 0; i < DRAWS; i++) {
        int32_t token, again;
        assert_int_equal(sr_sample(ctx, s, logits, i, &token), SARTOR_OK);
        assert_int_equal(sr_sample(ctx, s, logits, i, &again), SARTOR_OK);
        assert_int_equal(token, again);
        assert_in_range(token, 0, VOCAB - 1);
        count[token]++;
    }
    sr_sampler_free(s);
}

/* Tokens in falling order of probability are a permutation of 0..VOCAB-1. */
static int rank_token(int rank) { return rank * 7 % VOCAB; }

static void test_sampling(void **state) {
    (void)state;
    float logits[VOCAB];
    double p[VOCAB], sum = 0;
    for (int r = 0; r < VOCAB; r++) {
        logits[rank_token(r)] = 3 - 0.15f * (float)r;
        sum += p[r] = exp(-0.15 * r);
    }
    int count[VOCAB];
    sr_sampler s = {.temperature = 1, .top_p = 1, .seed = 3};
    draw(&s, logits, count);
    for (int r = 0; r < VOCAB; r++) { /* five standard deviations */
        double mean = DRAWS * p[r] / sum;
        assert_true(fabs(count[rank_token(r)] - mean) < 5 * sqrt(mean) + 5);
    }
    s = (sr_sampler){.temperature = 0, .top_p = 1};
    draw(&s, logits, count);
    assert_int_equal(count[rank_token(0)], DRAWS);
    s = (sr_sampler){.temperature = 1, .top_k = 3, .top_p = 1, .seed = 3};
    draw(&s, logits, count);
    for (int r = 0; r < VOCAB; r++) assert_true((count[rank_token(r)] > 0) == (r < 3));
    /* The fewest that reach 0.5: 1 - exp(-0.15 r) >= 0.5 (1 - exp(-7.5)) needs 5. */
    s = (sr_sampler){.temperature = 1, .top_p = 0.5, .seed = 3};
    draw(&s, logits, count);
    for (int r = 0; r < VOCAB; r++) assert_true((count[rank_token(r)] > 0) == (r < 5));
    /* Half of what three tokens have: the first has 0.39, two have enough. */
    s = (sr_sampler){.temperature = 1, .top_k = 3, .top_p = 0.5, .seed = 3};
    draw(&s, logits, count);
    for (int r = 0; r < VOCAB; r++) assert_true((count[rank_token(r)] > 0) == (r < 2));
    s = (sr_sampler){.temperature = 1, .top_k = VOCAB + 9, .top_p = 1e-9, .seed = 3};
    draw(&s, logits, count);
    assert_int_equal(count[rank_token(0)], DRAWS);

    int other[VOCAB];
    s = (sr_sampler){.temperature = 1, .top_p = 1, .seed = 3};
    draw(&s, logits, count);
    s = (sr_sampler){.temperature = 1, .top_p = 1, .seed = 4};
    draw(&s, logits, other);
    assert_memory_not_equal(count, other, sizeof count);

    for (int i = 0; i < VOCAB; i++) logits[i] = NAN;
    s = (sr_sampler){.vocab = VOCAB, .temperature = 1, .top_p = 1};
    assert_int_equal(sr_sampler_init(ctx, &s), SARTOR_OK);
    int32_t token;
    assert_int_equal(sr_sample(ctx, &s, logits, 0, &token), SARTOR_NOT_FINITE);
    logits[20] = 1; /* one number is enough */
    assert_int_equal(sr_sample(ctx, &s, logits, 0, &token), SARTOR_OK);
    assert_int_equal(token, 20);
    sr_sampler_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule),  cmocka_unit_test(test_growth_steps),
        cmocka_unit_test(test_optimiser), cmocka_unit_test(test_accumulate),
        cmocka_unit_test(test_stages),    cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_too_large), cmocka_unit_test(test_sampling),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
