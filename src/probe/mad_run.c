#include "probe/mad_run.h"

#include "base/clock.h"
#include "base/memory.h"
#include "probe/mad_batches.h"
#include "probe/mad_checkpoint.h"
#include "train/folder.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECKPOINT_SECONDS = 30,
    MICRO_TOKENS = 4096 /* of a micro-batch: its activations stay near the cache, and long sequences
                           fit into memory */
};
static const double faithful_beta2 = 0.999, paper_beta2 = 0.98, paper_floor = 1e-6;

typedef struct run {
    sartor_context *ctx;
    const sr_mad_run_options *options;
    const sr_mad_setting *setting;
    const sr_mad_data *data;
    int64_t rows; /* of a micro-batch */
    sr_model *model;
    sr_trainer *trainer;
    sr_mad_eval eval;
    sr_mad_batches batches;
    float *best; /* the weights of record.best_epoch; SR_MAD_PAPER only */
    json_t *settings;
    sr_run_folder folder;
    sr_mad_record record;
    double loss; /* of the last step */
    double last_checkpoint, checkpoint_cost;
} run;

sr_sizes sr_mad_sizes(const sr_sizes *sizes, const sr_mad_setting *setting) {
    sr_sizes s = *sizes;
    s.vocab = setting->vocab;
    s.context = s.filter_length = sr_mad_network_length(setting);
    s.head = setting->task == SR_MAD_COMPRESSION ? SR_HEAD_SEQUENCE : SR_HEAD_LANGUAGE;
    return s;
}

/* ---- preparing ---- */

static const sr_mad_set *deciding_set(const run *r) {
    return &r->data->part[r->options->protocol == SR_MAD_PAPER ? SR_MAD_VALIDATION : SR_MAD_TEST];
}

static sartor_status check(const run *r) {
    const sr_mad_run_options *o = r->options;
    if (!(o->rate > 0) || !isfinite(o->rate) || !(o->weight_decay >= 0) ||
        !isfinite(o->weight_decay))
        return sr_fail(r->ctx, SARTOR_INVALID,
                       "learning rate %g and weight decay %g must be numbers, the first above 0, "
                       "the second at least 0",
                       o->rate, o->weight_decay);
    if (o->batch < 1 || o->batch > 1 << 20 || o->epochs < 1 || o->epochs > 1 << 20)
        return sr_fail(r->ctx, SARTOR_INVALID,
                       "batch %" PRId64 " and epochs %" PRId64 " must lie in 1..%d", o->batch,
                       o->epochs, 1 << 20);
    if (r->data->part[SR_MAD_TRAIN].rows < 1 || r->data->part[SR_MAD_TEST].rows < 1 ||
        deciding_set(r)->rows < 1)
        return sr_fail(r->ctx, SARTOR_INVALID, "the data has no %s examples",
                       r->data->part[SR_MAD_TRAIN].rows < 1  ? "training"
                       : r->data->part[SR_MAD_TEST].rows < 1 ? "test"
                                                             : "validation");
    const int64_t length = sr_mad_network_length(r->setting);
    for (int i = 0; i < SR_MAD_PARTS; i++)
        if (r->data->part[i].rows > 0 && r->data->part[i].length != length)
            return sr_fail(r->ctx, SARTOR_INVALID,
                           "the examples have %" PRId64 " tokens, the setting %" PRId64,
                           r->data->part[i].length, length);
    if (r->data->vocab > r->setting->vocab)
        return sr_fail(r->ctx, SARTOR_INVALID,
                       "the data has %" PRId64 " tokens, the setting %" PRId64, r->data->vocab,
                       r->setting->vocab);
    return SARTOR_OK;
}

int64_t sr_mad_micro_rows(int64_t batch, int64_t length) {
    int64_t most = MICRO_TOKENS / length;
    if (most >= batch) return batch;
    for (int64_t rows = most; rows > 1; rows--)
        if (batch % rows == 0) return rows;
    return 1;
}

static sr_schedule constant_rate(double rate) {
    return (sr_schedule){.peak = rate, .floor = rate, .totals = 1, .total = {1}};
}

/* Graphs for training and scoring share one arena. */
static sartor_status plan(run *r) {
    const sr_mad_run_options *o = r->options;
    const bool faithful = o->protocol == SR_MAD_FAITHFUL;
    const int64_t length = r->model->sizes.context;
    r->rows = sr_mad_micro_rows(o->batch, length);
    sr_trainer_options options = {.rows = r->rows,
                                  .length = length,
                                  .accumulate = o->batch / r->rows,
                                  .numbers = o->numbers,
                                  .threads = o->threads,
                                  .weight_decay = o->weight_decay,
                                  .beta2 = faithful ? faithful_beta2 : paper_beta2,
                                  .decay_all = faithful,
                                  .schedule = constant_rate(o->rate)};
    SR_TRY(sr_trainer_create(r->ctx, r->model, &options, &r->trainer));
    SR_TRY(sr_mad_eval_create(r->ctx, r->model, r->rows, o->batch, length, o->numbers, o->threads,
                              &r->eval));
    if (r->eval.arena_bytes > r->trainer->arena_bytes)
        r->trainer->arena_bytes = r->eval.arena_bytes;
    r->settings = sr_mad_run_settings(r->model, r->setting, r->data, o, r->rows);
    if (r->settings == NULL) return sr_no_memory(r->ctx);
    return sr_mad_batches_init(r->ctx, &r->data->part[SR_MAD_TRAIN], o->seed, o->batch, r->rows,
                               &r->batches);
}

/* Buffers, and weights from the seed or a checkpoint. */
static sartor_status start(run *r) {
    const size_t n = (size_t)r->model->schema.elements;
    sr_trainer *t = r->trainer;
    SR_TRY(sr_trainer_allocate(r->ctx, t));
    sr_mad_eval_bind(&r->eval, t->arena, t->rounded);
    if (r->options->protocol == SR_MAD_PAPER)
        SR_TRY(sr_alloc_aligned(r->ctx, n, sizeof(float), "the best weights", (void **)&r->best));
    bool found = false;
    if (r->options->folder != NULL) {
        SR_TRY(sr_run_folder_open(r->ctx, r->options->folder, &r->folder));
        SR_TRY(sr_mad_checkpoint_read(r->ctx, r->folder.checkpoint, t, r->best, r->settings,
                                      &r->record, &found));
    }
    const sr_mad_record *record = &r->record;
    const int64_t steps = sr_mad_steps_per_epoch(&r->batches);
    if (found && (record->step > steps * r->options->epochs || record->best_epoch > record->step ||
                  (record->best_epoch == 0 && record->step >= steps)))
        return sr_fail(r->ctx, SARTOR_FORMAT, "%s: the record of the run is damaged",
                       r->folder.checkpoint);
    if (!found) {
        sr_model_init(r->model, r->options->seed);
        sr_trainer_refresh(t);
    }
    r->last_checkpoint = sr_seconds();
    return SARTOR_OK;
}

/* ---- running ---- */

static sartor_status checkpoint(run *r) {
    if (r->options->folder == NULL) return SARTOR_OK;
    const double began = sr_seconds();
    SR_TRY(sr_mad_checkpoint_write(r->ctx, r->folder.checkpoint, r->trainer, r->best, r->settings,
                                   &r->record));
    r->last_checkpoint = sr_seconds();
    r->checkpoint_cost = r->last_checkpoint - began;
    return SARTOR_OK;
}

/* Checkpoints take a twentieth of the time at most. */
static bool checkpoint_due(const run *r) {
    const double asked = r->options->checkpoint_seconds;
    double wait = asked > 0 ? asked : CHECKPOINT_SECONDS;
    if (wait < 20 * r->checkpoint_cost) wait = 20 * r->checkpoint_cost;
    return sr_seconds() - r->last_checkpoint >= wait;
}

/* The scores that a protocol goes by. */
static const sr_mad_score *scores_of(const run *r, const sr_mad_scores *s) {
    return r->options->protocol == SR_MAD_FAITHFUL ? &s->by_batch : &s->whole;
}
static double deciding_accuracy(const run *r, const sr_mad_scores *s) {
    return r->options->protocol == SR_MAD_FAITHFUL ? s->by_batch.accuracy_macro : s->whole.accuracy;
}

static sartor_status score_epoch(run *r, int64_t epoch) {
    const double began = sr_seconds();
    sr_mad_scores now;
    SR_TRY(sr_mad_eval_run(r->ctx, &r->eval, deciding_set(r), &now));
    sr_mad_record *record = &r->record;
    const double before = scores_of(r, &record->best)->perplexity;
    if (record->best_epoch == 0 || scores_of(r, &now)->perplexity < before) {
        record->best = now;
        record->best_epoch = epoch;
        if (r->best != NULL)
            memcpy(r->best, r->model->params, (size_t)r->model->schema.elements * sizeof *r->best);
    }
    record->enough = deciding_accuracy(r, &now) > SR_MAD_ENOUGH;
    record->seconds_scoring += sr_seconds() - began;
    return SARTOR_OK;
}

static double rate_of_epoch(const run *r, int64_t epoch) {
    if (r->options->protocol == SR_MAD_FAITHFUL) return r->options->rate;
    const sr_schedule cosine = {.peak = r->options->rate,
                                .floor =
                                    paper_floor < r->options->rate ? paper_floor : r->options->rate,
                                .totals = 1,
                                .total = {r->options->epochs}};
    return sr_schedule_rate(&cosine, epoch);
}

/* One step, and behind the last of an epoch its score: a step without it never becomes part of the
 * record. */
static sartor_status one_step(run *r, const sr_task *task, int64_t steps) {
    const double began = sr_seconds();
    sr_step info;
    r->trainer->options.schedule = constant_rate(rate_of_epoch(r, r->trainer->step / steps));
    SR_TRY(sr_trainer_step(r->ctx, r->trainer, task, &info));
    r->loss = info.loss;
    r->record.seconds += sr_seconds() - began;
    if (r->trainer->step % steps == 0) SR_TRY(score_epoch(r, r->trainer->step / steps));
    r->record.step = r->trainer->step;
    return SARTOR_OK;
}

static sartor_status interrupted(run *r, int64_t end) {
    return sr_fail(r->ctx, SARTOR_INTERRUPTED, "interrupted after step %" PRId64 " of %" PRId64,
                   r->record.step, end);
}

static sartor_status train(run *r) {
    const sr_mad_run_options *o = r->options;
    const sr_task task = sr_mad_task(&r->batches);
    const int64_t steps = sr_mad_steps_per_epoch(&r->batches), end = steps * o->epochs;
    while (r->trainer->step < end && !r->record.enough) {
        if (sr_interrupted(r->ctx)) {
            SR_TRY(checkpoint(r));
            return interrupted(r, end);
        }
        if (o->before_step != NULL) o->before_step(o->user, r->trainer->step, end, r->loss);
        sartor_status status = one_step(r, &task, steps);
        /* While scoring: the step before it is not in the record, and is repeated. */
        if (status == SARTOR_INTERRUPTED) return interrupted(r, end);
        SR_TRY(status);
        if (checkpoint_due(r)) SR_TRY(checkpoint(r));
    }
    return SARTOR_OK;
}

/* The test of the weights that validation chose. */
static sartor_status test_best(run *r, sr_mad_scores *scores) {
    *scores = r->record.best;
    if (r->best == NULL) return SARTOR_OK;
    memcpy(r->model->params, r->best, (size_t)r->model->schema.elements * sizeof *r->best);
    sr_trainer_refresh(r->trainer);
    const double began = sr_seconds();
    SR_TRY(sr_mad_eval_run(r->ctx, &r->eval, &r->data->part[SR_MAD_TEST], scores));
    r->record.seconds_scoring += sr_seconds() - began;
    return SARTOR_OK;
}

static sartor_status finish(run *r, sr_mad_result *result) {
    sr_mad_scores scores;
    SR_TRY(test_best(r, &scores));
    const sr_mad_record *record = &r->record;
    const sr_mad_score *score = scores_of(r, &scores);
    const int64_t steps = sr_mad_steps_per_epoch(&r->batches), epochs = record->step / steps;
    *result = (sr_mad_result){
        .accuracy = scores.whole.accuracy,
        .accuracy_macro = score->accuracy_macro,
        .perplexity = score->perplexity,
        .selection = deciding_accuracy(r, &record->best),
        .epoch = record->best_epoch,
        .epochs = epochs,
        .steps = record->step,
        .seconds = record->seconds,
        .examples_per_second = (double)(epochs * r->batches.set->rows) / (record->seconds + 1e-9),
        .seconds_scoring = record->seconds_scoring,
    };
    return SARTOR_OK;
}

static void release(run *r) {
    sr_run_folder_close(&r->folder);
    json_decref(r->settings);
    free(r->best);
    sr_mad_batches_free(&r->batches);
    sr_mad_eval_destroy(&r->eval);
    sr_trainer_destroy(&r->trainer);
    sr_model_destroy(&r->model);
}

sartor_status sr_mad_run(sartor_context *ctx, const sr_genome *genome, const sr_sizes *sizes,
                         const sr_mad_setting *setting, const sr_mad_data *data,
                         const sr_mad_run_options *options, sr_mad_result *result) {
    run r = {.ctx = ctx,
             .options = options,
             .setting = setting,
             .data = data,
             .folder.lock = -1,
             .batches.epoch = -1};
    const sr_sizes of_setting = sr_mad_sizes(sizes, setting);
    *result = (sr_mad_result){0};
    sartor_status status = check(&r);
    if (status == SARTOR_OK) status = sr_model_create(ctx, genome, &of_setting, &r.model);
    if (status == SARTOR_OK) status = plan(&r);
    if (status == SARTOR_OK) status = start(&r);
    if (status == SARTOR_OK) status = train(&r);
    if (status == SARTOR_OK) status = finish(&r, result);
    release(&r);
    return status;
}
