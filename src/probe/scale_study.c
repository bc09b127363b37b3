/* A scaling study as rows: its settings, its runs as jobs, and how a worker does one. */
#include "probe/scale.h"

#include "liv/sizes.h"
#include "study/setting.h"
#include "study/training.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* About half of these are scored at the end of every run, the same for all. */
enum { VALIDATION_TOKENS = 1 << 18 };

/* ---- settings ---- */

static sartor_status check(sartor_context *ctx, const sartor_scale_options *o) {
    if (o->batch < 1 || o->batch > 1 << 20)
        return sr_fail(ctx, SARTOR_INVALID, "batch is %" PRId64 ", expected 1 to %d", o->batch,
                       1 << 20);
    if (o->threads < 1 || o->threads > SR_MAX_THREADS)
        return sr_fail(ctx, SARTOR_INVALID, "threads is %d, expected 1 to %d", o->threads,
                       SR_MAX_THREADS);
    if (!isfinite(o->learning_rate) || o->learning_rate < 0)
        return sr_fail(ctx, SARTOR_INVALID, "the learning rate is %g, expected at least 0",
                       o->learning_rate);
    if (!isfinite(o->lease) || o->lease < 1 || o->lease > 86400)
        return sr_fail(ctx, SARTOR_INVALID, "the lease is %g seconds, expected 1 to 86400",
                       o->lease);
    if (o->sizes.context < 1 || o->sizes.context > SR_MAX_CONTEXT)
        return sr_fail(ctx, SARTOR_INVALID, "context is %" PRId64 ", expected 1 to %d",
                       o->sizes.context, SR_MAX_CONTEXT);
    if (o->sizes.head_dim < 1 || o->sizes.head_dim > SR_MAX_WIDTH)
        return sr_fail(ctx, SARTOR_INVALID, "head-dim is %" PRId64 ", expected 1 to %d",
                       o->sizes.head_dim, SR_MAX_WIDTH);
    return sr_precision_check(ctx, o->precision);
}

sartor_status sr_scale_settings_make(sartor_context *ctx, const sartor_scale_options *o,
                                     int64_t vocab, sr_scale_settings *s) {
    SR_TRY(check(ctx, o));
    *s = (sr_scale_settings){.sizes = sr_sizes_from(&o->sizes, vocab),
                             .batch = o->batch,
                             .validation_tokens = VALIDATION_TOKENS,
                             .learning_rate = o->learning_rate,
                             .precision = o->precision,
                             .threads = o->threads,
                             .seed = o->seed};
    s->sizes.width = 0;
    return SARTOR_OK;
}

json_t *sr_scale_settings_json(const sr_scale_settings *s) {
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:f, s:s, s:i, s:o}",
                     SR_SETTING_PURPOSE, SR_PURPOSE_SCALE, "head_dim",
                     (json_int_t)s->sizes.head_dim, "window", (json_int_t)s->sizes.window,
                     "context", (json_int_t)s->sizes.context, "vocab", (json_int_t)s->sizes.vocab,
                     "tie_embeddings", s->sizes.tied, "batch", (json_int_t)s->batch,
                     "validation_tokens", (json_int_t)s->validation_tokens, "learning_rate",
                     s->learning_rate, "precision", s->precision == SARTOR_BF16 ? "bf16" : "f32",
                     "threads", s->threads, "seed", json_sprintf("%" PRIu64, s->seed));
}

sartor_status sr_scale_settings_read(sartor_context *ctx, const sr_study *study,
                                     sr_scale_settings *s) {
    const json_t *json = sr_study_settings(study);
    sr_settings_reader r = {ctx, json, SARTOR_OK};
    SR_TRY(sr_study_purpose_check(ctx, study, SR_PURPOSE_SCALE));
    *s = (sr_scale_settings){
        .sizes = {.head_dim = sr_setting_integer(&r, "head_dim", 1, SR_MAX_WIDTH),
                  .window = sr_setting_integer(&r, "window", 1, SR_MAX_CONTEXT),
                  .context = sr_setting_integer(&r, "context", 1, SR_MAX_CONTEXT),
                  .vocab = sr_setting_integer(&r, "vocab", 2, SR_MAX_VOCAB),
                  .tied = json_is_true(json_object_get(json, "tie_embeddings"))},
        .batch = sr_setting_integer(&r, "batch", 1, 1 << 20),
        .validation_tokens = sr_setting_integer(&r, "validation_tokens", 1, INT64_MAX),
        .learning_rate = sr_setting_real(&r, "learning_rate"),
        .precision = (sartor_precision)sr_setting_choice(&r, "precision", "f32", "bf16"),
        .threads = (int)sr_setting_integer(&r, "threads", 1, SR_MAX_THREADS),
        .seed = strtoull(sr_setting_text(&r, "seed"), NULL, 10)};
    s->sizes.filter_length = s->sizes.context;
    return r.status == SARTOR_OK ? SARTOR_OK
                                 : sr_fail_in(ctx, SARTOR_FORMAT, "%s", sr_study_path(study));
}

/* ---- runs ---- */

sartor_status sr_scale_add(sartor_context *ctx, sr_study *study, const sr_scale_run *run,
                           int64_t *id) {
    char name[160];
    snprintf(name, sizeof name, "%s budget %.17g width %" PRId64, run->family, run->budget,
             run->width);
    json_t *spec = json_pack(
        "{s:s, s:s, s:s, s:s, s:f, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "family",
        run->family, "arch", run->arch, "pattern", run->pattern, "genome", run->genome, "budget",
        run->budget, "livs", run->livs, "width", (json_int_t)run->width, "params",
        (json_int_t)run->params, "cache", (json_int_t)run->cache, "tokens", (json_int_t)run->tokens,
        "steps", (json_int_t)run->steps, "batch", (json_int_t)run->batch.windows, "accumulate",
        (json_int_t)run->batch.accumulate, "flops_per_token", run->flops_per_token, "learning_rate",
        run->learning_rate);
    if (spec == NULL) return sr_fail(ctx, SARTOR_INVALID, "an architecture's name is not in UTF-8");
    sartor_status status =
        sr_job_add(ctx, study, SR_KIND_SCALE, name, spec,
                   3 * run->flops_per_token * (double)run->tokens, false, id, NULL);
    json_decref(spec);
    return status;
}

static double at_least(sr_settings_reader *r, const char *name, double least) {
    const double x = sr_setting_real(r, name);
    if (!(x >= least)) sr_setting_wrong(r, name);
    return x;
}

sartor_status sr_scale_run_read(sartor_context *ctx, const sr_study *study, const json_t *spec,
                                sr_scale_run *run) {
    sr_settings_reader r = {ctx, spec, SARTOR_OK};
    *run = (sr_scale_run){.arch = sr_setting_text(&r, "arch"),
                          .pattern = sr_setting_text(&r, "pattern"),
                          .genome = sr_setting_text(&r, "genome"),
                          .budget = at_least(&r, "budget", 1),
                          .livs = (int)sr_setting_integer(&r, "livs", 1, SR_MAX_LIVS),
                          .width = sr_setting_integer(&r, "width", 1, SR_MAX_WIDTH),
                          .params = sr_setting_integer(&r, "params", 1, INT64_MAX),
                          .cache = sr_setting_integer(&r, "cache", 0, INT64_MAX),
                          .tokens = sr_setting_integer(&r, "tokens", 1, INT64_C(1) << 50),
                          .steps = sr_setting_integer(&r, "steps", 1, INT64_C(1) << 50),
                          .batch = {sr_setting_integer(&r, "batch", 1, 1 << 20),
                                    sr_setting_integer(&r, "accumulate", 1, 1 << 16)},
                          .flops_per_token = at_least(&r, "flops_per_token", 1),
                          .learning_rate = at_least(&r, "learning_rate", 0)};
    const char *family = sr_setting_text(&r, "family");
    if (strlen(family) >= sizeof run->family) sr_setting_wrong(&r, "family");
    snprintf(run->family, sizeof run->family, "%s", family);
    return r.status == SARTOR_OK ? SARTOR_OK
                                 : sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (a run of %s)",
                                           sr_study_path(study), SR_PURPOSE_SCALE);
}

/* ---- a worker's part ---- */

typedef struct scaling {
    sr_scale_settings settings;
    sr_study_text text;
    json_t *curve; /* of the run that was done last */
} scaling;

/* What stands in a study must be a genome: an ARCH could also name a file. */
static sartor_status check_genome(sartor_context *ctx, const char *text) {
    sr_genome *genome = malloc(sizeof *genome);
    if (genome == NULL) return sr_no_memory(ctx);
    sartor_status status = sr_genome_parse(ctx, text, strlen(text), genome);
    free(genome);
    return status;
}

static sartor_status run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                         json_t **result) {
    scaling *s = user;
    sr_scale_run run;
    sartor_measure m;
    SR_TRY(sr_scale_run_read(ctx, sr_worker_study(worker), job->spec, &run));
    SR_TRY(check_genome(ctx, run.genome));
    const sr_sizes *z = &s->settings.sizes;
    sartor_train_options o;
    sartor_train_defaults(&o);
    o.arch = run.genome;
    o.sizes = (sartor_sizes){.livs = run.livs,
                             .width = run.width,
                             .head_dim = z->head_dim,
                             .window = z->window,
                             .context = z->context,
                             .vocab = z->vocab,
                             .tie_embeddings = z->tied};
    o.batch = run.batch.windows;
    o.accumulate = run.batch.accumulate;
    o.steps = run.steps;
    o.learning_rate = run.learning_rate;
    o.precision = s->settings.precision;
    o.threads = s->settings.threads;
    o.seed = s->settings.seed;
    json_decref(s->curve);
    SR_TRY(sr_train_in_job(ctx, worker, job, &o, &(sr_job_start){0}, &s->text,
                           s->settings.validation_tokens, &m, &s->curve));
    *result = json_pack("{s:f, s:f, s:I, s:f}", "loss", m.loss, "bpb", m.bits_per_byte, "tokens",
                        (json_int_t)m.tokens, "seconds", m.seconds);
    return *result != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

static sartor_status store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                           const json_t *result) {
    const scaling *s = user;
    (void)result;
    return sr_curve_store(ctx, study, job->id, s->curve);
}

static sartor_status open_scaling(sartor_context *ctx, const sr_study *study, bool jobs_only,
                                  void **user) {
    (void)jobs_only; /* all jobs are there from the start */
    scaling *s = calloc(1, sizeof *s);
    *user = s;
    return s != NULL ? sr_scale_settings_read(ctx, study, &s->settings) : sr_no_memory(ctx);
}

static void close_scaling(void *user) {
    scaling *s = user;
    if (s != NULL) {
        sr_study_text_close(&s->text);
        json_decref(s->curve);
    }
    free(s);
}

static const sr_job_kind kinds[] = {{SR_KIND_SCALE, run, store}};

const sr_study_purpose sr_scale_purpose = {.name = SR_PURPOSE_SCALE,
                                           .title = "scaling laws",
                                           .kinds = kinds,
                                           .n_kinds = 1,
                                           .open = open_scaling,
                                           .close = close_scaling};
