/* Runs whose model grows on the way: killed and continued at every place around a growth, refused;
 * and what the optimiser does to old and new weights.
 *
 * The program starts itself again as a child (`test_growing child ...`) where a run is killed. */
#define _GNU_SOURCE
#include "adam_bound.h"
#include "base/clock.h"
#include "base/rng.h"
#include "grow/request.h"
#include "run_tools.h"
#include "train/checkpoint.h"
#include "train/growing.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 20, FIRST = 8, SECOND = 14 };
static const char schedule[] = "8: width=48 ff=+16; 14: livs=GConv-1@2 heads=+1 state=+3";

static sartor_train_options growing_run(const char *out) {
    sartor_train_options o = small_run(out, STEPS);
    o.grow = schedule;
    o.new_warmup = 3;
    return o;
}

/* The steps whose lines tell of a growth, at most n of them; returns how many. */
static int grown_lines(const char *out, int64_t *step, int n) {
    char path[256], line[2048];
    int found = 0;
    snprintf(path, sizeof path, "%s/metrics.jsonl", out);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        if (strstr(line, "\"grown\"") != NULL) {
            assert_true(found < n);
            assert_int_equal(sscanf(line, "{\"step\": %" SCNd64, &step[found++]), 1);
        }
    fclose(f);
    return found;
}

/* Two runs of the schedule that ended alike. */
static void same_runs(const char *whole, const char *parts) {
    int64_t step[3];
    same_tensors(whole, parts, "model.safetensors");
    same_tensors(whole, parts, "state.safetensors");
    same_metrics(whole, parts, STEPS);
    assert_int_equal(grown_lines(parts, step, 3), 2);
    assert_int_equal(step[0], FIRST + 1);
    assert_int_equal(step[1], SECOND + 1);
    assert_false(exists(parts, "checkpoint.safetensors"));
}

/* ---- children that are killed at a place of their own ---- */

static int64_t kill_step;
static const char *kill_line;

static void kill_before_step(void *user, int64_t step, int64_t steps, double loss) {
    (void)user, (void)steps, (void)loss;
    if (step == kill_step) raise(SIGKILL);
}

static void kill_at_line(void *user, const char *line) {
    (void)user;
    if (kill_line != NULL && strstr(line, kill_line) != NULL) raise(SIGKILL);
}

/* child OUT CHECKPOINT_EVERY STEP LINE DATA VALIDATION CACHE: killed before this step, or when this
 * is logged. */
static int child(char **arg) {
    sartor_context *c = sartor_context_create();
    snprintf(data, sizeof data, "%s", arg[4]);
    snprintf(validation, sizeof validation, "%s", arg[5]);
    snprintf(root, sizeof root, "%s", arg[6]);
    sartor_train_options o = growing_run(arg[0]);
    o.checkpoint_every = strtol(arg[1], NULL, 10);
    kill_step = strtol(arg[2], NULL, 10);
    kill_line = *arg[3] != '\0' ? arg[3] : NULL;
    sartor_set_log(c, kill_at_line, NULL);
    sartor_measure m;
    sartor_status status =
        sr_run_train(c, &o, NULL, &(sr_run_limits){.before_step = kill_before_step}, &m);
    if (status != SARTOR_OK) fprintf(stderr, "%s\n", sartor_error(c));
    sartor_context_destroy(&c);
    return (int)status;
}

static pid_t start_child(const char *out, int every, int step, const char *line) {
    char text[2][16];
    snprintf(text[0], sizeof text[0], "%d", every);
    snprintf(text[1], sizeof text[1], "%d", step);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_growing", "child", out, text[0], text[1], line, data,
              validation, root, (char *)NULL);
        _exit(97);
    }
    return pid;
}

/* Before a growth, right behind it, and after the step that follows; with a checkpoint before, at
 * and behind the growth. */
static void test_killed(void **state) {
    (void)state;
    static const struct {
        int step;
        const char *line;
    } kills[] = {{FIRST, ""},  {-1, "step 8: grown"},  {FIRST + 1, ""},  {FIRST + 2, ""},
                 {SECOND, ""}, {-1, "step 14: grown"}, {SECOND + 1, ""}, {SECOND + 2, ""}};
    static const int every[] = {1, 3, 4, 100};
    const char *whole = out_folder("unkilled");
    sartor_train_options o = growing_run(whole);
    run_to_end(&o);
    for (size_t e = 0; e < sizeof every / sizeof *every; e++) {
        char name[32];
        snprintf(name, sizeof name, "killed%d", every[e]);
        const char *killed = out_folder(name);
        for (size_t k = 0; k < sizeof kills / sizeof *kills; k++) {
            const pid_t pid = start_child(killed, every[e], kills[k].step, kills[k].line);
            assert_int_equal(wait_child(pid), -SIGKILL);
        }
        assert_int_equal(wait_child(start_child(killed, every[e], -1, "")), 0);
        same_runs(whole, killed);
    }
}

static void test_killed_anywhere(void **state) {
    (void)state;
    enum { KILLS = 6 };
    const char *whole = out_folder("timed"), *killed = out_folder("killed-anywhere");
    const double start = sr_seconds();
    assert_int_equal(wait_child(start_child(whole, 2, -1, "")), 0);
    const double all = sr_seconds() - start;
    const sr_rng rng = {(uint64_t)getpid(), SR_FOR_TEST, 1};
    for (uint64_t i = 0; i < KILLS; i++) {
        const pid_t pid = start_child(killed, 2, -1, "");
        usleep((useconds_t)(1e6 * all * sr_rng_uniform(rng, i)));
        kill(pid, SIGKILL);
        const int code = wait_child(pid);
        assert_true(code == -SIGKILL || code == 0);
    }
    assert_int_equal(wait_child(start_child(killed, 2, -1, "")), 0);
    same_runs(whole, killed);
}

/* Pauses, each with a model, at the step of a growth and behind it; interruptions in between. */
static void test_parts(void **state) {
    (void)state;
    static const int64_t pauses[] = {FIRST, FIRST + 1, SECOND - 1, SECOND, SECOND + 1};
    const char *whole = out_folder("whole"), *parts = out_folder("parts");
    sartor_train_options o = growing_run(whole);
    const sartor_measure end = run_to_end(&o);
    o.out = parts;
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        run_part(&o, &(sr_run_limits){.pause = pauses[i]});
        sartor_context *c = sartor_context_create();
        sartor_train_options part = o;
        part.progress = interrupt_now;
        part.progress_user = c;
        sartor_measure m;
        assert_int_equal(sartor_train(c, &part, &m), SARTOR_INTERRUPTED);
        sartor_context_destroy(&c);
    }
    const sartor_measure m = run_to_end(&o);
    assert_true(m.bits_per_byte == end.bits_per_byte);
    same_runs(whole, parts);
}

/* What the run says of new weights is what its checkpoint says of their birth. */
static void test_born(void **state) {
    (void)state;
    const char *out = out_folder("born");
    char path[192];
    sartor_train_options o = growing_run(out);
    o.new_rate = 0.25;
    o.freeze_old = true;
    run_part(&o, &(sr_run_limits){.pause = FIRST + 1});
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", out);
    sr_st_reader *reader;
    sr_model *model;
    json_t *settings;
    sr_run_record record;
    if (sr_model_open(ctx, path, &reader, &model) != SARTOR_OK ||
        sr_record_load(ctx, path, reader, &settings, &record) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    assert_int_equal(record.births.count, 1);
    const sr_generation born = record.births.birth[0];
    assert_int_equal(born.step, FIRST);
    assert_true(born.rate_factor == 0.25);
    assert_int_equal(born.warmup, 3);
    assert_true(born.freeze_old);
    json_decref(settings);
    sr_model_destroy(&model);
    sr_st_close(&reader);
}

/* ---- what is refused ---- */

static void test_refused(void **state) {
    (void)state;
    const char *out = out_folder("refused");
    sartor_train_options good = growing_run(out), o = good;
    static const struct {
        const char *grow, *says;
    } bad[] = {
        {"", "stage 1: expected STEP: WHAT"},
        {"8 width=48", "stage 1: expected STEP: WHAT"},
        {"0: width=48", "step 0 is outside 1 to 20"},
        {"21: width=48", "step 21 is outside 1 to 20"},
        {"99999999999999999999: width=48", "stage 1: expected STEP: WHAT"},
        {"8: width=48; 8: ff=+1", "stage 2: step 8 does not lie behind step 8"},
        {"8: ; 9: ff=+1", "stage 1: nothing is asked for"},
        {"8: width=16", "stage 1: width would shrink from 32 to 16"},
        {"8: width=48; 9: width=40", "stage 2: width would shrink from 48 to 40"},
        {"8: width=32", "stage 1: nothing would grow"},
        {"8: depth=2", "nothing that grows is called 'depth'"},
        {"8: livs=SA-99@end", "SA-99"},
        {"8: width=48 ff=+1 width=50", "stage 1: width is given twice"},
        {"8: livs=SA-1@end; 9: livs=SA-1@start livs=SA-1@end", "stage 2: livs is given twice"},
        {"8: ff=+1 at=2 at=4", "stage 1: at is given twice"},
        {"8: livs=SA-1@end,SA-3@start", "stage 1: livs: 'SA-1@end,SA-3@start' names more than one"},
        {"8: width=48; 9: at=7 ff=99", "not within LIVs 1 to 4"},
        {"8: width=65536 ff=65536", "memory"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.grow = bad[i].grow;
        refused(&o, i + 1 == sizeof bad / sizeof *bad ? SARTOR_MEMORY : SARTOR_INVALID,
                bad[i].says);
        assert_null(strchr(sartor_error(ctx), '\n'));
    }
    assert_int_not_equal(access(out, F_OK), 0); /* nothing was written */

    for (int done = 0; done < 2; done++) { /* between the growths, and when all is done */
        run_part(&good, &(sr_run_limits){.pause = done ? 0 : FIRST + 2});
        o = good, o.grow = NULL;
        refused(&o, SARTOR_MISMATCH, "growth");
        o = good, o.grow = "8: width=48 ff=+16";
        refused(&o, SARTOR_MISMATCH, "growth");
        o = good, o.grow = "8: width=48 ff=+16; 15: livs=GConv-1@2 heads=+1 state=+3";
        refused(&o, SARTOR_MISMATCH, "growth");
        o = good, o.new_warmup = 4;
        refused(&o, SARTOR_MISMATCH, "3, asked for is 4");
        o = good, o.new_rate = 0.5;
        refused(&o, SARTOR_MISMATCH, "asked for is 0.5");
        o = good, o.freeze_old = true;
        refused(&o, SARTOR_MISMATCH, "asked for is yes");
        assert_null(strchr(sartor_error(ctx), '\n'));
        /* other blanks are no other schedule */
        o = good, o.grow = " 8:width=48   ff=+16 ;14: livs=GConv-1@2 heads=+1  state=+3; ";
        if (done) run_to_end(&o);
    }
}

/* ---- old and new weights under the optimiser ---- */

enum { ROWS = 2, LENGTH = 16, VOCAB = 61, WARM = 30, AFTER = 100 };

/* Every token follows from the one before: there is something to learn. */
static int64_t fill(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets) {
    (void)user, (void)micro;
    const sr_rng rng = {(uint64_t)step, SR_FOR_TEST, 0};
    for (uint64_t i = 0; i < ROWS * LENGTH; i++) {
        ids[i] = (int32_t)sr_rng_below(rng, i, VOCAB);
        targets[i] = (7 * ids[i] + 3) % VOCAB;
    }
    return 0;
}

static void good(sartor_status status) {
    if (status != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
}

/* A model after some steps of training. */
static sr_stage make_stage(const char *arch, const sr_run_settings *s, const sr_run_record *r) {
    const sr_task task = {.fill = fill};
    sr_genome *genome = calloc(1, sizeof *genome);
    sr_stage stage = {.model = NULL};
    sr_step step;
    good(sr_arch_parse(ctx, arch, 0, genome));
    good(sr_model_create(ctx, genome, &s->sizes, &stage.model));
    free(genome);
    good(sr_stage_plan(ctx, &stage, s));
    good(sr_stage_allocate(ctx, &stage, r));
    sr_model_init(stage.model, s->seed);
    sr_trainer_refresh(stage.trainer);
    for (int i = 0; i < WARM; i++) good(sr_trainer_step(ctx, stage.trainer, &task, &step));
    return stage;
}

/* Old weights take the ungrown model's next step. */
static double old_difference(sr_stage *ungrown, const sr_stage *grown, const char *text) {
    sr_growth_request request;
    sr_growth *g;
    double worst = 0;
    const size_t n = (size_t)ungrown->model->schema.elements;
    float *back = calloc(n, sizeof *back);
    good(sr_growth_request_parse(ctx, text, strlen(text), &request));
    good(sr_growth_plan(ctx, ungrown->model, &request, &g));
    sr_growth_shrink(g, grown->model->params, back);
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)back[i] - (double)ungrown->model->params[i]));
    free(back);
    sr_growth_destroy(&g);
    sr_growth_request_free(&request);
    return worst;
}

/* One step; the largest update of a new weight in learning rates. */
static double largest_update(sr_stage *s) {
    const sr_task task = {.fill = fill};
    const sr_trainer *t = s->trainer;
    const size_t n = (size_t)s->model->schema.elements;
    float *before = malloc(n * sizeof *before);
    double worst = 0;
    sr_step step;
    memcpy(before, s->model->params, n * sizeof *before);
    good(sr_trainer_step(ctx, s->trainer, &task, &step));
    for (size_t i = 0; i < n; i++)
        if (t->generation[i] > 0)
            worst = fmax(worst, fabs((double)s->model->params[i] - (double)before[i]) / step.rate);
    free(before);
    return worst;
}

/* Of short runs on that task. */
static sr_run_settings short_settings(void) {
    const sr_sizes sizes = {.width = 32,
                            .head_dim = 8,
                            .window = 8,
                            .vocab = VOCAB,
                            .context = LENGTH,
                            .filter_length = LENGTH};
    return (sr_run_settings){.sizes = sizes,
                             .batch = ROWS,
                             .accumulate = 1,
                             .steps = WARM + AFTER,
                             .warmup = 5,
                             .rate = 3e-3,
                             .min_rate = 3e-4,
                             .precision = SARTOR_F32,
                             .threads = 1,
                             .seed = 3};
}

/* Without decay and clipping: a larger model has a larger norm. */
static void test_updates(void **state) {
    (void)state;
    static const struct {
        const char *arch, *request;
    } cases[] = {
        {"SA-1 GMemless Rec-1 GMemless", "width=+5 ff=+7 heads=+1 state=+2"},
        {"SA-3 GConv-1 GLA MLP", "width=+8 key=+2 value=+3 taps=+1 channels=+4"},
        {"Mamba-2 GMemless RWKV-6", "width=+16 heads=+2 livs=SA-1,GMemless@1"},
    };
    const sr_run_settings settings = short_settings();
    const sr_generation born = {.rate_factor = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_run_record record = {.totals = 1, .total = {WARM + AFTER}, .validation = NAN};
        sr_stage ungrown = make_stage(cases[i].arch, &settings, &record),
                 grown = make_stage(cases[i].arch, &settings, &record);
        sr_growing_result result;
        good(sr_growing_step(ctx, &grown, cases[i].request, &born, &settings, &record, &result));
        assert_true(result.params_after > result.params_before);
        const sr_task task = {.fill = fill};
        sr_step step;
        good(sr_trainer_step(ctx, ungrown.trainer, &task, &step));
        double peak = 0;
        for (int k = 0; k < AFTER; k++) {
            /* what gradients of any kind can do: 1 at first, 1.16 in the end */
            peak = fmax(peak, largest_update(&grown) / adam_most(k + 1, SR_ADAM_BETA2));
            if (k > 0) continue;
            assert_true(peak > 0.9);
            const double d = old_difference(&ungrown, &grown, cases[i].request);
            if (!(d <= 1e-6)) fail_msg("%s: old weights differ by %g", cases[i].request, d);
        }
        if (!(peak <= 1 + 1e-3)) fail_msg("%s: %g of the bound", cases[i].request, peak);
        sr_stage_free(&ungrown);
        sr_stage_free(&grown);
    }
}

/* A second growth keeps the generations, and the moments, that the first one made. */
static void test_generations(void **state) {
    (void)state;
    static const char second[] = "width=+4 livs=SA-1@1";
    const sr_run_settings settings = short_settings();
    const sr_generation born = {.rate_factor = 1};
    sr_run_record record = {.totals = 1, .total = {WARM + AFTER}, .validation = NAN};
    sr_stage s = make_stage("SA-1 GMemless", &settings, &record);
    sr_growing_result result;
    sr_growth_request request;
    sr_growth *g;
    sr_step step;
    good(sr_growing_step(ctx, &s, "ff=+7 heads=+1", &born, &settings, &record, &result));
    for (int i = 0; i < 3; i++)
        good(sr_trainer_step(ctx, s.trainer, &(sr_task){.fill = fill}, &step));
    good(sr_growth_request_parse(ctx, second, strlen(second), &request));
    good(sr_growth_plan(ctx, s.model, &request, &g));
    const size_t n = (size_t)s.model->schema.elements, grown = (size_t)g->to->schema.elements;
    uint8_t *before = malloc(n), *expected = malloc(grown);
    float *m = calloc(grown, sizeof *m), *v = calloc(grown, sizeof *v);
    memcpy(before, s.trainer->generation, n);
    sr_growth_generations(g, before, 2, expected);
    sr_growth_moments(g, s.trainer->m, m);
    sr_growth_moments(g, s.trainer->v, v);
    sr_growth_destroy(&g);
    sr_growth_request_free(&request);
    good(sr_growing_step(ctx, &s, second, &born, &settings, &record, &result));
    assert_int_equal(s.trainer->step, WARM + 3);
    assert_int_equal(record.births.count, 2);
    assert_int_equal(record.births.birth[0].step, WARM);
    assert_int_equal(record.births.birth[1].step, WARM + 3);
    assert_memory_equal(s.trainer->generation, expected, grown);
    assert_memory_equal(s.trainer->m, m, grown * sizeof *m);
    assert_memory_equal(s.trainer->v, v, grown * sizeof *v);
    size_t of[3] = {0};
    for (size_t i = 0; i < grown; i++) of[expected[i]]++;
    assert_true(of[0] > 0 && of[1] > 0 && of[2] > 0);
    free(before);
    free(expected);
    free(m);
    free(v);
    sr_stage_free(&s);
}

/* Correlation of the last columns [columns - n, columns) of a matrix with those [before - n,
 * before) that `old` [., before] has in row 2 row + 1. */
static double correlation(const float *to, int64_t columns, const float *old, int64_t before,
                          int64_t rows, int64_t n) {
    double aa = 0, ab = 0, bb = 0;
    for (int64_t r = 0; 2 * r + 1 < rows; r++)
        for (int64_t c = 1; c <= n; c++) {
            const double a = (double)to[(r + 1) * columns - c],
                         b = (double)old[(2 * r + 2) * before - c];
            aa += a * a, ab += a * b, bb += b * b;
        }
    return ab / sqrt(aa * bb);
}

/* Every growth of a run draws numbers of its own. Numbers go with the place in a tensor: one seed
 * for all would draw for the new half of row r of a matrix twice as wide what was drawn for row
 * 2 r + 1 before, at first or in the growth before. */
static void test_numbers(void **state) {
    (void)state;
    const sr_run_settings settings = short_settings();
    const sr_generation born = {.rate_factor = 1};
    sr_run_record record = {.totals = 1, .total = {WARM + AFTER}, .validation = NAN};
    sr_stage s = make_stage("SA-1 GMemless", &settings, &record);
    for (int64_t width = settings.sizes.width; width < 4 * settings.sizes.width; width *= 2) {
        const int i = sr_schema_find(&s.model->schema, "liv.1.gate.weight");
        assert_true(i >= 0);
        const sr_param p = s.model->schema.param[i];
        const size_t n = (size_t)(p.rows * p.cols);
        float *before = malloc(n * sizeof *before);
        memcpy(before, s.model->params + p.offset, n * sizeof *before);
        char request[32];
        sr_growing_result result;
        snprintf(request, sizeof request, "width=%d", (int)(2 * width));
        good(sr_growing_step(ctx, &s, request, &born, &settings, &record, &result));
        const int64_t drawn = settings.sizes.width; /* of columns in the last growth, or at first */
        const sr_param *q = &s.model->schema.param[sr_schema_find(&s.model->schema, p.name)];
        const double found =
            correlation(s.model->params + q->offset, q->cols, before, p.cols, p.rows, drawn);
        if (!(fabs(found) < 5 / sqrt((double)(p.rows / 2 * drawn))))
            fail_msg("width %s: numbers of another growth, correlation %g", request, found);
        free(before);
    }
    sr_stage_free(&s);
}

/* The first step behind a growth reads the bf16 copy of the weights that it made. */
static void test_rounded(void **state) {
    (void)state;
    sr_run_settings settings = short_settings();
    settings.precision = SARTOR_BF16;
    const sr_generation born = {.rate_factor = 1};
    sr_run_record record = {.totals = 1, .total = {WARM + AFTER}, .validation = NAN};
    sr_stage s = make_stage("SA-1 GMemless", &settings, &record);
    sr_growing_result result;
    good(sr_growing_step(ctx, &s, "width=+5 ff=+7", &born, &settings, &record, &result));
    const int64_t n = s.model->schema.elements;
    uint16_t *rounded = calloc((size_t)n, sizeof *rounded);
    sr_to_bf16(s.model->params, rounded, n, 1);
    assert_memory_equal(s.trainer->rounded, rounded, (size_t)n * sizeof *rounded);
    free(rounded);
    sr_stage_free(&s);
}

int main(int argc, char **argv) {
    if (argc == 9 && strcmp(argv[1], "child") == 0) return child(argv + 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed),      cmocka_unit_test(test_killed_anywhere),
        cmocka_unit_test(test_parts),       cmocka_unit_test(test_born),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_updates),
        cmocka_unit_test(test_generations), cmocka_unit_test(test_rounded),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
