#include "train/stage.h"

#include <string.h>

/* One graph has to do for all windows, in the arena that training has anyway: as many rows as fit.
 */
static sartor_status plan_scorer(sartor_context *ctx, sr_stage *g, const sr_run_settings *s) {
    for (int64_t rows = s->batch;; rows /= 2) {
        SR_TRY(sr_scorer_create(ctx, g->model, rows, s->sizes.context,
                                sr_numbers_from(s->precision), s->threads, &g->scorer));
        if (rows == 1 || g->scorer.arena_bytes <= g->trainer->arena_bytes) break;
        sr_scorer_destroy(&g->scorer);
    }
    if (g->scorer.arena_bytes > g->trainer->arena_bytes)
        g->trainer->arena_bytes = g->scorer.arena_bytes;
    return SARTOR_OK;
}

sartor_status sr_stage_plan(sartor_context *ctx, sr_stage *g, const sr_run_settings *s) {
    const sr_trainer_options options = {.rows = s->batch,
                                        .length = s->sizes.context,
                                        .accumulate = s->accumulate,
                                        .numbers = sr_numbers_from(s->precision),
                                        .threads = s->threads,
                                        .weight_decay = s->weight_decay,
                                        .clip = s->clip,
                                        .schedule = {.peak = s->rate,
                                                     .floor = s->min_rate,
                                                     .warmup = s->warmup,
                                                     .totals = 1,
                                                     .total = {s->steps}}};
    SR_TRY(sr_trainer_create(ctx, g->model, &options, &g->trainer));
    return plan_scorer(ctx, g, s);
}

sartor_status sr_stage_allocate(sartor_context *ctx, sr_stage *g, const sr_run_record *record) {
    sr_trainer *t = g->trainer;
    t->options.schedule.totals = record->totals;
    memcpy(t->options.schedule.total, record->total, sizeof record->total);
    t->options.births = record->births;
    SR_TRY(sr_trainer_allocate(ctx, t));
    sr_scorer_bind(&g->scorer, t->arena, t->rounded);
    return SARTOR_OK;
}

void sr_stage_free(sr_stage *g) {
    sr_scorer_destroy(&g->scorer);
    sr_trainer_destroy(&g->trainer);
    sr_model_destroy(&g->model);
}
