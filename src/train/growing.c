#include "train/growing.h"

#include "grow/request.h"
#include "grow/verify.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 64 }; /* that models are compared on, at most */

static sartor_status plan(sartor_context *ctx, const sr_model *from, const char *text,
                          sr_growth **growth) {
    sr_growth_request request;
    *growth = NULL;
    SR_TRY(sr_growth_request_parse(ctx, text, strlen(text), &request));
    sartor_status status = sr_growth_plan(ctx, from, &request, growth);
    sr_growth_request_free(&request);
    return status;
}

/* The larger model, taken out of its growth. */
static sr_model *take_model(sr_growth *growth) {
    sr_model *model = growth->to;
    growth->to = NULL;
    return model;
}

sartor_status sr_growing_check(sartor_context *ctx, const sr_model *model,
                               const sr_growth_steps *steps, const sr_run_settings *settings) {
    sr_stage last = {.model = NULL};
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < steps->count && status == SARTOR_OK; i++) {
        sr_growth *growth;
        status = plan(ctx, last.model != NULL ? last.model : model, steps->request[i], &growth);
        if (status != SARTOR_OK) {
            sr_fail_in(ctx, status, "grow: stage %d", i + 1);
            break;
        }
        sr_model *larger = take_model(growth);
        sr_growth_destroy(&growth);
        sr_model_destroy(&last.model);
        last.model = larger;
    }
    if (status == SARTOR_OK && last.model != NULL) status = sr_stage_plan(ctx, &last, settings);
    sr_stage_free(&last);
    return status;
}

static int64_t params_of(const sr_model *m) {
    return sr_schema_backbone(&m->schema) + sr_schema_embedding(&m->schema);
}

/* Numbers of the new weights: another growth, other numbers. */
static uint64_t seed_of(const sr_run_settings *s, const sr_run_record *r) {
    return s->seed + (uint64_t)r->births.count;
}

static sartor_status carry_over(sartor_context *ctx, const sr_growth *g, const sr_trainer *old,
                                sr_stage *next, const sr_run_settings *settings,
                                const sr_run_record *record, sr_growing_result *result) {
    sr_trainer *t = next->trainer;
    const uint64_t seed = seed_of(settings, record);
    sr_logit_difference d;
    sr_growth_fill(g, seed);
    sr_growth_moments(g, old->m, t->m);
    sr_growth_moments(g, old->v, t->v);
    sr_growth_generations(g, old->generation, (uint8_t)record->births.count, t->generation);
    t->step = old->step;
    sr_trainer_refresh(t);
    const int64_t tokens = settings->sizes.context < TOKENS ? settings->sizes.context : TOKENS;
    SR_TRY(sr_compare_logits(ctx, old->model, g->to, tokens, seed, settings->threads, &d));
    *result = (sr_growing_result){params_of(old->model), params_of(g->to), d.worst, d.largest};
    if (!g->exact || d.worst <= sr_logit_tolerance(&d)) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_MISMATCH,
                   "step %" PRId64 ": logits of the grown model differ by %.3g, of %.3g at most",
                   t->step, d.worst, d.largest);
}

sartor_status sr_growing_step(sartor_context *ctx, sr_stage *stage, const char *request,
                              const sr_generation *born, const sr_run_settings *settings,
                              sr_run_record *record, sr_growing_result *result) {
    sr_growth *g;
    sr_generation now = *born;
    sr_stage next = {.model = NULL};
    now.step = stage->trainer->step;
    sartor_status status = plan(ctx, stage->model, request, &g);
    if (status != SARTOR_OK) return status;
    next.model = g->to;
    sr_trainer_release_buffers(stage->trainer);
    if (status == SARTOR_OK) status = sr_births_add(ctx, &record->births, &now);
    if (status == SARTOR_OK) status = sr_stage_plan(ctx, &next, settings);
    if (status == SARTOR_OK) status = sr_stage_allocate(ctx, &next, record);
    if (status == SARTOR_OK)
        status = carry_over(ctx, g, stage->trainer, &next, settings, record, result);
    g->to = NULL; /* the stage's */
    sr_growth_destroy(&g);
    if (status != SARTOR_OK) {
        sr_stage_free(&next);
        return status;
    }
    sr_stage_free(stage);
    *stage = next;
    return SARTOR_OK;
}
