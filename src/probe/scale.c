/* sartor_scale(): making the study, its workers, and the answer. */
#include "probe/scale.h"

#include "base/memory.h"
#include "model/cost.h"
#include "study/local.h"
#include "study/progress.h"
#include "study/text.h"
#include "train/settings.h"

#include <stdlib.h>
#include <string.h>

void sartor_scale_defaults(sartor_scale_options *o) {
    *o = (sartor_scale_options){.points = 5,
                                .batch = 16,
                                .learning_rate = 2e-3,
                                .precision = SARTOR_F32,
                                .threads = 1,
                                .lease = 60};
    sartor_sizes_defaults(&o->sizes);
    o->sizes.livs = 0;
    o->sizes.head_dim = 16;
}

typedef struct making {
    sartor_context *ctx;
    const sartor_scale_options *options;
    sr_tokenizer *tokenizer;
    sr_source *source;
    sr_scale_settings settings;
    sr_scale_runs runs;
    sr_study *study;
    char *jobs, *spans; /* the runs asked for (study/job_set.h) */
} making;

static void release(making *m) {
    sr_study_close(&m->study);
    sr_scale_runs_free(&m->runs);
    sr_source_close(&m->source);
    sr_tokenizer_free(&m->tokenizer);
    free(m->spans);
}

/* What would be trained, before anything is written. */
static sartor_status plan(making *m) {
    sartor_context *ctx = m->ctx;
    const sartor_scale_options *o = m->options;
    SR_TRY(o->tokenizer != NULL ? sr_tokenizer_load(ctx, o->tokenizer, &m->tokenizer)
                                : sr_tokenizer_bytes(ctx, &m->tokenizer));
    SR_TRY(sr_scale_settings_make(ctx, o, sr_tokenizer_vocab(m->tokenizer), &m->settings));
    SR_TRY(sr_scale_plan(ctx, o, &m->settings, &m->runs));
    SR_TRY(sr_text_open(ctx, &o->text, false, &m->source));
    return sr_source_require(ctx, m->source, SR_TRAIN | SR_VAL);
}

static sartor_status text_of(sartor_context *ctx, json_t *object, char **json) {
    *json = object != NULL ? json_dumps(object, JSON_REAL_PRECISION(17)) : NULL;
    json_decref(object);
    return *json != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

/* ---- what it would take ---- */

static sartor_status memory_of(const making *m, const sr_scale_run *run, int64_t *bytes) {
    sr_model *model = NULL;
    sr_sizes sizes = m->settings.sizes;
    sr_genome *genome = malloc(sizeof *genome);
    if (genome == NULL) return sr_no_memory(m->ctx);
    sizes.width = run->width;
    sartor_status status = sr_genome_parse(m->ctx, run->genome, strlen(run->genome), genome);
    if (status == SARTOR_OK) status = sr_model_create(m->ctx, genome, &sizes, &model);
    if (status == SARTOR_OK)
        status = sr_model_train_bytes(m->ctx, model, run->batch.windows, sizes.context,
                                      sr_numbers_from(m->settings.precision), m->settings.threads,
                                      bytes);
    sr_model_destroy(&model);
    free(genome);
    return status;
}

static json_t *run_json(const sr_scale_run *run) {
    return json_pack("{s:s, s:f, s:I, s:i, s:I, s:I, s:I, s:I, s:f, s:I}", "arch", run->arch,
                     "budget", run->budget, "width", (json_int_t)run->width, "livs", run->livs,
                     "params", (json_int_t)run->params, "tokens", (json_int_t)run->tokens, "steps",
                     (json_int_t)run->steps, "batch",
                     (json_int_t)(run->batch.windows * run->batch.accumulate), "learning_rate",
                     run->learning_rate, "cache", (json_int_t)run->cache);
}

static sartor_status describe(making *m, json_t **answer) {
    double flops = 0;
    int64_t memory = 0;
    for (int i = 0; i < m->runs.n; i++) {
        int64_t bytes;
        SR_TRY(memory_of(m, &m->runs.run[i], &bytes));
        if (bytes > memory) memory = bytes;
        flops += 3 * m->runs.run[i].flops_per_token * (double)m->runs.run[i].tokens;
    }
    json_t *runs = json_array();
    for (int i = 0; i < m->runs.n; i++)
        (void)json_array_append_new(runs, run_json(&m->runs.run[i]));
    *answer = json_pack("{s:i, s:o, s:f, s:I, s:I}", "version", 1, "runs", runs, "flops", flops,
                        "text_bytes", (json_int_t)sr_source_bytes(m->source, SR_TRAIN),
                        "memory_bytes", (json_int_t)memory);
    return *answer != NULL ? SARTOR_OK : sr_no_memory(m->ctx);
}

sartor_status sartor_scale_plan(sartor_context *ctx, const sartor_scale_options *o, char **json) {
    making m = {.ctx = ctx, .options = o};
    json_t *answer = NULL;
    *json = NULL;
    sartor_status status = plan(&m);
    if (status == SARTOR_OK) status = describe(&m, &answer);
    release(&m);
    return status == SARTOR_OK ? text_of(ctx, answer, json) : status;
}

/* ---- making the study ---- */

static sartor_status put_all(making *m) {
    SR_TRY(sr_study_text_put(m->ctx, m->study, &m->options->text, m->options->tokenizer));
    SR_TRY(sr_local_facts_put(m->ctx, m->study, m->options->lease));
    int64_t *ids;
    const int n = m->runs.n;
    sartor_status status = sr_alloc(m->ctx, (size_t)n, sizeof *ids, "runs", (void **)&ids);
    for (int i = 0; status == SARTOR_OK && i < n; i++)
        status = sr_scale_add(m->ctx, m->study, &m->runs.run[i], &ids[i]);
    if (status == SARTOR_OK) status = sr_job_set_make(m->ctx, ids, n, &m->jobs, &m->spans);
    free(ids);
    return status;
}

/* Repeated text teaches less: laws fitted through such runs bend. */
static void warn_of_repeats(making *m, uint64_t tokens) {
    double most = 0;
    for (int i = 0; i < m->runs.n; i++)
        if ((double)m->runs.run[i].tokens > most) most = (double)m->runs.run[i].tokens;
    if (most > 1.5 * (double)tokens)
        sr_log(m->ctx, "the longest run reads the training text %.1f times", most / (double)tokens);
}

static sartor_status make_study(making *m) {
    sartor_context *ctx = m->ctx;
    if (m->options->study == NULL || *m->options->study == '\0')
        return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    SR_TRY(plan(m));
    json_t *settings = sr_scale_settings_json(&m->settings);
    bool created;
    sartor_status status = settings != NULL
                               ? sr_study_text_settings(ctx, m->tokenizer, m->source, settings)
                               : sr_no_memory(ctx);
    if (status == SARTOR_OK)
        status = sr_study_create(ctx, m->options->study, settings, &m->study, &created);
    json_decref(settings);
    SR_TRY(status);
    if (!created) SR_TRY(sr_machine_check(ctx, m->study));
    SR_TRY(sr_study_begin(ctx, m->study));
    status = put_all(m);
    if (status == SARTOR_OK) status = sr_study_commit(ctx, m->study);
    if (status != SARTOR_OK) sr_study_rollback(m->study);
    SR_TRY(status);
    uint64_t tokens;
    SR_TRY(sr_study_text_tokens(ctx, &m->options->text, m->source, m->tokenizer, &tokens));
    warn_of_repeats(m, tokens);
    return SARTOR_OK;
}

/* Whether nothing of it is left to do: no worker is started for a look. */
static sartor_status is_complete(making *m, bool *complete) {
    sr_job_counts c;
    SR_TRY(sr_job_count(m->ctx, m->study, NULL, (sr_job_set){m->spans}, &c));
    *complete = c.waiting + c.running == 0;
    return SARTOR_OK;
}

sartor_status sartor_scale_results(sartor_context *ctx, const char *path, char **json) {
    sr_study *study;
    sr_scale_settings settings;
    json_t *answer = NULL;
    *json = NULL;
    if (path == NULL) return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    SR_TRY(sr_study_open(ctx, path, SR_STUDY_READ, &study));
    sartor_status status = sr_scale_settings_read(ctx, study, &settings);
    if (status == SARTOR_OK) status = sr_study_begin_reading(ctx, study);
    if (status == SARTOR_OK) {
        status = sr_scale_answer(ctx, study, false, &answer);
        sr_study_rollback(study);
    }
    sr_study_close(&study);
    return status == SARTOR_OK ? text_of(ctx, answer, json) : status;
}

sartor_status sartor_scale(sartor_context *ctx, const sartor_scale_options *o, char **json) {
    making m = {.ctx = ctx, .options = o};
    bool complete = false;
    *json = NULL;
    sartor_status status = make_study(&m);
    if (status == SARTOR_OK) status = is_complete(&m, &complete);
    release(&m);
    if (status == SARTOR_OK && !complete)
        status = sr_supervise_jobs(
            ctx,
            &(sr_local_options){.study = o->study,
                                .program = o->program,
                                .workers = sr_local_workers(o->workers, o->threads),
                                .jobs = m.jobs},
            o->progress, o->progress_user);
    free(m.jobs);
    return status == SARTOR_OK ? sartor_scale_results(ctx, o->study, json) : status;
}
