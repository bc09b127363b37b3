/* sartor_mad(): making the study, its workers, and the answer. */
#define _GNU_SOURCE
#include "base/file.h"
#include "base/memory.h"
#include "data/cache.h"
#include "model/cost.h"
#include "op/machine.h"
#include "probe/mad_study.h"
#include "study/local.h"
#include "study/progress.h"
#include "study/sql.h"
#include "train/settings.h"

#include <sartor/sartor.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sartor_mad_defaults(sartor_mad_options *o) {
    *o = (sartor_mad_options){.suite = "quick",
                              .protocol = SARTOR_MAD_FAITHFUL,
                              .precision = SARTOR_F32,
                              .threads = 1,
                              .lease = 60};
    sartor_sizes_defaults(&o->sizes);
    o->sizes.livs = 4;
    o->sizes.width = 128;
    o->sizes.head_dim = 8;
    o->sizes.window = 33;
}

typedef struct making {
    sartor_context *ctx;
    const sartor_mad_options *options;
    sr_mad_suite *suite;
    sr_mad_settings settings;
    sr_mad_data data; /* from files; {0}: none */
    int n_archs;
    char **genome; /* [n_archs], canonical */
    char (*id)[SR_HASH_TEXT];
    double *flops; /* [n_archs][settings]: of one run without early stopping */
    int64_t memory;
    char *path; /* of the study */
    sr_study *study;
    int64_t *job; /* ids of what is asked for */
    int n_jobs;
    char *jobs, *spans; /* as text (job_set.h) */
} making;

static void release(making *m) {
    sr_study_close(&m->study);
    sr_mad_data_free(&m->data);
    for (int i = 0; m->genome != NULL && i < m->n_archs; i++) free(m->genome[i]);
    free(m->genome);
    free(m->id);
    free(m->flops);
    free(m->suite);
    free(m->path);
    free(m->job);
    free(m->jobs);
    free(m->spans);
}

/* ---- what is asked for ---- */

/* A setting of files has as many examples as they have. */
static sartor_status plan_data(making *m) {
    const sartor_mad_options *o = m->options;
    sr_mad_setting *setting = &m->suite->setting[0];
    if (o->data == NULL) return SARTOR_OK;
    if (m->suite->settings != 1)
        return sr_fail(m->ctx, SARTOR_INVALID,
                       "data from files needs one setting that says what they are: --suite "
                       "recall:vocab=32,length=128");
    SR_TRY(sr_mad_read(m->ctx, o->data, setting->vocab, &m->data));
    const int64_t length = sr_mad_network_length(setting);
    if (m->data.part[SR_MAD_TRAIN].length != length)
        return sr_fail(m->ctx, SARTOR_INVALID,
                       "%s: its sequences have %" PRId64 " tokens, those of the setting %" PRId64,
                       o->data, m->data.part[SR_MAD_TRAIN].length, length);
    if (o->protocol == SARTOR_MAD_PAPER && m->data.part[SR_MAD_VALIDATION].rows == 0)
        return sr_fail(m->ctx, SARTOR_INVALID,
                       "%s: has no validation set, which the protocol paper decides by", o->data);
    setting->train = m->data.part[SR_MAD_TRAIN].rows;
    setting->test = m->data.part[SR_MAD_TEST].rows;
    sartor_status status = sr_mad_setting_check(m->ctx, setting);
    return status == SARTOR_OK ? status : sr_fail_in(m->ctx, status, "%s", o->data);
}

/* Of one run: three forward passes a step, and one for every scored example. */
static sartor_status plan_run(making *m, const sr_genome *genome, int number, double *flops) {
    const sr_mad_setting *setting = &m->suite->setting[number];
    sr_model *model = NULL;
    sr_cost cost;
    int64_t bytes = 0;
    const sr_sizes sizes = sr_mad_sizes(&m->settings.sizes, setting);
    const int64_t rows = sr_mad_micro_rows(SR_MAD_BATCH, sizes.context);
    sartor_status status = sr_model_create(m->ctx, genome, &sizes, &model);
    if (status == SARTOR_OK) status = sr_model_cost(m->ctx, model, &cost);
    if (status == SARTOR_OK)
        status = sr_model_train_bytes(m->ctx, model, rows, sizes.context,
                                      sr_numbers_from(m->settings.precision), m->settings.threads,
                                      &bytes);
    sr_model_destroy(&model);
    SR_TRY(status);
    if (bytes > m->memory) m->memory = bytes;
    *flops = cost.flops_per_token * (double)(sizes.context * m->suite->epochs[number]) *
             (3 * (double)setting->train + (double)setting->test);
    return SARTOR_OK;
}

/* A pattern longer than the suite's models is another one when it is cut: striped models lose their
 * attention, what a search found its end. */
static sartor_status tell_if_cut(making *m, const char *arch, const sr_genome *cut,
                                 sr_genome room[2]) {
    sr_genome *whole = &room[0], *again = &room[1];
    SR_TRY(sr_arch_parse(m->ctx, arch, 0, whole));
    if (whole->n <= cut->n) return SARTOR_OK;
    const int n = whole->n;
    *again = *cut;
    SR_TRY(sr_genome_fit(m->ctx, again, n));
    sr_genome_canonical(again);
    sr_genome_canonical(whole);
    char *texts = malloc(2 * SR_GENOME_TEXT);
    if (texts == NULL) return sr_no_memory(m->ctx);
    sr_genome_print(whole, texts);
    sr_genome_print(again, texts + SR_GENOME_TEXT);
    if (strcmp(texts, texts + SR_GENOME_TEXT) != 0) {
        sr_genome_names(cut, texts);
        sr_log(m->ctx, "%.80s: cut to %d of its %d LIVs, %.200s; --livs %d takes all of it", arch,
               cut->n, n, texts, n);
    }
    free(texts);
    return SARTOR_OK;
}

/* `room` for three genomes. */
static sartor_status plan_arch(making *m, int i, sr_genome room[3]) {
    const sr_mad_suite *s = m->suite;
    sr_genome *genome = &room[0];
    SR_TRY(sr_arch_parse(m->ctx, m->options->archs[i], m->options->sizes.livs, genome));
    sr_genome_canonical(genome);
    SR_TRY(tell_if_cut(m, m->options->archs[i], genome, room + 1));
    sr_genome_id(genome, m->id[i]);
    if ((m->genome[i] = malloc(SR_GENOME_TEXT)) == NULL) return sr_no_memory(m->ctx);
    sr_genome_print(genome, m->genome[i]);
    for (int k = 0; k < s->settings; k++) {
        sartor_status status = plan_run(m, genome, k, &m->flops[i * s->settings + k]);
        if (status != SARTOR_OK) return sr_fail_in(m->ctx, status, "%s", m->options->archs[i]);
    }
    return SARTOR_OK;
}

static sartor_status plan(making *m) {
    const sartor_mad_options *o = m->options;
    sartor_context *ctx = m->ctx;
    SR_TRY(sr_alloc(ctx, 1, sizeof *m->suite, "a suite", (void **)&m->suite));
    SR_TRY(sr_mad_suite_make(ctx, o, m->suite));
    SR_TRY(plan_data(m));
    SR_TRY(sr_mad_settings_make(ctx, o, o->data != NULL ? &m->data : NULL, &m->settings));
    if (o->n_archs < 1 || o->n_archs > 1 << 16)
        return sr_fail(ctx, SARTOR_INVALID, "no architecture is given");
    const size_t n = (size_t)o->n_archs;
    SR_TRY(sr_alloc(ctx, n, sizeof *m->genome, "architectures", (void **)&m->genome));
    m->n_archs = o->n_archs;
    SR_TRY(sr_alloc(ctx, n, sizeof *m->id, "architectures", (void **)&m->id));
    SR_TRY(sr_alloc(ctx, n * (size_t)m->suite->settings, sizeof *m->flops, "architectures",
                    (void **)&m->flops));
    sr_genome *room = malloc(3 * sizeof *room);
    if (room == NULL) return sr_no_memory(ctx);
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < o->n_archs && status == SARTOR_OK; i++) status = plan_arch(m, i, room);
    free(room);
    return status;
}

/* Without a file of its own a run is kept where others of the same settings, program and machine
 * are: asking again costs nothing, and what was killed continues. */
static sartor_status choose_path(making *m) {
    char machine[SR_MACHINE_TEXT], hash[SR_HASH_TEXT], *folder = NULL, *text = NULL;
    if (m->options->study != NULL) {
        m->path = strdup(m->options->study);
        return m->path != NULL ? SARTOR_OK : sr_no_memory(m->ctx);
    }
    sr_machine_print(machine);
    json_t *settings = sr_mad_settings_json(&m->settings);
    char *json = settings != NULL ? json_dumps(settings, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(settings);
    int n = json != NULL ? asprintf(&text, "%s %s %s", sartor_version(), machine, json) : -1;
    free(json);
    if (n < 0) return sr_no_memory(m->ctx);
    sr_hash_text(sr_hash_bytes(text, (size_t)n, 0), hash);
    free(text);
    SR_TRY(sr_cache_folder(m->ctx, &folder));
    if (asprintf(&m->path, "%s/mad/%s.db", folder, hash) < 0) m->path = NULL;
    free(folder);
    return m->path != NULL ? SARTOR_OK : sr_no_memory(m->ctx);
}

/* ---- what it would take ---- */

static json_t *setting_json(const making *m, int number) {
    const sr_mad_setting *s = &m->suite->setting[number];
    const int64_t epochs = m->suite->epochs[number], n = s->train;
    char text[SR_MAD_SETTING_TEXT];
    sr_mad_setting_print(s, text);
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "task", sr_mad_task_name(s->task),
                     "setting", text, "examples", (json_int_t)n, "length",
                     (json_int_t)sr_mad_network_length(s), "vocab", (json_int_t)s->vocab, "epochs",
                     (json_int_t)epochs, "steps",
                     (json_int_t)(epochs * ((n + SR_MAD_BATCH - 1) / SR_MAD_BATCH)));
}

static sartor_status text_of(sartor_context *ctx, json_t *object, char **json) {
    *json = object != NULL ? json_dumps(object, JSON_REAL_PRECISION(17)) : NULL;
    json_decref(object);
    return *json != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

static json_t *describe(const making *m) {
    const sr_mad_suite *s = m->suite;
    const int grid = s->rates * s->decays;
    double flops = 0;
    json_t *settings = json_array();
    for (int i = 0; i < m->n_archs * s->settings; i++) flops += grid * m->flops[i];
    for (int i = 0; i < s->settings; i++) (void)json_array_append_new(settings, setting_json(m, i));
    return json_pack("{s:i, s:s, s:o, s:i, s:f, s:I}", "version", 1, "study", m->path, "settings",
                     settings, "runs", m->n_archs * s->settings * grid, "flops", flops,
                     "memory_bytes", (json_int_t)m->memory);
}

sartor_status sartor_mad_plan(sartor_context *ctx, const sartor_mad_options *o, char **json) {
    making m = {.ctx = ctx, .options = o};
    json_t *answer = NULL;
    *json = NULL;
    sartor_status status = plan(&m);
    if (status == SARTOR_OK) status = choose_path(&m);
    if (status == SARTOR_OK) answer = describe(&m);
    release(&m);
    return status == SARTOR_OK ? text_of(ctx, answer, json) : status;
}

/* ---- making the study ---- */

static sartor_status add_jobs(making *m, int arch, int setting) {
    const sr_mad_suite *s = m->suite;
    char text[SR_MAD_SETTING_TEXT];
    sr_mad_setting_print(&s->setting[setting], text);
    for (int k = 0; k < s->rates * s->decays; k++) {
        const sr_mad_job job = {.arch = m->options->archs[arch],
                                .genome = m->genome[arch],
                                .id = m->id[arch],
                                .setting = text,
                                .learning_rate = s->rate[k / s->decays],
                                .weight_decay = s->decay[k % s->decays],
                                .epochs = s->epochs[setting]};
        SR_TRY(sr_mad_job_add(m->ctx, m->study, &job, m->flops[arch * s->settings + setting],
                              &m->job[m->n_jobs++]));
    }
    return SARTOR_OK;
}

static sartor_status put_all(making *m) {
    SR_TRY(sr_local_facts_put(m->ctx, m->study, m->options->lease));
    if (m->options->data != NULL) SR_TRY(sr_mad_data_put(m->ctx, m->study, m->options->data));
    const sr_mad_suite *s = m->suite;
    SR_TRY(sr_alloc(m->ctx, (size_t)(m->n_archs * s->settings * s->rates * s->decays),
                    sizeof *m->job, "runs", (void **)&m->job));
    for (int i = 0; i < m->n_archs; i++)
        for (int k = 0; k < m->suite->settings; k++) SR_TRY(add_jobs(m, i, k));
    return sr_job_set_make(m->ctx, m->job, m->n_jobs, &m->jobs, &m->spans);
}

static sartor_status make_folder_of(sartor_context *ctx, const char *path) {
    char *folder = strdup(path), *slash = folder != NULL ? strrchr(folder, '/') : NULL;
    if (folder == NULL) return sr_no_memory(ctx);
    sartor_status status = SARTOR_OK;
    if (slash != NULL && slash != folder) {
        *slash = '\0';
        status = sr_make_folder(ctx, folder);
    }
    free(folder);
    return status;
}

static sartor_status make_study(making *m) {
    sartor_context *ctx = m->ctx;
    bool created;
    SR_TRY(plan(m));
    SR_TRY(choose_path(m));
    if (m->options->study == NULL) {
        SR_TRY(make_folder_of(ctx, m->path));
        sr_log(ctx, "the runs are kept in %s, which sartor report draws", m->path);
    }
    json_t *settings = sr_mad_settings_json(&m->settings);
    sartor_status status = settings != NULL
                               ? sr_study_create(ctx, m->path, settings, &m->study, &created)
                               : sr_no_memory(ctx);
    json_decref(settings);
    SR_TRY(status);
    if (!created) SR_TRY(sr_machine_check(ctx, m->study));
    SR_TRY(sr_study_begin(ctx, m->study));
    status = put_all(m);
    if (status == SARTOR_OK) status = sr_study_commit(ctx, m->study);
    if (status != SARTOR_OK) sr_study_rollback(m->study);
    return status;
}

/* ---- the call ---- */

/* A study may hold suites that others asked for, or that were stopped: they are not waited for. */
static sartor_status supervise(making *m) {
    const sartor_mad_options *o = m->options;
    sr_job_counts c;
    SR_TRY(sr_job_count(m->ctx, m->study, NULL, (sr_job_set){m->spans}, &c));
    sr_study_close(&m->study);
    if (c.waiting + c.running == 0) return SARTOR_OK; /* no worker is started for a look */
    return sr_supervise_jobs(
        m->ctx,
        &(sr_local_options){.study = m->path,
                            .program = o->program,
                            .workers = sr_local_workers(o->workers, o->threads),
                            .jobs = m->jobs},
        o->progress, o->progress_user);
}

/* A failed run is no failed suite, but nobody should have to look for it. */
static sartor_status warn_of_failures(making *m) {
    sr_query rows;
    SR_TRY(sr_sql(m->ctx, m->study, &rows,
                  "SELECT count(*), min(reason) FROM job WHERE " SR_IN_JOB_SET
                  " AND state = 'failed'",
                  "s", m->spans));
    if (sr_next(&rows) && sr_int(&rows, 0) > 0)
        sr_log(m->ctx, "%" PRId64 " run%s failed: %s", sr_int(&rows, 0),
               sr_int(&rows, 0) == 1 ? "" : "s", sr_text(&rows, 1));
    return sr_done(&rows);
}

static sartor_status read_answer(making *m, json_t **answer) {
    const sr_mad_asked asked = {m->options->archs, m->id, m->n_archs, m->suite};
    SR_TRY(sr_study_open(m->ctx, m->path, SR_STUDY_READ, &m->study));
    SR_TRY(sr_study_begin_reading(m->ctx, m->study));
    sartor_status status = warn_of_failures(m);
    if (status == SARTOR_OK) status = sr_mad_answer(m->ctx, m->study, &asked, answer);
    sr_study_rollback(m->study);
    return status;
}

sartor_status sartor_mad(sartor_context *ctx, const sartor_mad_options *o, char **json) {
    making m = {.ctx = ctx, .options = o};
    json_t *answer = NULL;
    *json = NULL;
    sartor_status status = make_study(&m);
    if (status == SARTOR_OK) status = supervise(&m);
    if (status == SARTOR_OK) status = read_answer(&m, &answer);
    release(&m);
    return status == SARTOR_OK ? text_of(ctx, answer, json) : status;
}

/* ---- examples as files ---- */

static sartor_status write_setting(making *m, const sr_mad_setting *s, const char *folder) {
    char text[SR_MAD_SETTING_TEXT], *inside = NULL;
    sr_mad_setting_print(s, text);
    if (m->suite->settings > 1 && asprintf(&inside, "%s/%s", folder, text) < 0)
        return sr_no_memory(m->ctx);
    sartor_status status = sr_mad_generate(m->ctx, s, true, &m->data);
    if (status == SARTOR_OK)
        status = sr_mad_write(m->ctx, &m->data, inside != NULL ? inside : folder);
    sr_mad_data_free(&m->data);
    free(inside);
    return status;
}

sartor_status sartor_mad_write(sartor_context *ctx, const sartor_mad_options *o,
                               const char *folder) {
    making m = {.ctx = ctx, .options = o};
    sartor_status status = sr_alloc(ctx, 1, sizeof *m.suite, "a suite", (void **)&m.suite);
    if (status == SARTOR_OK) status = sr_mad_suite_make(ctx, o, m.suite);
    for (int i = 0; status == SARTOR_OK && i < m.suite->settings; i++)
        status = write_setting(&m, &m.suite->setting[i], folder);
    release(&m);
    return status;
}
