/* Jobs that train: trials of the search, and finals. */
#include "search/jobs.h"

#include "model/cost.h"
#include "train/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The engine would say so too, but in terms of the machine; the study's limit is a setting. */
static sartor_status check_memory(sartor_context *ctx, const sr_search_settings *s,
                                  const char *genome) {
    int64_t bytes = 0;
    sr_model *model = NULL;
    sr_genome *parsed = malloc(sizeof *parsed);
    if (parsed == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    sartor_status status = sr_genome_parse(ctx, genome, strlen(genome), parsed);
    if (status == SARTOR_OK) status = sr_model_create(ctx, parsed, &s->sizes, &model);
    if (status == SARTOR_OK)
        status = sr_model_train_bytes(ctx, model, s->batch, s->sizes.context,
                                      sr_numbers_from(s->precision), s->threads, &bytes);
    sr_model_destroy(&model);
    free(parsed);
    if (status == SARTOR_OK && s->memory_limit > 0 && bytes > s->memory_limit)
        status = sr_fail(ctx, SARTOR_INVALID,
                         "training needs %" PRId64 " MiB, the study allows %" PRId64
                         " MiB (its setting memory)",
                         bytes >> 20, s->memory_limit >> 20);
    return status;
}

sartor_status sr_train_job(sartor_context *ctx, sr_worker *worker, sr_search *search,
                           const sr_job *job, const sr_training *training,
                           sartor_measure *measure) {
    const sr_search_settings *s = &search->settings;
    SR_TRY(check_memory(ctx, s, training->genome));
    sartor_train_options o;
    sartor_train_defaults(&o);
    o.arch = training->genome;
    o.sizes = (sartor_sizes){.livs = s->livs,
                             .width = s->sizes.width,
                             .head_dim = s->sizes.head_dim,
                             .window = s->sizes.window,
                             .context = s->sizes.context,
                             .vocab = s->sizes.vocab,
                             .tie_embeddings = s->sizes.tied};
    o.batch = s->batch;
    o.tokens = training->tokens;
    o.learning_rate = s->learning_rate;
    o.precision = s->precision;
    o.threads = s->threads;
    o.seed = training->seed;
    json_decref(search->curve);
    search->curve = NULL;
    return sr_train_in_job(ctx, worker, job, &o, &training->start, &search->text,
                           s->validation_tokens, measure, &search->curve);
}
