/* Training what was born late: sizes of updates, rates, freezing, and checkpoints of grown models.
 */
#include "adam_bound.h"
#include "base/rng.h"
#include "model_run.h"
#include "train/checkpoint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static sartor_context *ctx;
static char file[64];

static int setup(void **state) {
    (void)state;
    ctx = sartor_context_create();
    snprintf(file, sizeof file, "/tmp/sartor-births-%ld.safetensors", (long)getpid());
    return ctx != NULL ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    unlink(file);
    return 0;
}

static void good(sartor_status status) {
    if (status != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
}

static void refused(sartor_status status, sartor_status expected, const char *words) {
    if (status != expected || strstr(sartor_error(ctx), words) == NULL)
        fail_msg("status %s, message '%s', expected %s with '%s'", sartor_status_name(status),
                 sartor_error(ctx), sartor_status_name(expected), words);
}

static void add(sr_births *births, int64_t step, double factor, int64_t warmup, bool freeze) {
    good(sr_births_add(ctx, births, &(sr_generation){step, factor, warmup, freeze}));
}

static bool same(float a, float b) { return memcmp(&a, &b, sizeof a) == 0; }

/* ---- updates of the optimiser ---- */

enum { N = 300, BORN = 20000, STEPS = 100 };
static const double rate = 1e-3;

/* Flat buffers of one tensor, every third entry new, all at rest. */
typedef struct flat {
    sr_schema schema;
    sr_optimiser optimiser;
    float p[N], g[N], m[N], v[N];
    uint8_t generation[N];
} flat;

static flat make_flat(void) {
    flat f = {.schema = {0}};
    sr_param p = {.name = "a", .axes = 1, .trained = true};
    p.axis[0] = (sr_axis){SR_AXIS_MODEL, SR_ALONG, SR_BETWEEN_LINEAR, N};
    assert_true(sr_schema_add(ctx, &f.schema, &p) >= 0);
    good(sr_optimiser_init(ctx, &f.schema, &f.optimiser));
    for (int i = 0; i < N; i++) f.generation[i] = i % 3 == 0;
    return f;
}

static void free_flat(flat *f) {
    sr_optimiser_free(&f->optimiser);
    sr_schema_free(&f->schema);
}

/* The update that follows `step` others; `births` NULL: all as old as the run. */
static void update(flat *f, const sr_births *births, int64_t step, double beta2) {
    sr_age age[SR_MAX_GROWTHS + 1];
    sr_ages ages = {f->generation, age, births != NULL ? births->count + 1 : 0};
    if (births != NULL) sr_births_ages(births, step, rate, age);
    sr_update u = {.step = step + 1,
                   .rate = rate,
                   .gradient_scale = 1,
                   .threads = 1,
                   .beta2 = beta2,
                   .ages = births != NULL ? &ages : NULL};
    sr_optimiser_step(&f->optimiser, &u, f->p, f->g, f->m, f->v, NULL);
}

typedef enum kind { CONSTANT, ALTERNATING, SIGNS, EVERY_SEVENTH, ONCE, NORMAL, KINDS } kind;

static float gradient(kind what, int i, int age) {
    const double size = pow(10, i % 7 - 3);
    const uint64_t draw = (uint64_t)age * N + (uint64_t)i;
    const sr_rng rng = {4, SR_FOR_TEST, 0};
    switch (what) {
    case ALTERNATING:
        return (float)(age % 2 ? size : -size);
    case SIGNS:
        return (float)(sr_rng_below(rng, draw, 2) ? size : -size);
    case EVERY_SEVENTH:
        return age % 7 == i % 7 ? (float)size : 0;
    case ONCE:
        return age == i / 3 ? (float)size : 0;
    case NORMAL:
        return (float)(size * sr_rng_normal(rng, draw));
    default:
        return (float)size;
    }
}

/* The largest update of a new entry in its first steps, in learning rates. */
static double largest(kind what, double beta2, const sr_births *births) {
    flat f = make_flat(), plain = make_flat();
    double peak = 0;
    for (int age = 0; age < STEPS; age++) {
        float before[N];
        memcpy(before, f.p, sizeof before);
        for (int i = 0; i < N; i++) f.g[i] = plain.g[i] = gradient(what, i, age);
        update(&f, births, BORN + age, beta2);
        update(&plain, NULL, BORN + age, beta2);
        for (int i = 0; i < N; i++) {
            double moved = fabs((double)f.p[i] - (double)before[i]) / rate;
            if (f.generation[i] == 0) /* bit for bit as without births */
                assert_true(same(f.p[i], plain.p[i]) && same(f.m[i], plain.m[i]) &&
                            same(f.v[i], plain.v[i]));
            else if (births != NULL)
                assert_true(moved <= adam_most(age + 1, beta2) * (1 + 2e-5));
            if (f.generation[i] == 1 && moved > peak) peak = moved;
        }
    }
    free_flat(&f);
    free_flat(&plain);
    return peak;
}

static void test_one_rate(void **state) {
    (void)state;
    static const double beta2[] = {0.95, 0.999}, old_count[] = {1.1, 6.6};
    sr_births births = {0};
    add(&births, BORN, 1, 0, false);
    for (int b = 0; b < 2; b++) {
        for (kind what = CONSTANT; what < NORMAL; what++) {
            double moved = largest(what, beta2[b], &births);
            if (!(moved <= 1 + 2e-5) || moved < 0.5)
                fail_msg("kind %d, beta2 %g: %g learning rates", (int)what, beta2[b], moved);
        }
        double moved = largest(NORMAL, beta2[b], &births);
        if (!(moved <= 1.005)) fail_msg("normal, beta2 %g: %g learning rates", beta2[b], moved);
        /* What own steps are good for: with the run's count a constant gradient makes leaps. */
        moved = largest(CONSTANT, beta2[b], NULL);
        assert_true(fabs(moved - old_count[b]) < 0.06);
    }
}

static void test_rates(void **state) {
    (void)state;
    sr_births births = {0};
    sr_age age[SR_MAX_GROWTHS + 1];
    sr_births_ages(&births, 7, 2, age);
    assert_true(age[0].rate == 2 && age[0].step == 8 && !age[0].frozen);

    add(&births, 10, 0.5, 4, true);
    add(&births, 12, 3, 0, false);
    sr_births_ages(&births, 12, 2, age);
    assert_true(age[0].rate == 2 && age[0].step == 13 && !age[0].frozen);
    assert_true(age[1].rate == 2 * 0.5 * 3 / 4 && age[1].step == 3 && !age[1].frozen);
    assert_true(age[2].rate == 6 && age[2].step == 1 && !age[2].frozen);
    sr_births_ages(&births, 13, 2, age);
    assert_true(age[1].rate == 1);
    sr_births_ages(&births, 400, 2, age);
    assert_true(age[1].rate == 1 && age[1].step == 391 && age[2].step == 389);

    /* A constant gradient moves every entry by its rate. */
    births.count = 1;
    births.birth[0] = (sr_generation){BORN, 0.25, 8, false};
    flat f = make_flat();
    for (int own = 0; own < 12; own++) {
        for (int i = 0; i < N; i++) f.g[i] = 1;
        float before = f.p[3];
        update(&f, &births, BORN + own, 0.95);
        double expected = rate * 0.25 * (own < 8 ? (own + 1) / 8.0 : 1);
        assert_true(fabs((double)before - (double)f.p[3] - expected) < 1e-4 * expected);
    }
    free_flat(&f);
}

/* New parts learn at the schedule's rate after 200 steps, beside the old ones, unless told how. */
static void test_defaults(void **state) {
    (void)state;
    sr_generation born = sr_generation_defaults();
    assert_true(born.step == 0 && born.rate_factor == 1 && born.warmup == 200 && !born.freeze_old);
    born = sr_generation_with(-1, -1, false);
    assert_true(born.rate_factor == 1 && born.warmup == 200 && !born.freeze_old);
    born = sr_generation_with(0, 0, true);
    assert_true(born.rate_factor == 0 && born.warmup == 0 && born.freeze_old);
    born = sr_generation_with(0.5, -1, false);
    assert_true(born.rate_factor == 0.5 && born.warmup == 200);
}

static void test_refused_births(void **state) {
    (void)state;
    sr_births births = {0};
    add(&births, 5, 0, 0, true);
    const struct {
        sr_generation born;
        const char *words;
    } bad[] = {
        {{4, 1, 0, false}, "growth at step 4 lies before step 5"},
        {{5, -1, 0, false}, "the learning-rate factor of new parts is -1"},
        {{5, NAN, 0, false}, "the learning-rate factor"},
        {{5, 1, -2, false}, "the warm-up of new parts is -2"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(sr_births_add(ctx, &births, &bad[i].born), SARTOR_INVALID, bad[i].words);
    refused(sr_births_add(ctx, &(sr_births){0}, &(sr_generation){-1, 1, 0, false}), SARTOR_INVALID,
            "step -1");
    assert_int_equal(births.count, 1);
    while (births.count < SR_MAX_GROWTHS) add(&births, 5, 1, 0, false);
    refused(sr_births_add(ctx, &births, &(sr_generation){6, 1, 0, false}), SARTOR_INVALID,
            "grew 64 times, no more");
}

/* ---- trainers ---- */

enum { ROWS = 2, LENGTH = 16, VOCAB = 257 };

/* Text without sense; a function of the step, as tasks are. */
static int64_t fill(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets) {
    (void)user;
    (void)micro;
    const sr_rng rng = {(uint64_t)step, SR_FOR_TEST, 0};
    for (uint64_t i = 0; i < ROWS * LENGTH; i++) {
        ids[i] = (int32_t)sr_rng_below(rng, 2 * i, VOCAB);
        targets[i] = (int32_t)sr_rng_below(rng, 2 * i + 1, VOCAB);
    }
    return 0;
}

/* A trainer of initial weights and its model, with the generations 0..births.count in turn. */
static sr_trainer *make_trainer(sr_numbers numbers, const sr_births *births, int64_t step) {
    const sr_sizes sizes = {.width = 32,
                            .head_dim = 16,
                            .window = 8,
                            .vocab = VOCAB,
                            .context = LENGTH,
                            .filter_length = LENGTH};
    sr_model *model = model_make(ctx, "SA-1 GMemless Rec-1", &sizes, 5);
    sr_trainer_options options = {
        .rows = ROWS,
        .length = LENGTH,
        .accumulate = 1,
        .numbers = numbers,
        .threads = 1,
        .weight_decay = 0.1,
        .clip = 0.5,
        .schedule = {.peak = 0.01, .floor = 0.001, .warmup = 2, .totals = 1, .total = {40}},
        .births = *births};
    sr_trainer *t;
    good(sr_trainer_create(ctx, model, &options, &t));
    good(sr_trainer_allocate(ctx, t));
    assert_int_equal(t->generation != NULL, births->count > 0);
    if (t->generation != NULL)
        for (int64_t i = 0; i < model->schema.elements; i++)
            t->generation[i] = (uint8_t)(i / 3 % (births->count + 1));
    t->step = step;
    sr_trainer_refresh(t);
    return t;
}

static void free_trainer(sr_trainer *t) {
    sr_model *model = t->model;
    sr_trainer_destroy(&t);
    sr_model_destroy(&model);
}

static sr_step go(sr_trainer *t, int steps) {
    const sr_task task = {.fill = fill};
    sr_step step = {0};
    for (int i = 0; i < steps; i++) good(sr_trainer_step(ctx, t, &task, &step));
    return step;
}

static void same_trainers(const sr_trainer *a, const sr_trainer *b) {
    const size_t n = (size_t)a->model->schema.elements;
    assert_int_equal(a->step, b->step);
    assert_memory_equal(a->model->params, b->model->params, n * sizeof(float));
    assert_memory_equal(a->m, b->m, n * sizeof(float));
    assert_memory_equal(a->v, b->v, n * sizeof(float));
    if (a->rounded != NULL) assert_memory_equal(a->rounded, b->rounded, n * sizeof *a->rounded);
}

/* Births change nothing for a model in which nothing is new. */
static void test_nothing_new(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        const sr_numbers numbers = k == 0 ? SR_FAST_F32 : SR_FAST_BF16;
        sr_births births = {0};
        sr_trainer *plain = make_trainer(numbers, &births, 0);
        add(&births, 0, 0.3, 5, false);
        sr_trainer *grown = make_trainer(numbers, &births, 0);
        const int64_t n = grown->model->schema.elements;
        assert_int_equal(sr_trainer_bytes(grown) - sr_trainer_bytes(plain), n);
        memset(grown->generation, 0, (size_t)n);
        go(plain, 5);
        go(grown, 5);
        same_trainers(plain, grown);
        free_trainer(plain);
        free_trainer(grown);
    }
}

/* Only the latest generation trains, and alone makes the norm; the next growth thaws the others. */
static void test_freeze_old(void **state) {
    (void)state;
    sr_births births = {0};
    add(&births, 1, 1, 0, false);
    sr_trainer *t = make_trainer(SR_FAST_BF16, &births, 1);
    const sr_schema *schema = &t->model->schema;
    const size_t n = (size_t)schema->elements, bytes = n * sizeof(float);
    go(t, 2); /* moments are there */
    add(&t->options.births, 3, 1, 0, true);
    for (size_t i = 0; i < n; i += 5) t->generation[i] = 2;
    float *params = malloc(bytes), *m = malloc(bytes), *v = malloc(bytes);
    memcpy(params, t->model->params, bytes);
    memcpy(m, t->m, bytes);
    memcpy(v, t->v, bytes);
    sr_step step = go(t, 1);
    double squares = 0;
    for (int r = 0; r < t->optimiser.ranges; r++) {
        const int64_t first = t->optimiser.range[r].first;
        for (int64_t i = first; i < first + t->optimiser.range[r].count; i++)
            if (t->generation[i] == 2) squares += (double)t->grads[i] * (double)t->grads[i];
    }
    assert_true(squares > 0 && fabs(step.norm - sqrt(squares)) <= 1e-9 * step.norm);
    go(t, 2);
    size_t moved = 0, new = 0;
    for (size_t i = 0; i < n; i++) {
        const bool still =
            same(params[i], t->model->params[i]) && same(m[i], t->m[i]) && same(v[i], t->v[i]);
        assert_true(t->generation[i] == 2 || still);
        new += t->generation[i] == 2;
        moved += !still;
    }
    assert_true(10 * moved > 9 * new); /* some are constants */

    add(&t->options.births, 6, 1, 0, false);
    go(t, 1);
    moved = 0;
    for (size_t i = 0; i < n; i++) moved += !same(params[i], t->model->params[i]);
    assert_true(10 * moved > 9 * n);
    free(params);
    free(m);
    free(v);
    free_trainer(t);
}

/* ---- checkpoints ---- */

static sr_tokenizer *tokenizer;
static json_t *settings;

static void write_checkpoint(const sr_trainer *t, const sr_births *births) {
    sr_run_record record = {.step = t->step,
                            .tokens = t->step * ROWS * LENGTH,
                            .validation = NAN,
                            .totals = 1,
                            .total = {40},
                            .births = *births};
    good(sr_checkpoint_write(ctx, file, t, tokenizer, settings, &record));
}

/* Reads the file's record and, where that is good, its buffers into a new trainer. */
static sartor_status read_checkpoint(sr_run_record *record, int *format, sr_trainer **trainer) {
    sr_st_reader *reader = NULL;
    good(sr_st_open(ctx, file, &reader));
    const char *text = sr_st_metadata(reader, "sartor.run");
    *format = text != NULL && strstr(text, "\"version\":2") != NULL ? 2 : 1;
    *trainer = NULL;
    sartor_status status = sr_record_read(ctx, "run", reader, settings, record);
    if (status == SARTOR_OK) {
        *trainer = make_trainer(SR_FAST_BF16, &record->births, 0);
        status = sr_checkpoint_read(ctx, reader, record, *trainer);
    }
    sr_st_close(&reader);
    return status;
}

static int open_tokenizer(void **state) {
    (void)state;
    settings = json_object();
    return settings != NULL && sr_tokenizer_bytes(ctx, &tokenizer) == SARTOR_OK ? 0 : -1;
}

static int close_tokenizer(void **state) {
    (void)state;
    sr_tokenizer_free(&tokenizer);
    json_decref(settings);
    return 0;
}

static void test_resume(void **state) {
    (void)state;
    for (int grown = 0; grown < 2; grown++) {
        sr_births births = {0};
        if (grown) {
            add(&births, 2, 1.0 / 3, 5, false);
            add(&births, 4, 0.7, 9, true);
        }
        sr_trainer *t = make_trainer(SR_FAST_BF16, &births, 5), *again;
        go(t, 3);
        write_checkpoint(t, &births);
        sr_run_record record;
        int format;
        good(read_checkpoint(&record, &format, &again));
        assert_int_equal(format, 1 + grown);
        assert_int_equal(record.births.count, births.count);
        for (int i = 0; i < births.count; i++) {
            const sr_generation *a = &births.birth[i], *b = &record.births.birth[i];
            assert_true(a->step == b->step && a->rate_factor == b->rate_factor &&
                        a->warmup == b->warmup && a->freeze_old == b->freeze_old);
        }
        same_trainers(t, again);
        if (grown)
            assert_memory_equal(t->generation, again->generation,
                                (size_t)t->model->schema.elements);
        go(t, 6);
        go(again, 6);
        same_trainers(t, again);
        free_trainer(t);
        free_trainer(again);
    }
}

static void check_refused(sartor_status expected, const char *words) {
    sr_run_record record;
    int format;
    sr_trainer *t;
    refused(read_checkpoint(&record, &format, &t), expected, words);
    if (t != NULL) free_trainer(t);
}

static void test_damaged(void **state) {
    (void)state;
    sr_births births = {0};
    sr_trainer *plain = make_trainer(SR_FAST_BF16, &births, 9);
    add(&births, 2, 1, 0, false);
    add(&births, 4, 1, 0, false);
    write_checkpoint(plain, &births);
    check_refused(SARTOR_MISMATCH, "adam.generation.");
    free_trainer(plain);

    sr_trainer *t = make_trainer(SR_FAST_BF16, &births, 9);
    t->generation[70] = 3;
    write_checkpoint(t, &births);
    check_refused(SARTOR_FORMAT, "a weight of generation 3, but its model grew 2 times");
    t->generation[70] = 2;
    write_checkpoint(t, &births);
    sr_run_record record;
    int format;
    sr_trainer *again;
    good(read_checkpoint(&record, &format, &again));
    free_trainer(again);

    static const sr_generation bad[] = {
        {10, 1, 0, false}, {3, 1, 0, false}, {9, -1, 0, false}, {9, 1, -1, false}};
    births.count = 3;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        births.birth[2] = bad[i];
        write_checkpoint(t, &births);
        check_refused(SARTOR_FORMAT, "the record of the run is damaged");
    }
    free_trainer(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_rate),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refused_births),
        cmocka_unit_test(test_nothing_new),
        cmocka_unit_test(test_freeze_old),
        cmocka_unit_test_setup_teardown(test_resume, open_tokenizer, close_tokenizer),
        cmocka_unit_test_setup_teardown(test_damaged, open_tokenizer, close_tokenizer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
