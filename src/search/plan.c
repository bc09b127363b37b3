/* What a search will take: trials, hours, disk, memory, before anything is written. */
#include "search/jobs.h"
#include "search/progress.h"
#include "search/timing.h"

#include "base/memory.h"
#include "model/cost.h"
#include "train/settings.h"

#include <stdlib.h>
#include <string.h>

/* Of one that trains on `tokens`. Validation costs about a twentieth while training, and a forward
 * pass of the final tokens. */
static double seconds_of_trial(const sr_search_settings *s, const sr_timing *t,
                               int64_t train_tokens) {
    double seconds = 0;
    int classes = 0;
    for (int c = 1; c < SR_POOL_CLASSES; c++)
        if (s->star.pool.has[c]) {
            seconds += t->liv[c];
            classes++;
        }
    double per_token = t->base + (classes > 0 ? seconds / classes : 0) * s->livs;
    double tokens = 0;
    if (sr_search_needs(s, SR_TRAINED))
        tokens = 1.05 * (double)train_tokens + (double)s->validation_tokens / 3;
    if (sr_search_needs(s, SR_PROBED)) tokens += 1.05 * (double)sr_probe_tokens(&s->mad);
    return per_token * tokens;
}

/* The largest training memory and weights over uniform backbones of every class. */
static sartor_status largest(sartor_context *ctx, const sr_search_settings *s, int64_t *bytes,
                             int64_t *elements) {
    sr_genome *genome;
    SR_TRY(sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome));
    sartor_status status = SARTOR_OK;
    *bytes = *elements = 0;
    for (int c = 1; status == SARTOR_OK && c <= sr_class_count(); c++) {
        if (!s->star.pool.has[c]) continue;
        sr_model *model = NULL;
        int64_t needed = 0;
        genome->n = s->livs;
        for (int i = 0; i < s->livs; i++) genome->liv[i] = (sr_gene){c, 1, 1, 1, 1};
        status = sr_model_create(ctx, genome, &s->sizes, &model);
        if (status == SARTOR_OK)
            status = sr_model_train_bytes(ctx, model, s->batch, s->sizes.context,
                                          sr_numbers_from(s->precision), s->threads, &needed);
        if (needed > *bytes) *bytes = needed;
        if (model != NULL && model->schema.elements > *elements) *elements = model->schema.elements;
        sr_model_destroy(&model);
    }
    free(genome);
    return status;
}

/* Weights in f32; a running trial, and one that stands at a rung, has a checkpoint with two moments
 * beside them. A front is taken to be up to three times as large as the population; a row with its
 * curve to take 8 KiB. */
static int64_t disk(const sartor_search_options *o, int64_t elements, int64_t trials, int workers) {
    const bool parents = o->keep == SARTOR_KEEP_PARENTS || o->evaluator == SARTOR_INHERIT;
    const int64_t most = (parents ? 4 : 3) * (int64_t)o->population;
    const int64_t kept = o->keep == SARTOR_KEEP_ALL || trials < most ? trials : most;
    const bool pauses = o->rungs != NULL && *o->rungs != '\0';
    const int64_t open = pauses ? o->population + workers : workers;
    return elements * (4 * kept + 16 * open) + trials * 8192;
}

/* *first: of generation 0, which trains from scratch. */
static int64_t count_trials(const sartor_search_options *o, const sr_search_settings *s,
                            int64_t *first) {
    const sr_evolution e = {.population = s->population,
                            .elites = sr_evolution_defaults().elites,
                            .survival = s->survival};
    int64_t later = o->generations > 1 ? o->generations - 1 : 0;
    *first = s->algorithm->children(&e, 0);
    return *first + later * s->algorithm->children(&e, 1);
}

sartor_status sr_plan_disk(sartor_context *ctx, const sartor_search_options *o,
                           const sr_search_settings *s, int64_t *bytes) {
    int64_t training, elements, first;
    *bytes = 0;
    if (!sr_search_needs(s, SR_TRAINED)) return SARTOR_OK;
    SR_TRY(largest(ctx, s, &training, &elements));
    *bytes =
        disk(o, elements, count_trials(o, s, &first), sr_local_workers(o->workers, o->threads));
    return SARTOR_OK;
}

static sartor_status estimate(sartor_context *ctx, const sartor_search_options *o,
                              const sr_search_settings *s, sartor_search_plan *plan) {
    int64_t elements, first;
    int workers = sr_local_workers(o->workers, o->threads);
    plan->trials = count_trials(o, s, &first);
    plan->inherit_tokens = s->inherit ? s->inherit_tokens : 0;
    SR_TRY(largest(ctx, s, &plan->largest_trial_bytes, &elements));
    plan->memory_bytes = plan->largest_trial_bytes * workers;
    if (sr_search_needs(s, SR_TRAINED) || sr_search_needs(s, SR_PROBED)) {
        sr_timing timing;
        SR_TRY(sr_timing_measure(ctx, s, &timing));
        const int64_t later = s->inherit ? s->inherit_tokens : s->train_tokens;
        plan->seconds = (seconds_of_trial(s, &timing, s->train_tokens) * (double)first +
                         seconds_of_trial(s, &timing, later) * (double)(plan->trials - first)) /
                        workers;
    }
    if (sr_search_needs(s, SR_TRAINED)) {
        plan->disk_bytes = disk(o, elements, plan->trials, workers);
    }
    return SARTOR_OK;
}

sartor_status sartor_search_plan_make(sartor_context *ctx, const sartor_search_options *o,
                                      sartor_search_plan *plan) {
    *plan = (sartor_search_plan){0};
    sr_tokenizer *tokenizer = NULL;
    sr_source *source = NULL;
    json_t *json = NULL;
    sr_search_settings *settings = malloc(sizeof *settings);
    sartor_status status =
        settings != NULL ? SARTOR_OK : sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    if (status == SARTOR_OK) status = sr_search_input_open(ctx, o, &tokenizer, &source);
    if (status == SARTOR_OK)
        status = sr_search_settings_make(ctx, o, tokenizer, source, plan->excluded, &json);
    if (status == SARTOR_OK) status = sr_search_settings_read(ctx, json, settings);
    if (status == SARTOR_OK) status = estimate(ctx, o, settings, plan);
    json_decref(json);
    sr_source_close(&source);
    sr_tokenizer_free(&tokenizer);
    free(settings);
    return status;
}
