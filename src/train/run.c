/* sartor_train(): one run in its folder, from first step or stored state to the final model.
 *
 * What holds: the weights after a step are a function of the settings alone. Validation, metrics,
 * checkpoints, interruptions and kills change nothing in them. Nothing is written before the
 * options, the data and the memory are known to be good. */
#include "train/run.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "op/optim.h"
#include "task/language.h"
#include "train/folder.h"
#include "train/growing.h"
#include "train/loaded.h"
#include "train/metrics.h"
#include "train/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALIDATIONS = 10,                  /* during a run */
    VALIDATION_TOKENS = 1 << 16,       /* read by each of them, at most */
    FINAL_VALIDATION_TOKENS = 1 << 22, /* read by the last one, at most: half of them are scored */
    CHECKPOINT_SECONDS = 30
};

typedef struct run {
    sartor_context *ctx;
    const sartor_train_options *options;
    sr_run_settings settings;
    sr_genome *genome;
    sr_growth_steps *growth;
    json_t *settings_json;
    sr_corpus *corpus; /* the caller's, or `own` */
    sr_corpus own;
    sr_run_limits limits;
    sr_language language;
    sr_windows windows;
    sr_stage stage;
    sr_run_folder folder;
    sr_metrics metrics;
    sr_run_record record;
    sr_st_reader *stored; /* the file that the run continues from */
    sr_progress_meter progress;
    double loss;            /* of the last step */
    double started;         /* clock when this part of the run began */
    double seconds_before;  /* of earlier parts */
    double last_checkpoint; /* clock */
    double checkpoint_cost; /* seconds that writing one takes */
    int64_t stored_step;    /* of the checkpoint on the disk */
    bool stored_whole;      /* that checkpoint knows the whole schedule */
} run;

/* ---- preparing: nothing is written ---- */

static sartor_status open_data(run *r) {
    sartor_context *ctx = r->ctx;
    sr_corpus *c = r->corpus;
    if (c == &r->own) SR_TRY(sr_corpus_read(ctx, c, &r->options->text, SR_TRAIN | SR_VAL));
    const sr_run_settings *s = &r->settings;
    r->language.token_bytes = sr_tokenizer_token_bytes(c->tokenizer);
    SR_TRY(sr_batches_init(ctx, &c->train, s->seed, (int32_t)s->sizes.context, (int32_t)s->batch,
                           (int32_t)s->accumulate, &r->language.batches));
    SR_TRY(
        sr_windows_init(ctx, &c->validation, c->tokenizer, (int32_t)s->sizes.context, &r->windows));
    r->settings.tokenizer = sr_tokenizer_identity(c->tokenizer);
    r->settings.data = c->train.identity;
    r->settings.validation = c->validation.identity;
    r->settings_json = sr_settings_json(&r->settings);
    return r->settings_json != NULL ? SARTOR_OK : sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
}

/* A trained model that the run begins with, and its tokenizer. */
static sartor_status open_origin(run *r) {
    sartor_model *origin;
    if (r->options->arch != NULL || r->options->tokenizer != NULL || r->corpus != &r->own)
        return sr_fail(r->ctx, SARTOR_INVALID,
                       "a run that begins with a model has its architecture and its tokenizer");
    SR_TRY(sartor_model_load(r->ctx, r->options->from, &origin));
    r->stage.model = origin->model;
    r->own.tokenizer = origin->tokenizer;
    origin->model = NULL;
    origin->tokenizer = NULL;
    sartor_model_destroy(&origin);
    return r->stage.model->sizes.head == SR_HEAD_LANGUAGE
               ? SARTOR_OK
               : sr_fail(r->ctx, SARTOR_INVALID, "%s: it is no language model", r->options->from);
}

static sartor_status prepare(run *r) {
    sartor_context *ctx = r->ctx;
    const sartor_train_options *o = r->options;
    if (o->out == NULL || *o->out == '\0')
        return sr_fail(ctx, SARTOR_INVALID, "no output folder is given");
    SR_TRY(sr_alloc(ctx, 1, sizeof *r->genome, "a genome", (void **)&r->genome));
    SR_TRY(sr_alloc(ctx, 1, sizeof *r->growth, "a schedule", (void **)&r->growth));
    if (o->from != NULL)
        SR_TRY(open_origin(r));
    else if (r->corpus == &r->own)
        SR_TRY(sr_corpus_begin(ctx, o->tokenizer, r->corpus));
    SR_TRY(sr_settings_resolve(ctx, o, sr_tokenizer_vocab(r->corpus->tokenizer), r->stage.model,
                               r->genome, r->growth, &r->settings));
    if (r->stage.model != NULL)
        r->settings.origin = sr_hash_bytes(
            r->stage.model->params,
            (size_t)r->stage.model->schema.elements * sizeof *r->stage.model->params, 0);
    else
        SR_TRY(sr_model_create(ctx, r->genome, &r->settings.sizes, &r->stage.model));
    SR_TRY(sr_stage_plan(ctx, &r->stage, &r->settings));
    SR_TRY(sr_growing_check(ctx, r->stage.model, r->growth, &r->settings));
    return open_data(r);
}

/* ---- what the folder holds ---- */

/* Opens a stored file of the run, if it is there, and compares its settings. */
static sartor_status open_stored(run *r, const char *path, bool *found) {
    FILE *f = fopen(path, "rb");
    *found = f != NULL || errno != ENOENT;
    if (f != NULL) fclose(f);
    if (!*found) return SARTOR_OK;
    SR_TRY(sr_st_open(r->ctx, path, &r->stored));
    return sr_record_read(r->ctx, r->folder.path, r->stored, r->settings_json, &r->record);
}

/* Makes --extend part of the schedule. Steps asked for twice are added once, so that the same
 * command continues an extension and, when that is done, changes nothing. */
static sartor_status extend(run *r, bool finished) {
    sr_run_record *record = &r->record;
    const int64_t asked = r->settings.steps + r->options->extend;
    const int64_t end = record->total[record->totals - 1];
    if (asked > end) {
        if (record->totals == SR_MAX_TOTALS)
            return sr_fail(r->ctx, SARTOR_INVALID, "%s: the run was extended %d times, no more",
                           r->folder.path, SR_MAX_TOTALS - 1);
        record->total[record->totals++] = asked;
        record->done = false;
        return SARTOR_OK;
    }
    if (asked == end || (finished && r->options->extend == 0)) return SARTOR_OK;
    return sr_fail(r->ctx, SARTOR_MISMATCH,
                   "%s: the run there goes to step %" PRId64 ", asked for is %" PRId64 " (%" PRId64
                   " and --extend %" PRId64 ")",
                   r->folder.path, end, asked, r->settings.steps, r->options->extend);
}

/* Fills the record, and leaves `stored` open where weights come from a file. */
static sartor_status find_state(run *r) {
    bool found;
    SR_TRY(open_stored(r, r->folder.checkpoint, &found));
    if (found) {
        int totals = r->record.totals;
        SR_TRY(extend(r, false));
        r->stored_whole = r->record.totals == totals;
        return SARTOR_OK;
    }
    SR_TRY(open_stored(r, r->folder.model, &found));
    if (!found) {
        r->record = (sr_run_record){.totals = 1, .total = {r->settings.steps}, .validation = NAN};
        return extend(r, false);
    }
    SR_TRY(extend(r, true));
    if (r->record.done) return SARTOR_OK;
    sr_st_close(&r->stored);
    SR_TRY(open_stored(r, r->folder.state, &found));
    if (!found)
        return sr_fail(r->ctx, SARTOR_MISMATCH,
                       "%s: cannot be extended without the optimiser's state, state.safetensors",
                       r->folder.path);
    return extend(r, true);
}

/* A run whose model has grown goes on with the model that is stored. */
static sartor_status find_stage(run *r) {
    if (r->stored == NULL || r->record.births.count == 0) return SARTOR_OK;
    sr_stage_free(&r->stage);
    SR_TRY(sr_model_compile(r->ctx, r->folder.path, r->stored, &r->stage.model));
    return sr_stage_plan(r->ctx, &r->stage, &r->settings);
}

/* ---- running ---- */

static double elapsed(const run *r) { return r->seconds_before + sr_seconds() - r->started; }

static void sample_memory(run *r) {
    int64_t rss = sr_peak_rss_bytes(), anonymous = sr_anonymous_bytes();
    if (rss > r->record.peak_rss) r->record.peak_rss = rss;
    if (anonymous > r->record.peak_anonymous) r->record.peak_anonymous = anonymous;
}

/* Weights that give no finite loss never replace better ones: one batch is measured first. */
static sartor_status checkpoint(run *r) {
    double start = sr_seconds();
    sr_score score;
    sr_score_options one_batch = {.windows = (uint64_t)r->stage.scorer.rows};
    SR_TRY(sr_scorer_run(r->ctx, &r->stage.scorer, &r->windows, &one_batch, &score));
    sample_memory(r);
    r->record.seconds = elapsed(r);
    SR_TRY(sr_metrics_sync(r->ctx, &r->metrics));
    SR_TRY(sr_checkpoint_write(r->ctx, r->folder.checkpoint, r->stage.trainer, r->corpus->tokenizer,
                               r->settings_json, &r->record));
    r->last_checkpoint = sr_seconds();
    r->checkpoint_cost = r->last_checkpoint - start;
    r->stored_step = r->stage.trainer->step;
    return SARTOR_OK;
}

/* By the clock, checkpoints take a twentieth of the time at most. */
static bool checkpoint_due(const run *r) {
    int64_t every = r->options->checkpoint_every;
    if (every > 0) return r->stage.trainer->step % every == 0;
    double wait = 20 * r->checkpoint_cost;
    return sr_seconds() - r->last_checkpoint >=
           (wait > r->limits.checkpoint_seconds ? wait : r->limits.checkpoint_seconds);
}

/* The weights of a run that begins. */
static sartor_status begin(run *r) {
    if (r->options->from != NULL) return SARTOR_OK; /* they are there */
    if (r->limits.begin != NULL)
        return r->limits.begin(r->ctx, r->limits.begin_user, r->stage.model, r->settings.seed);
    sr_model_init(r->stage.model, r->settings.seed);
    return SARTOR_OK;
}

/* Buffers, and weights from the seed, a model or the stored file. */
static sartor_status start(run *r) {
    sr_trainer *t = r->stage.trainer;
    SR_TRY(sr_stage_allocate(r->ctx, &r->stage, &r->record));
    if (r->stored != NULL) {
        SR_TRY(sr_checkpoint_read(r->ctx, r->stored, &r->record, t));
        sr_st_close(&r->stored);
        sr_log(r->ctx, "continuing at step %" PRId64 " of %" PRId64, t->step,
               sr_schedule_end(&t->options.schedule));
    } else {
        SR_TRY(begin(r));
        sr_trainer_refresh(t);
    }
    r->seconds_before = r->record.seconds;
    r->started = sr_seconds();
    SR_TRY(sr_metrics_open(r->ctx, r->folder.metrics, t->step, &r->metrics));
    r->last_checkpoint = r->started;
    r->stored_step = t->step;
    /* A folder that cannot hold a checkpoint says so before any work is done. */
    return r->stored_whole ? SARTOR_OK : checkpoint(r);
}

/* Validation windows that cost at most about a twentieth of the training between them. */
static uint64_t validation_windows(const run *r, int64_t every) {
    int64_t context = r->settings.sizes.context, batch = r->settings.batch;
    int64_t n = every * batch * r->settings.accumulate / 7, most = VALIDATION_TOKENS / context;
    if (n > most) n = most;
    return (uint64_t)(n > batch ? n : batch);
}

static sartor_status validate(run *r, int64_t every, sr_score *score) {
    sr_score_options options = {.windows = validation_windows(r, every)};
    SR_TRY(sr_scorer_run(r->ctx, &r->stage.scorer, &r->windows, &options, score));
    r->record.validation = sr_bits_per_byte(score->nats, score->bytes);
    return SARTOR_OK;
}

static bool validation_due(const run *r, int64_t *every) {
    int64_t step = r->stage.trainer->step;
    int64_t total = sr_schedule_total(&r->stage.trainer->options.schedule, step - 1);
    *every = (total + VALIDATIONS - 1) / VALIDATIONS;
    if (*every < VALIDATIONS) *every = VALIDATIONS;
    return step % *every == 0 && step < total;
}

/* Before the step at which the schedule says so; `line` tells it. */
static sartor_status grow_when_due(run *r, sr_metrics_line *line) {
    sr_run_record *record = &r->record;
    while (record->stages < sr_growth_steps_due(r->growth, r->stage.trainer->step)) {
        const char *request = r->growth->request[record->stages];
        sr_growing_result result;
        SR_TRY(sr_growing_step(r->ctx, &r->stage, request, &r->settings.born, &r->settings, record,
                               &result));
        record->stages++;
        line->grown = request;
        line->params_before = result.params_before;
        line->params = result.params_after;
        sr_log(r->ctx,
               "step %" PRId64 ": grown, %s: %" PRId64 " -> %" PRId64
               " parameters, logits differ by %.2g of %.2g",
               r->stage.trainer->step, request, result.params_before, result.params_after,
               result.difference, result.largest);
    }
    return SARTOR_OK;
}

static sartor_status one_step(run *r, const sr_task *task) {
    double begin = sr_seconds();
    sr_metrics_line line = {.validation_loss = NAN};
    SR_TRY(grow_when_due(r, &line));
    SR_TRY(sr_trainer_step(r->ctx, r->stage.trainer, task, &line.of_step));
    line.tokens_per_second = (double)line.of_step.tokens / (sr_seconds() - begin + 1e-9);
    r->record.step = line.step = r->stage.trainer->step;
    r->loss = line.of_step.loss;
    r->record.tokens = line.tokens = r->record.tokens + line.of_step.tokens;
    int64_t every;
    if (validation_due(r, &every)) {
        sr_score score;
        SR_TRY(validate(r, every, &score));
        sample_memory(r);
        line.validation_loss = score.nats / (double)score.tokens;
        line.validation_bits_per_byte = r->record.validation;
    }
    line.seconds = elapsed(r);
    SR_TRY(sr_metrics_add(r->ctx, &r->metrics, &line));
    sr_progress_step(&r->progress, &line, r->record.validation);
    return SARTOR_OK;
}

/* The step at which this call ends. */
static int64_t last_step(const run *r) {
    const int64_t end = sr_schedule_end(&r->stage.trainer->options.schedule),
                  pause = r->limits.pause;
    return pause > 0 && pause < end ? pause : end;
}

static sartor_status loop(run *r) {
    sr_task task = sr_language_task(&r->language);
    const int64_t end = last_step(r);
    r->progress = sr_progress_start(r->options, r->stage.trainer->step, end);
    for (int64_t done = 0; r->stage.trainer->step < end; done++) {
        if (sr_interrupted(r->ctx)) {
            if (r->stored_step != r->stage.trainer->step) SR_TRY(checkpoint(r));
            return sr_fail(r->ctx, SARTOR_INTERRUPTED,
                           "interrupted after step %" PRId64 " of %" PRId64
                           "; the same command continues",
                           r->stage.trainer->step, end);
        }
        const sr_run_limits *limits = &r->limits;
        if (limits->before_step != NULL)
            limits->before_step(limits->user, r->stage.trainer->step, end, r->loss);
        SR_TRY(one_step(r, &task));
        if (done < 3) sample_memory(r);
        if (r->stage.trainer->step < end && checkpoint_due(r)) SR_TRY(checkpoint(r));
    }
    return SARTOR_OK;
}

static void report_validation(void *user, const sr_score *so_far, uint64_t done, uint64_t all) {
    run *r = user;
    sr_progress_validation(&r->progress, sr_bits_per_byte(so_far->nats, so_far->bytes), done, all);
}

/* The final measure, the model, and, unless the run only pauses, the checkpoint under its last
 * name. */
static sartor_status finish(run *r) {
    const bool paused =
        r->stage.trainer->step < sr_schedule_end(&r->stage.trainer->options.schedule);
    if (r->stored_step != r->stage.trainer->step) SR_TRY(checkpoint(r));
    uint64_t most = (uint64_t)(r->limits.validation_tokens / r->settings.sizes.context);
    sr_score score;
    sr_score_options options = {.windows = most > 0 ? most : 1,
                                .interruptible = true,
                                .progress = report_validation,
                                .progress_user = r};
    SR_TRY(sr_scorer_run(r->ctx, &r->stage.scorer, &r->windows, &options, &score));
    sample_memory(r);
    sr_run_record *record = &r->record;
    record->seconds = elapsed(r);
    record->done = !paused;
    record->validation = sr_bits_per_byte(score.nats, score.bytes);
    record->result = sr_measure_from(&score);
    record->result.tokens = record->tokens;
    record->result.seconds = record->seconds;
    record->result.tokens_per_second = (double)record->tokens / (record->seconds + 1e-9);
    record->result.peak_rss_bytes = record->peak_rss;
    record->result.peak_anonymous_bytes = record->peak_anonymous;
    SR_TRY(sr_result_write(r->ctx, r->folder.model, r->stage.trainer, r->corpus->tokenizer,
                           r->settings_json, record));
    if (!paused && rename(r->folder.checkpoint, r->folder.state) != 0)
        return sr_fail(r->ctx, SARTOR_IO, "%s: cannot rename: %s", r->folder.checkpoint,
                       strerror(errno));
    return SARTOR_OK;
}

static sartor_status train(run *r) {
    SR_TRY(start(r));
    sartor_status status = loop(r);
    if (status == SARTOR_OK) status = finish(r);
    if (status == SARTOR_NOT_FINITE)
        sr_fail_in(r->ctx, status,
                   "training diverged; a learning rate below %g or a smaller clip may help, the "
                   "checkpoint of step %" PRId64 " is kept",
                   r->settings.rate, r->stored_step);
    return status;
}

static void release(run *r) {
    sr_metrics_close(&r->metrics);
    sr_st_close(&r->stored);
    sr_stage_free(&r->stage);
    sr_corpus_close(&r->own);
    json_decref(r->settings_json);
    free(r->genome);
    free(r->growth);
    sr_run_folder_close(&r->folder);
}

static sartor_status run_in_folder(run *r, sartor_measure *result) {
    *result = (sartor_measure){0};
    sartor_status status = prepare(r);
    if (status == SARTOR_OK) status = sr_run_folder_open(r->ctx, r->options->out, &r->folder);
    if (status == SARTOR_OK) status = find_state(r);
    if (status == SARTOR_OK && !r->record.done) status = find_stage(r);
    if (status == SARTOR_OK && !r->record.done) status = train(r);
    if (status == SARTOR_OK) *result = r->record.result;
    release(r);
    return status;
}

sartor_status sr_run_train(sartor_context *ctx, const sartor_train_options *options,
                           sr_corpus *corpus, const sr_run_limits *limits, sartor_measure *result) {
    run r = {
        .ctx = ctx, .options = options, .corpus = corpus, .limits = *limits, .folder.lock = -1};
    if (r.corpus == NULL) r.corpus = &r.own;
    if (r.limits.validation_tokens <= 0) r.limits.validation_tokens = FINAL_VALIDATION_TOKENS;
    if (r.limits.checkpoint_seconds <= 0) r.limits.checkpoint_seconds = CHECKPOINT_SECONDS;
    return run_in_folder(&r, result);
}

sartor_status sartor_train(sartor_context *ctx, const sartor_train_options *options,
                           sartor_measure *result) {
    return sr_run_train(ctx, options, NULL, &(sr_run_limits){0}, result);
}
