#define _GNU_SOURCE
#include "probe/mad_study.h"

#include "probe/mad_checkpoint.h"
#include "study/attempt.h"
#include "study/setting.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACT_DATA "data"
static const char drawn[] = "drawn"; /* the setting "data" where there are no files */

/* ---- settings ---- */

sartor_status sr_mad_settings_make(sartor_context *ctx, const sartor_mad_options *o,
                                   const sr_mad_data *data, sr_mad_settings *s) {
    if (o->threads < 1 || o->threads > SR_MAX_THREADS)
        return sr_fail(ctx, SARTOR_INVALID, "threads is %d, expected 1 to %d", o->threads,
                       SR_MAX_THREADS);
    if (!isfinite(o->lease) || o->lease < 1 || o->lease > 86400)
        return sr_fail(ctx, SARTOR_INVALID, "the lease is %g seconds, expected 1 to 86400",
                       o->lease);
    if (o->protocol != SARTOR_MAD_FAITHFUL && o->protocol != SARTOR_MAD_PAPER)
        return sr_fail(ctx, SARTOR_INVALID, "protocol %d is neither faithful nor paper",
                       (int)o->protocol);
    SR_TRY(sr_precision_check(ctx, o->precision));
    *s = (sr_mad_settings){.sizes = sr_sizes_from(&o->sizes, 2),
                           .protocol =
                               o->protocol == SARTOR_MAD_PAPER ? SR_MAD_PAPER : SR_MAD_FAITHFUL,
                           .precision = o->precision,
                           .threads = o->threads,
                           .seed = o->seed};
    if (data != NULL) s->data = sr_mad_data_identity(data);
    return SARTOR_OK;
}

static bool has_data(const sr_mad_settings *s) { return s->data.high != 0 || s->data.low != 0; }

json_t *sr_mad_settings_json(const sr_mad_settings *s) {
    char data[SR_HASH_TEXT];
    sr_hash_text(s->data, data);
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:s, s:i, s:o, s:s}", SR_SETTING_PURPOSE,
                     SR_PURPOSE_MAD, "protocol", s->protocol == SR_MAD_PAPER ? "paper" : "faithful",
                     "width", (json_int_t)s->sizes.width, "head_dim", (json_int_t)s->sizes.head_dim,
                     "window", (json_int_t)s->sizes.window, "tie_embeddings", s->sizes.tied,
                     "precision", s->precision == SARTOR_BF16 ? "bf16" : "f32", "threads",
                     s->threads, "seed", json_sprintf("%" PRIu64, s->seed), "data",
                     has_data(s) ? data : drawn);
}

static bool read_hash(const char *text, sr_hash *hash) {
    *hash = (sr_hash){0, 0};
    if (strcmp(text, drawn) == 0) return true;
    return strlen(text) == SR_HASH_TEXT - 1 &&
           strspn(text, "0123456789abcdef") == SR_HASH_TEXT - 1 &&
           sscanf(text, "%16" SCNx64 "%16" SCNx64, &hash->high, &hash->low) == 2;
}

sartor_status sr_mad_settings_read(sartor_context *ctx, const sr_study *study, sr_mad_settings *s) {
    const json_t *json = sr_study_settings(study);
    sr_settings_reader r = {ctx, json, SARTOR_OK};
    SR_TRY(sr_study_purpose_check(ctx, study, SR_PURPOSE_MAD));
    *s = (sr_mad_settings){
        .sizes = {.width = sr_setting_integer(&r, "width", 1, SR_MAX_WIDTH),
                  .head_dim = sr_setting_integer(&r, "head_dim", 1, SR_MAX_WIDTH),
                  .window = sr_setting_integer(&r, "window", 1, SR_MAX_CONTEXT),
                  .tied = json_is_true(json_object_get(json, "tie_embeddings"))},
        .protocol = (sr_mad_protocol)sr_setting_choice(&r, "protocol", "faithful", "paper"),
        .precision = (sartor_precision)sr_setting_choice(&r, "precision", "f32", "bf16"),
        .threads = (int)sr_setting_integer(&r, "threads", 1, SR_MAX_THREADS),
        .seed = strtoull(sr_setting_text(&r, "seed"), NULL, 10)};
    if (!read_hash(sr_setting_text(&r, "data"), &s->data)) sr_setting_wrong(&r, "data");
    return r.status == SARTOR_OK ? SARTOR_OK
                                 : sr_fail_in(ctx, SARTOR_FORMAT, "%s", sr_study_path(study));
}

sartor_status sr_mad_data_put(sartor_context *ctx, sr_study *study, const char *folder) {
    char *absolute = realpath(folder, NULL);
    if (absolute == NULL) return sr_fail(ctx, SARTOR_IO, "%s: cannot be found", folder);
    sartor_status status = sr_study_put(ctx, study, FACT_DATA, absolute);
    free(absolute);
    return status;
}

/* ---- runs ---- */

sartor_status sr_mad_job_add(sartor_context *ctx, sr_study *study, const sr_mad_job *job,
                             double cost, int64_t *id) {
    char name[SR_HASH_TEXT + SR_MAD_SETTING_TEXT + 120];
    snprintf(name, sizeof name, "%s %s lr %.17g wd %.17g epochs %" PRId64, job->id, job->setting,
             job->learning_rate, job->weight_decay, job->epochs);
    json_t *spec =
        json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:I}", "id", job->id, "arch", job->arch, "genome",
                  job->genome, "setting", job->setting, "learning_rate", job->learning_rate,
                  "weight_decay", job->weight_decay, "epochs", (json_int_t)job->epochs);
    if (spec == NULL) return sr_fail(ctx, SARTOR_INVALID, "an architecture's name is not in UTF-8");
    sartor_status status = sr_job_add(ctx, study, SR_KIND_MAD, name, spec, cost, false, id, NULL);
    json_decref(spec);
    return status;
}

sartor_status sr_mad_job_read(sartor_context *ctx, const sr_study *study, const json_t *spec,
                              sr_mad_job *job) {
    sr_settings_reader r = {ctx, spec, SARTOR_OK};
    *job = (sr_mad_job){.id = sr_setting_text(&r, "id"),
                        .arch = sr_setting_text(&r, "arch"),
                        .genome = sr_setting_text(&r, "genome"),
                        .setting = sr_setting_text(&r, "setting"),
                        .learning_rate = sr_setting_real(&r, "learning_rate"),
                        .weight_decay = sr_setting_real(&r, "weight_decay"),
                        .epochs = sr_setting_integer(&r, "epochs", 1, 1 << 20)};
    return r.status == SARTOR_OK ? SARTOR_OK
                                 : sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (a run of %s)",
                                           sr_study_path(study), SR_PURPOSE_MAD);
}

/* ---- a worker's part ---- */

typedef struct probing {
    sr_mad_settings settings;
    char setting[SR_MAD_SETTING_TEXT]; /* of `data`; "": none yet */
    sr_mad_data data;
    sr_worker *worker; /* of the run in progress */
} probing;

/* SARTOR_IO: nobody's job is at fault. */
static sartor_status read_files(sartor_context *ctx, probing *p, const sr_mad_setting *setting) {
    char *folder;
    SR_TRY(sr_study_get(ctx, sr_worker_study(p->worker), FACT_DATA, &folder));
    sartor_status status =
        folder != NULL ? sr_mad_read(ctx, folder, setting->vocab, &p->data)
                       : sr_fail(ctx, SARTOR_IO, "the study does not say where its data is");
    if (status == SARTOR_OK) {
        const sr_hash is = sr_mad_data_identity(&p->data);
        if (is.high != p->settings.data.high || is.low != p->settings.data.low)
            status =
                sr_fail(ctx, SARTOR_IO, "%s: the data changed since the study was made", folder);
    } else if (status != SARTOR_INTERRUPTED) {
        status = sr_fail_in(ctx, SARTOR_IO, "the data of the study");
    }
    free(folder);
    return status;
}

/* Neighbouring jobs are often of one setting. */
static sartor_status need_data(sartor_context *ctx, probing *p, const char *text,
                               const sr_mad_setting *setting) {
    if (strcmp(p->setting, text) == 0) return SARTOR_OK;
    p->setting[0] = '\0';
    sr_mad_data_free(&p->data);
    SR_TRY(has_data(&p->settings)
               ? read_files(ctx, p, setting)
               : sr_mad_generate(ctx, setting, p->settings.protocol == SR_MAD_PAPER, &p->data));
    snprintf(p->setting, sizeof p->setting, "%s", text);
    return SARTOR_OK;
}

static void report_step(void *user, int64_t step, int64_t steps, double loss) {
    const probing *p = user;
    sr_worker_progress(p->worker, step, steps, loss);
}

static const sr_attempt_file run_files[] = {{"checkpoint.safetensors", false}};
static const double checkpoint_seconds = 5;

static sartor_status run_in(sartor_context *ctx, probing *p, const sr_mad_job *job,
                            const char *folder, sr_mad_result *result) {
    sr_mad_setting setting;
    sr_genome *genome = malloc(sizeof *genome);
    if (genome == NULL) return sr_no_memory(ctx);
    sr_mad_run_options options = {.protocol = p->settings.protocol,
                                  .rate = job->learning_rate,
                                  .weight_decay = job->weight_decay,
                                  .batch = SR_MAD_BATCH,
                                  .epochs = job->epochs,
                                  .numbers = sr_numbers_from(p->settings.precision),
                                  .threads = p->settings.threads,
                                  .seed = p->settings.seed,
                                  .folder = folder,
                                  .checkpoint_seconds = checkpoint_seconds,
                                  .before_step = report_step,
                                  .user = p};
    sartor_status status = sr_mad_setting_parse(ctx, job->setting, &setting);
    if (status == SARTOR_OK)
        status = sr_genome_parse(ctx, job->genome, strlen(job->genome), genome);
    if (status == SARTOR_OK) status = need_data(ctx, p, job->setting, &setting);
    if (status == SARTOR_OK)
        status = sr_mad_run(ctx, genome, &p->settings.sizes, &setting, &p->data, &options, result);
    free(genome);
    return status;
}

static json_t *result_json(const sr_mad_result *r, double score) {
    return json_pack("{s:f, s:f, s:f, s:o, s:f, s:I, s:I, s:I, s:f, s:f, s:f}", "score", score,
                     "accuracy", r->accuracy, "accuracy_macro", r->accuracy_macro, "perplexity",
                     isfinite(r->perplexity) ? json_real(r->perplexity) : json_null(), "selection",
                     r->selection, "epoch", (json_int_t)r->epoch, "epochs", (json_int_t)r->epochs,
                     "steps", (json_int_t)r->steps, "seconds", r->seconds, "seconds_scoring",
                     r->seconds_scoring, "examples_per_second", r->examples_per_second);
}

static sartor_status run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                         json_t **result) {
    probing *p = user;
    sr_mad_job spec;
    sr_mad_result r;
    char *folder;
    p->worker = worker;
    const sr_study *study = sr_worker_study(worker);
    SR_TRY(sr_mad_job_read(ctx, study, job->spec, &spec));
    SR_TRY(sr_attempt_begin(ctx, study, job, run_files, 1, NULL, &folder));
    sartor_status status = run_in(ctx, p, &spec, folder, &r);
    if (status == SARTOR_OK) {
        *result = result_json(&r, sr_mad_result_score(&r, p->settings.protocol));
        if (*result == NULL) status = sr_no_memory(ctx);
    }
    free(folder);
    return status;
}

/* Only the numbers are kept. */
static sartor_status store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                           const json_t *result) {
    (void)user;
    (void)result;
    char *folder = sr_study_inside(study, "%s/%" PRId64, job->kind, job->id);
    if (folder == NULL) return sr_no_memory(ctx);
    sr_remove_folder(folder);
    free(folder);
    return SARTOR_OK;
}

static sartor_status open_probing(sartor_context *ctx, const sr_study *study, bool jobs_only,
                                  void **user) {
    (void)jobs_only; /* all jobs are there from the start */
    probing *p = calloc(1, sizeof *p);
    *user = p;
    return p != NULL ? sr_mad_settings_read(ctx, study, &p->settings) : sr_no_memory(ctx);
}

static void close_probing(void *user) {
    probing *p = user;
    if (p != NULL) sr_mad_data_free(&p->data);
    free(p);
}

static const sr_job_kind kinds[] = {{SR_KIND_MAD, run, store}};

const sr_study_purpose sr_mad_purpose = {.name = SR_PURPOSE_MAD,
                                         .title = "a MAD suite",
                                         .kinds = kinds,
                                         .n_kinds = 1,
                                         .open = open_probing,
                                         .close = close_probing};
