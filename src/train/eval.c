/* sartor_eval(): bits per byte and perplexity of a model on text. */
#include "base/clock.h"
#include "base/memory.h"
#include "op/optim.h"
#include "train/corpus.h"
#include "train/loaded.h"
#include "train/measure.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

void sartor_eval_defaults(sartor_eval_options *o) {
    *o = (sartor_eval_options){.split = SARTOR_SPLIT_ALL, .precision = SARTOR_F32};
}

typedef struct evaluation {
    sartor_context *ctx;
    sartor_model *model;
    const sartor_eval_options *options;
    int64_t batch, context;
    int threads;
    sr_source *source;
    sr_tokens tokens;
    sr_windows windows;
    sr_scorer scorer;
    void *arena;
    uint16_t *rounded;
    double started, reported;
    int64_t peak_anonymous;
} evaluation;

static void sample_memory(evaluation *e) {
    int64_t bytes = sr_anonymous_bytes();
    if (bytes > e->peak_anonymous) e->peak_anonymous = bytes;
}

static void report(void *user, const sr_score *so_far, uint64_t window, uint64_t windows) {
    evaluation *e = user;
    double now = sr_seconds(), spent = now - e->started;
    bool first = e->reported == 0;
    if (first || window == windows) sample_memory(e);
    if (e->options->progress == NULL) return;
    if (!first && window < windows && now - e->reported < 0.1) return;
    e->reported = now;
    sartor_measure m = sr_measure_from(so_far);
    sartor_progress p = {.step = (int64_t)window,
                         .steps = (int64_t)windows,
                         .tokens = m.tokens,
                         .loss = m.loss,
                         .bits_per_byte = m.bits_per_byte,
                         .validation_bits_per_byte = NAN,
                         .tokens_per_second = (double)m.tokens / (spent + 1e-9),
                         .seconds_left = spent * (double)(windows - window) / (double)window};
    e->options->progress(e->options->progress_user, &p);
}

static sartor_status resolve(evaluation *e) {
    const sartor_eval_options *o = e->options;
    e->batch = o->batch != 0 ? o->batch : 8;
    e->context = o->context != 0 ? o->context : e->model->model->sizes.context;
    if (e->batch < 1 || e->batch > 1 << 20)
        return sr_fail(e->ctx, SARTOR_INVALID, "batch is %" PRId64 ", expected 1 to %d", e->batch,
                       1 << 20);
    if (e->context < 1 || e->context > SR_MAX_CONTEXT)
        return sr_fail(e->ctx, SARTOR_INVALID, "context is %" PRId64 ", expected 1 to %d",
                       e->context, SR_MAX_CONTEXT);
    SR_TRY(sr_precision_check(e->ctx, o->precision));
    return sr_threads_resolve(e->ctx, o->threads, &e->threads);
}

static sartor_status open_text(evaluation *e) {
    static const sr_split splits[] = {[SARTOR_SPLIT_ALL] = SR_ALL_SPLITS,
                                      [SARTOR_SPLIT_TRAIN] = SR_TRAIN,
                                      [SARTOR_SPLIT_VALIDATION] = SR_VAL,
                                      [SARTOR_SPLIT_TEST] = SR_TEST};
    const sartor_eval_options *o = e->options;
    if ((unsigned)o->split > SARTOR_SPLIT_TEST)
        return sr_fail(e->ctx, SARTOR_INVALID, "split %d does not exist", (int)o->split);
    bool whole = o->split == SARTOR_SPLIT_ALL;
    SR_TRY(sr_text_open(e->ctx, &o->text, whole, &e->source));
    if (!whole) SR_TRY(sr_source_require(e->ctx, e->source, splits[o->split]));
    SR_TRY(sr_text_tokens(e->ctx, &o->text, e->source, e->model->tokenizer, splits[o->split],
                          &e->tokens));
    /* One window holds a short text; what lies behind its end would be computed for nothing. */
    if ((uint64_t)e->context > e->tokens.count - 1) e->context = (int64_t)e->tokens.count - 1;
    return sr_windows_init(e->ctx, &e->tokens, e->model->tokenizer, (int32_t)e->context,
                           &e->windows);
}

static sartor_status allocate(evaluation *e) {
    sr_model *model = e->model->model;
    const sr_numbers numbers = sr_numbers_from(e->options->precision);
    const int64_t n = model->schema.elements;
    if ((uint64_t)e->batch > e->windows.count) e->batch = (int64_t)e->windows.count;
    SR_TRY(sr_scorer_create(e->ctx, model, e->batch, e->context, numbers, e->threads, &e->scorer));
    SR_TRY(sr_check_memory(e->ctx, e->scorer.arena_bytes + n * 6, "measuring",
                           "a smaller --batch or --context needs less"));
    SR_TRY(
        sr_alloc_aligned(e->ctx, (size_t)e->scorer.arena_bytes, 1, "the activations", &e->arena));
    if (numbers == SR_FAST_BF16) {
        SR_TRY(sr_alloc_aligned(e->ctx, (size_t)n, 2, "the bf16 weights", (void **)&e->rounded));
        sr_to_bf16(model->params, e->rounded, n, e->threads);
    }
    sr_scorer_bind(&e->scorer, e->arena, e->rounded);
    return SARTOR_OK;
}

static sartor_status measure(evaluation *e, sartor_measure *result) {
    sr_score score;
    sr_score_options options = {.interruptible = true, .progress = report, .progress_user = e};
    e->started = sr_seconds();
    SR_TRY(sr_scorer_run(e->ctx, &e->scorer, &e->windows, &options, &score));
    *result = sr_measure_from(&score);
    result->seconds = sr_seconds() - e->started;
    result->tokens_per_second = (double)result->tokens / (result->seconds + 1e-9);
    result->peak_rss_bytes = sr_peak_rss_bytes();
    result->peak_anonymous_bytes = e->peak_anonymous;
    return SARTOR_OK;
}

sartor_status sartor_eval(sartor_context *ctx, sartor_model *model,
                          const sartor_eval_options *options, sartor_measure *result) {
    evaluation e = {.ctx = ctx, .model = model, .options = options};
    *result = (sartor_measure){0};
    sartor_status status = resolve(&e);
    if (status == SARTOR_OK) status = open_text(&e);
    if (status == SARTOR_OK) status = allocate(&e);
    if (status == SARTOR_OK) status = measure(&e, result);
    sr_scorer_destroy(&e.scorer);
    free(e.arena);
    free(e.rounded);
    sr_tokens_close(&e.tokens);
    sr_source_close(&e.source);
    return status;
}
