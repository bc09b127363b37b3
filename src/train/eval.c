/* sartor_eval(): bits per byte and perplexity of a model on text. */
#include "base/clock.h"
#include "train/corpus.h"
#include "train/loaded.h"
#include "train/measure.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>

void sartor_eval_defaults(sartor_eval_options *o) {
    *o = (sartor_eval_options){.split = SARTOR_SPLIT_ALL, .precision = SARTOR_F32};
}

typedef struct evaluation {
    sartor_context *ctx;
    sartor_model *model;
    const sartor_eval_options *options;
    sr_measure_options measure;
    sr_source *source;
    sr_tokens tokens;
    double started, reported;
} evaluation;

static void report(void *user, const sr_score *so_far, uint64_t window, uint64_t windows) {
    evaluation *e = user;
    double now = sr_seconds(), spent = now - e->started;
    if (e->options->progress == NULL) return;
    if (e->reported != 0 && window < windows && now - e->reported < 0.1) return;
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
    sr_measure_options *m = &e->measure;
    *m = (sr_measure_options){.batch = o->batch != 0 ? o->batch : 8,
                              .context =
                                  o->context != 0 ? o->context : e->model->model->sizes.context,
                              .numbers = sr_numbers_from(o->precision),
                              .progress = report,
                              .progress_user = e};
    if (m->batch < 1 || m->batch > 1 << 20)
        return sr_fail(e->ctx, SARTOR_INVALID, "batch is %" PRId64 ", expected 1 to %d", m->batch,
                       1 << 20);
    if (m->context < 1 || m->context > SR_MAX_CONTEXT)
        return sr_fail(e->ctx, SARTOR_INVALID, "context is %" PRId64 ", expected 1 to %d",
                       m->context, SR_MAX_CONTEXT);
    SR_TRY(sr_precision_check(e->ctx, o->precision));
    return sr_threads_resolve(e->ctx, o->threads, &m->threads);
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
    return sr_text_tokens(e->ctx, &o->text, e->source, e->model->tokenizer, splits[o->split],
                          &e->tokens);
}

sartor_status sartor_eval(sartor_context *ctx, sartor_model *model,
                          const sartor_eval_options *options, sartor_measure *result) {
    evaluation e = {.ctx = ctx, .model = model, .options = options};
    *result = (sartor_measure){0};
    sartor_status status = resolve(&e);
    if (status == SARTOR_OK) status = open_text(&e);
    e.started = sr_seconds();
    if (status == SARTOR_OK)
        status =
            sr_measure_tokens(ctx, model->model, model->tokenizer, &e.tokens, &e.measure, result);
    sr_tokens_close(&e.tokens);
    sr_source_close(&e.source);
    return status;
}
