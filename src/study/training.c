#define _GNU_SOURCE
#include "study/training.h"

#include "study/attempt.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CURVE_POINTS = 64, MAX_LINE = 1024 };
static const double checkpoint_seconds = 5;

static const sr_attempt_file run_files[] = {{"checkpoint.safetensors", false},
                                            {"state.safetensors", false},
                                            {"model.safetensors", false},
                                            {"metrics.jsonl", true}};

/* ---- curves ---- */

/* Validated steps and about CURVE_POINTS others. */
static json_t *read_curve(const char *folder, int64_t steps) {
    char *path = NULL, line[MAX_LINE];
    json_t *curve = json_array();
    FILE *f = asprintf(&path, "%s/metrics.jsonl", folder) < 0 ? NULL : fopen(path, "r");
    int64_t every = steps / CURVE_POINTS + 1;
    while (curve != NULL && f != NULL && fgets(line, sizeof line, f) != NULL) {
        json_t *row = json_loads(line, 0, NULL);
        json_int_t step = json_integer_value(json_object_get(row, "step"));
        json_t *validation = json_object_get(row, "validation_bits_per_byte");
        if (step == 1 || step == steps || step % every == 0 || validation != NULL)
            (void)json_array_append_new(curve, json_pack("[I, O, O, O?]", step,
                                                         json_object_get(row, "tokens"),
                                                         json_object_get(row, "loss"), validation));
        json_decref(row);
    }
    if (f != NULL) fclose(f);
    free(path);
    return curve;
}

/* The last point carries the final measure, which reads more text than those on the way. */
static void end_curve(json_t *curve, const sartor_measure *measure) {
    size_t n = json_array_size(curve);
    if (n > 0)
        (void)json_array_set_new(json_array_get(curve, n - 1), 3,
                                 json_real(measure->bits_per_byte));
}

static double number_or_nan(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

sartor_status sr_curve_store(sartor_context *ctx, sr_study *study, int64_t job,
                             const json_t *curve) {
    size_t i;
    const json_t *p;
    json_array_foreach(curve, i, p) SR_TRY(
        sr_curve_add(ctx, study, job, json_integer_value(json_array_get(p, 0)),
                     json_integer_value(json_array_get(p, 1)), number_or_nan(json_array_get(p, 2)),
                     number_or_nan(json_array_get(p, 3))));
    return SARTOR_OK;
}

/* ---- training ---- */

static void publish(void *user, int64_t step, int64_t steps, double loss) {
    sr_worker_progress(user, step, steps, loss);
}

static int64_t steps_of(const sartor_train_options *o) {
    const int64_t each = o->batch * o->accumulate * o->sizes.context;
    return o->tokens > 0 ? (o->tokens - 1) / each + 1 : o->steps;
}

/* Of a run that pauses, the last step of this job. */
static int64_t last_step(const sartor_train_options *o, double pause) {
    const int64_t steps = steps_of(o);
    const double part = ceil(pause * (double)steps);
    return pause > 0 && part < (double)steps ? (int64_t)part : steps;
}

static bool is_inside(const char *folder, const char *name) {
    char *path = NULL;
    const bool there = asprintf(&path, "%s/%s", folder, name) >= 0 && access(path, F_OK) == 0;
    free(path);
    return there;
}

/* The folder of this attempt; a run that goes on must find what it goes on from. */
static sartor_status begin_attempt(sartor_context *ctx, sr_study *study, const sr_job *job,
                                   int64_t after, char **folder) {
    char *before = NULL;
    if (after != 0) SR_TRY(sr_finished_folder(ctx, study, after, &before));
    sartor_status status = sr_attempt_begin(ctx, study, job, run_files, 4, before, folder);
    free(before);
    SR_TRY(status);
    if (after == 0 || is_inside(*folder, run_files[0].name) ||
        is_inside(*folder, run_files[2].name))
        return SARTOR_OK;
    free(*folder);
    *folder = NULL;
    return sr_fail(ctx, SARTOR_IO, "the checkpoint of job %" PRId64 ", which goes on, is gone",
                   after);
}

static void forget(const sr_study *study, const sr_job *job, int64_t after) {
    sr_attempt_forget_earlier(study, job);
    char *before = after != 0 ? sr_study_inside(study, "%s/%" PRId64, job->kind, after) : NULL;
    if (before != NULL) sr_remove_folder(before);
    free(before);
}

sartor_status sr_train_in_job(sartor_context *ctx, sr_worker *worker, const sr_job *job,
                              const sartor_train_options *options, const sr_job_start *start,
                              sr_study_text *text, int64_t validation_tokens,
                              sartor_measure *measure, json_t **curve) {
    sr_study *study = sr_worker_study(worker);
    char *folder;
    *curve = NULL;
    SR_TRY(sr_study_text_open(ctx, study, text, SR_TRAIN | SR_VAL));
    SR_TRY(begin_attempt(ctx, study, job, start->after, &folder));
    sartor_train_options o = *options;
    o.out = folder;
    const int64_t last = last_step(&o, start->pause);
    sr_run_limits limits = {.validation_tokens = validation_tokens,
                            .checkpoint_seconds = checkpoint_seconds,
                            .before_step = publish,
                            .user = worker,
                            .pause = last,
                            .begin = start->begin,
                            .begin_user = start->user};
    sartor_status status = sr_run_train(ctx, &o, &text->corpus, &limits, measure);
    if (status == SARTOR_OK) {
        *curve = read_curve(folder, last);
        end_curve(*curve, measure);
        forget(study, job, start->after);
        char *state = NULL;
        if (asprintf(&state, "%s/state.safetensors", folder) >= 0) (void)unlink(state);
        free(state);
    }
    free(folder);
    return status;
}
