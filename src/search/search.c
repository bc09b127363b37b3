/* sartor_search(): making a study, and starting the workers that search. */
#define _GNU_SOURCE
#include "search/answers.h"
#include "search/progress.h"
#include "search/timing.h"

#include "base/file.h"
#include "base/memory.h"
#include "op/machine.h"
#include "study/sql.h"
#include "study/supervisor.h"
#include "train/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

sartor_status sr_search_open(sartor_context *ctx, const sr_study *study, sr_search *s) {
    *s = (sr_search){.jobs_only = s->jobs_only};
    SR_TRY(sr_study_purpose_check(ctx, study, "search"));
    if (sr_search_settings_read(ctx, sr_study_settings(study), &s->settings) != SARTOR_OK)
        return sr_fail_in(ctx, SARTOR_FORMAT, "%s", sr_study_path(study));
    s->space = sr_star_space(&s->settings.star);
    s->evolution = sr_evolution_defaults();
    s->evolution.space = &s->space;
    s->evolution.objectives = s->settings.n_objectives;
    s->evolution.population = s->settings.population;
    s->evolution.survival = s->settings.survival;
    s->evolution.seed = s->settings.seed;
    return SARTOR_OK;
}

void sr_search_close(sr_search *s) {
    sr_study_text_close(&s->text);
    json_decref(s->curve);
    *s = (sr_search){0};
}

static sartor_status open_search(sartor_context *ctx, const sr_study *study, bool jobs_only,
                                 void **user) {
    sr_search *search = calloc(1, sizeof *search);
    *user = search;
    if (search == NULL) return sr_no_memory(ctx);
    search->jobs_only = jobs_only;
    return sr_search_open(ctx, study, search);
}

static void close_search(void *user) {
    if (user != NULL) sr_search_close(user);
    free(user);
}

const sr_study_purpose sr_search_purpose = {.name = "search",
                                            .title = "a search",
                                            .kinds = sr_search_kinds,
                                            .n_kinds = SR_SEARCH_KINDS,
                                            .open = open_search,
                                            .close = close_search,
                                            .advance = sr_search_advance};

/* ---- making a study ---- */

typedef struct making {
    sartor_context *ctx;
    const sartor_search_options *options;
    sr_tokenizer *tokenizer;
    sr_source *source;
    json_t *settings;
    char excluded[SR_EXCLUDED_TEXT];
    sr_study *study;
    bool created;
} making;

/* A limit that was chosen when the study was made stays. */
static sartor_status keep_memory_limit(making *m) {
    const sartor_search_options *o = m->options;
    sr_study *study;
    if (o->memory_limit > 0 || access(o->study, F_OK) != 0) return SARTOR_OK;
    SR_TRY(sr_study_open(m->ctx, o->study, SR_STUDY_READ, &study));
    json_t *stored = json_object_get(sr_study_settings(study), "memory");
    if (stored != NULL) (void)json_object_set(m->settings, "memory", stored);
    sr_study_close(&study);
    return SARTOR_OK;
}

static sartor_status make_settings(making *m) {
    sartor_context *ctx = m->ctx;
    const sartor_search_options *o = m->options;
    if (o->study == NULL || *o->study == '\0')
        return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    SR_TRY(sr_search_input_open(ctx, o, &m->tokenizer, &m->source));
    SR_TRY(sr_search_settings_make(ctx, o, m->tokenizer, m->source, m->excluded, &m->settings));
    return keep_memory_limit(m);
}

static sartor_status put_number(sartor_context *ctx, sr_study *study, const char *name, double x) {
    char text[40];
    snprintf(text, sizeof text, "%.17g", x);
    return sr_study_put(ctx, study, name, text);
}

static sartor_status put_timing(making *m) {
    char *stored;
    SR_TRY(sr_study_get(m->ctx, m->study, SR_FACT_TIMING, &stored));
    bool there = stored != NULL;
    free(stored);
    sr_search_settings *s = malloc(sizeof *s);
    if (s == NULL) return sr_no_memory(m->ctx);
    sr_timing timing;
    sartor_status status = sr_search_settings_read(m->ctx, m->settings, s);
    bool needed = status == SARTOR_OK && !there &&
                  (sr_search_needs(s, SR_TRAINED) || sr_search_needs(s, SR_PROBED));
    if (needed) status = sr_timing_measure(m->ctx, s, &timing);
    free(s);
    if (status != SARTOR_OK || !needed) return status;
    json_t *json = sr_timing_json(&timing);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    status = text != NULL ? sr_study_begin(m->ctx, m->study) : sr_no_memory(m->ctx);
    if (status == SARTOR_OK) {
        status = sr_study_put(m->ctx, m->study, SR_FACT_TIMING, text);
        if (status == SARTOR_OK) status = sr_study_commit(m->ctx, m->study);
        if (status != SARTOR_OK) sr_study_rollback(m->study);
    }
    free(text);
    return status;
}

static sartor_status put_facts(making *m) {
    static const char *const policies[] = {"front", "parents", "all"};
    sartor_context *ctx = m->ctx;
    const sartor_search_options *o = m->options;
    char *stored;
    SR_TRY(sr_study_get(ctx, m->study, SR_FACT_GENERATIONS, &stored));
    long before = stored != NULL ? strtol(stored, NULL, 10) : 0;
    free(stored);
    if (o->generations > before)
        SR_TRY(put_number(ctx, m->study, SR_FACT_GENERATIONS, o->generations));
    SR_TRY(sr_study_text_put(ctx, m->study, &o->text, o->tokenizer));
    unsigned keep = (unsigned)o->keep;
    SR_TRY(sr_study_put(ctx, m->study, SR_FACT_KEEP, policies[keep < 3 ? keep : 0]));
    return sr_local_facts_put(ctx, m->study, o->lease);
}

static sartor_status make_study(making *m) {
    sartor_context *ctx = m->ctx;
    SR_TRY(make_settings(m));
    if (m->excluded[0] != '\0') sr_log(ctx, "%s", m->excluded);
    SR_TRY(sr_study_create(ctx, m->options->study, m->settings, &m->study, &m->created));
    if (!m->created) SR_TRY(sr_machine_check(ctx, m->study));
    SR_TRY(sr_study_begin(ctx, m->study));
    sartor_status status = put_facts(m);
    if (status == SARTOR_OK) status = sr_study_commit(ctx, m->study);
    if (status != SARTOR_OK) sr_study_rollback(m->study);
    SR_TRY(status);
    if (sartor_search_reads_text(m->options))
        SR_TRY(sr_study_text_tokens(ctx, &m->options->text, m->source, m->tokenizer, NULL));
    return put_timing(m);
}

static void release(making *m) {
    sr_study_close(&m->study);
    json_decref(m->settings);
    sr_source_close(&m->source);
    sr_tokenizer_free(&m->tokenizer);
}

/* Whether nothing is left to do: no worker is started for a look. */
static sartor_status is_complete(making *m, bool *complete) {
    sr_job_counts c;
    sr_query rows;
    char *exhausted;
    SR_TRY(sr_job_count(m->ctx, m->study, NULL, sr_all_jobs, &c));
    SR_TRY(sr_study_get(m->ctx, m->study, SR_FACT_EXHAUSTED, &exhausted));
    int64_t ended = 0, total = 0;
    SR_TRY(sr_sql(m->ctx, m->study, &rows,
                  "SELECT (SELECT coalesce(max(number) + 1, 0) FROM generation),"
                  " (SELECT CAST(value AS REAL) FROM fact WHERE name = '" SR_FACT_GENERATIONS "')",
                  ""));
    if (sr_next(&rows)) {
        ended = sr_int(&rows, 0);
        total = (int64_t)sr_real(&rows, 1);
    }
    *complete = c.waiting + c.running == 0 && (ended >= total || exhausted != NULL);
    free(exhausted);
    return sr_done(&rows);
}

static sartor_status tell_disk(making *m) {
    int64_t bytes = 0;
    sr_search_settings *s = malloc(sizeof *s);
    if (s == NULL) return sr_no_memory(m->ctx);
    sartor_status status = sr_search_settings_read(m->ctx, m->settings, s);
    if (status == SARTOR_OK) status = sr_plan_disk(m->ctx, m->options, s, &bytes);
    free(s);
    if (status == SARTOR_OK && bytes > 0)
        sr_log(m->ctx, "weights and checkpoints will take up to about %" PRId64 " MiB in %s",
               (bytes >> 20) + 1, sr_study_folder(m->study));
    return status;
}

sartor_status sartor_search(sartor_context *ctx, const sartor_search_options *o) {
    making m = {.ctx = ctx, .options = o};
    bool complete = false;
    sartor_status status = make_study(&m);
    if (status == SARTOR_OK) status = is_complete(&m, &complete);
    if (status == SARTOR_OK && !complete) status = tell_disk(&m);
    release(&m);
    if (status != SARTOR_OK || complete) return status;
    return sr_supervise_progress(
        ctx,
        &(sr_local_options){.study = o->study,
                            .program = o->program,
                            .workers = sr_local_workers(o->workers, o->threads)},
        o->progress, o->progress_user);
}
