/* The kinds of jobs of a search: trial (train and validate), measure (speed on this machine,
 * alone), final (train for longer, and score the test split) and probe (the MAD suite; probe.c). */
#include "search/jobs.h"
#include "search/lineage.h"
#include "search/rungs.h"

#include "study/sql.h"
#include "train/loaded.h"
#include "train/measure.h"
#include "train/settings.h"
#include "train/speed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const sr_job_kind sr_search_kinds[SR_SEARCH_KINDS] = {
    {SR_KIND_TRIAL, sr_trial_run, sr_trial_store},
    {SR_KIND_MEASURE, sr_measure_run, sr_measure_store},
    {SR_KIND_FINAL, sr_final_run, sr_final_store},
    {SR_KIND_PROBE, sr_probe_run, sr_probe_store},
};

static const double measure_seconds = 1.0;

static const char *spec_genome(const sr_job *job) {
    const char *genome = json_string_value(json_object_get(job->spec, "genome"));
    return genome != NULL ? genome : "";
}

static sartor_status put_value(sartor_context *ctx, sr_study *study, int64_t trial,
                               const char *name, const json_t *result) {
    return sr_run_sql(ctx, study, NULL,
                      "INSERT OR REPLACE INTO value (trial, name, value) VALUES (?, ?, ?)", "isd",
                      trial, name, json_number_value(json_object_get(result, name)));
}

sartor_status sr_trial_close(sartor_context *ctx, sr_study *study, const sr_search *search,
                             int64_t trial) {
    static const struct {
        sr_objective_source source;
        const char *value;
    } needed[] = {{SR_MEASURED, "decode"}, {SR_PROBED, "mad"}};
    if (sr_search_needs(&search->settings, SR_TRAINED)) {
        bool trained;
        SR_TRY(sr_trained(ctx, study, search, trial, &trained));
        if (!trained) return SARTOR_OK;
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        sr_query rows;
        if (!sr_search_needs(&search->settings, needed[i].source)) continue;
        SR_TRY(sr_sql(ctx, study, &rows, "SELECT 1 FROM value WHERE trial = ? AND name = ?", "is",
                      trial, needed[i].value));
        const bool there = sr_next(&rows);
        SR_TRY(sr_done(&rows));
        if (!there) return SARTOR_OK;
    }
    return sr_run_sql(ctx, study, NULL,
                      "UPDATE trial SET state = 'done' WHERE id = ? AND state = 'open'", "i",
                      trial);
}

/* ---- trial ---- */

sartor_status sr_trial_run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                           json_t **result) {
    sr_search *search = user;
    const json_t *tokens = json_object_get(job->spec, "tokens");
    const json_t *seed = json_object_get(job->spec, "seed");
    sr_inheriting inheriting = {sr_worker_study(worker), job->spec};
    sr_training training = {.genome = spec_genome(job),
                            .tokens = search->settings.train_tokens,
                            .seed = search->settings.seed};
    if (tokens != NULL) training.tokens = json_integer_value(tokens);
    if (seed != NULL) training.seed = (uint64_t)json_integer_value(seed);
    if (sr_inherits(job->spec)) {
        training.start.begin = sr_inherit_begin;
        training.start.user = &inheriting;
    }
    training.start.after = json_integer_value(json_object_get(job->spec, "after"));
    training.start.pause = sr_stage_end(&search->settings, sr_stage_of(job->spec));
    if (training.tokens < 1) return sr_fail(ctx, SARTOR_FORMAT, "a trial without tokens");
    sartor_measure m;
    SR_TRY(sr_train_job(ctx, worker, search, job, &training, &m));
    *result = json_pack("{s:f, s:I, s:f}", "bpb", m.bits_per_byte, "tokens", (json_int_t)m.tokens,
                        "seconds", m.seconds);
    return *result != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

sartor_status sr_trial_store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                             const json_t *result) {
    sr_search *search = user;
    int64_t trial = json_integer_value(json_object_get(job->spec, "trial"));
    SR_TRY(put_value(ctx, study, trial, "bpb", result));
    SR_TRY(
        sr_lineage_store(ctx, study, trial, json_integer_value(json_object_get(result, "tokens"))));
    SR_TRY(sr_trial_close(ctx, study, search, trial));
    return sr_curve_store(ctx, study, job->id, search->curve);
}

/* ---- measure ---- */

/* The trained model of a job, or the genome with initial weights where nothing was trained. */
static sartor_status open_model(sartor_context *ctx, sr_study *study, const sr_search *search,
                                const sr_job *job, sartor_model **loaded, sr_model **made) {
    int64_t source = json_integer_value(json_object_get(job->spec, "job"));
    char *path = NULL;
    if (source > 0) SR_TRY(sr_finished_model(ctx, study, source, &path));
    if (path != NULL) {
        sartor_status status = sartor_model_load(ctx, path, loaded);
        free(path);
        if (status == SARTOR_OK) return SARTOR_OK;
    }
    const char *text = spec_genome(job);
    sr_genome *genome = malloc(sizeof *genome);
    if (genome == NULL) return sr_no_memory(ctx);
    sartor_status status = sr_genome_parse(ctx, text, strlen(text), genome);
    if (status == SARTOR_OK) status = sr_model_create(ctx, genome, &search->settings.sizes, made);
    free(genome);
    if (status == SARTOR_OK) status = sr_model_allocate(ctx, *made);
    if (status == SARTOR_OK) sr_model_init(*made, search->settings.seed);
    return status;
}

sartor_status sr_measure_run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                             json_t **result) {
    const sr_search *search = user;
    const sr_search_settings *s = &search->settings;
    sartor_model *loaded = NULL;
    sr_model *made = NULL;
    sr_speed speed;
    sartor_status status = open_model(ctx, sr_worker_study(worker), search, job, &loaded, &made);
    if (status == SARTOR_OK)
        status =
            sr_speed_measure(ctx, loaded != NULL ? loaded->model : made, s->sizes.context,
                             sr_numbers_from(s->precision), s->threads, measure_seconds, &speed);
    sartor_model_destroy(&loaded);
    sr_model_destroy(&made);
    SR_TRY(status);
    *result = json_pack("{s:f, s:f}", "prefill", speed.prefill, "decode", speed.decode);
    return *result != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

sartor_status sr_measure_store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                               const json_t *result) {
    int64_t trial = json_integer_value(json_object_get(job->spec, "trial"));
    if (trial == 0) return SARTOR_OK; /* of a final: the job's result is all */
    SR_TRY(put_value(ctx, study, trial, "prefill", result));
    SR_TRY(put_value(ctx, study, trial, "decode", result));
    return sr_trial_close(ctx, study, user, trial);
}

/* ---- final ---- */

sartor_status sr_final_run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                           json_t **result) {
    sr_search *search = user;
    const sr_search_settings *s = &search->settings;
    sr_study *study = sr_worker_study(worker);
    SR_TRY(sr_study_text_open(ctx, study, &search->text, SR_TRAIN | SR_VAL | SR_TEST));
    sr_training training = {.genome = spec_genome(job),
                            .tokens = json_integer_value(json_object_get(job->spec, "tokens")),
                            .seed =
                                (uint64_t)json_integer_value(json_object_get(job->spec, "seed"))};
    if (training.tokens < 1) return sr_fail(ctx, SARTOR_FORMAT, "a final without tokens");
    sartor_measure trained, tested;
    SR_TRY(sr_train_job(ctx, worker, search, job, &training, &trained));
    char *path = sr_job_model_path(study, job->kind, job->id, job->attempt);
    sartor_model *model = NULL;
    sartor_status status = path != NULL ? sartor_model_load(ctx, path, &model) : sr_no_memory(ctx);
    if (status == SARTOR_OK)
        status = sr_measure_tokens(ctx, model->model, model->tokenizer, &search->text.corpus.test,
                                   &(sr_measure_options){.batch = s->batch,
                                                         .context = s->sizes.context,
                                                         .numbers = sr_numbers_from(s->precision),
                                                         .threads = s->threads},
                                   &tested);
    sartor_model_destroy(&model);
    free(path);
    SR_TRY(status);
    *result = json_pack("{s:f, s:f, s:f}", "bpb", tested.bits_per_byte, "validation",
                        trained.bits_per_byte, "seconds", trained.seconds);
    return *result != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

sartor_status sr_final_store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                             const json_t *result) {
    (void)result;
    const sr_search *search = user;
    return sr_curve_store(ctx, study, job->id, search->curve);
}
