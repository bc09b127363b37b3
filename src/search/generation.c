#define _GNU_SOURCE
#include "search/generation.h"
#include "search/rungs.h"

#include "study/sql.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

sartor_status sr_generation_latest(sartor_context *ctx, sr_study *study, const char *sql,
                                   int *number) {
    sr_query rows;
    bool good = true;
    *number = -1;
    SR_TRY(sr_sql(ctx, study, &rows, sql, ""));
    if (sr_next(&rows) && !sr_is_null(&rows, 0)) {
        int64_t n = sr_int(&rows, 0);
        good = sr_is_integer(&rows, 0) && n >= 0 && n <= SR_MAX_GENERATIONS;
        if (good) *number = (int)n;
    }
    SR_TRY(sr_done(&rows));
    return good ? SARTOR_OK
                : sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (number of a generation)",
                          sr_study_path(study));
}

sartor_status sr_in_transaction(sartor_context *ctx, sr_study *study,
                                sartor_status (*inside)(void *), void *user) {
    SR_TRY(sr_study_begin(ctx, study));
    sartor_status status = inside(user);
    if (status == SARTOR_OK) status = sr_study_commit(ctx, study);
    if (status != SARTOR_OK) sr_study_rollback(study);
    return status;
}

/* Trials whose job was given up are failed; trained ones of a generation that is measured get
 * their measurement; those that stand at a rung go on or are stopped. */
typedef struct settling {
    sartor_context *ctx;
    sr_study *study;
    const sr_search *search;
    int generation;
    int64_t open;
} settling;

static sartor_status add_measurement(settling *s, int64_t trial, int64_t job, const char *genome) {
    json_t *spec = json_pack("{s:I, s:I, s:s}", "trial", (json_int_t)trial, "job", (json_int_t)job,
                             "genome", genome);
    char name[40];
    snprintf(name, sizeof name, "trial %" PRId64, trial);
    if (spec == NULL) return sr_no_memory(s->ctx);
    int64_t id;
    sartor_status status =
        sr_job_add(s->ctx, s->study, SR_KIND_MEASURE, name, spec, 1, true, &id, NULL);
    json_decref(spec);
    SR_TRY(status);
    return sr_run_sql(s->ctx, s->study, NULL, "UPDATE trial SET measure = ? WHERE id = ?", "ii", id,
                      trial);
}

/* Each has a job that will be done: else nobody would ever see the end of the wait. */
static sartor_status count_open(settling *s) {
    sr_query rows;
    int64_t stuck = 0;
    SR_TRY(sr_sql(s->ctx, s->study, &rows,
                  "SELECT count(*), min(CASE WHEN EXISTS (SELECT 1 FROM job WHERE " SR_JOB_OF_TRIAL
                  " AND job.state IN ('waiting', 'running'))"
                  " THEN NULL ELSE trial.id END) FROM trial WHERE state = 'open'",
                  ""));
    bool found = sr_next(&rows);
    bool all = !found || sr_is_null(&rows, 1);
    s->open = found ? sr_int(&rows, 0) : 0;
    if (!all) stuck = sr_int(&rows, 1);
    SR_TRY(sr_done(&rows));
    return all ? SARTOR_OK
               : sr_fail(s->ctx, SARTOR_FORMAT, "%s: is corrupted (trial %" PRId64 " has no job)",
                         sr_study_path(s->study), stuck);
}

static sartor_status settle(void *user) {
    settling *s = user;
    SR_TRY(sr_run_sql(s->ctx, s->study, NULL,
                      "UPDATE trial SET state = 'failed' WHERE state = 'open' AND EXISTS (SELECT 1"
                      " FROM job WHERE " SR_JOB_OF_TRIAL " AND job.state = 'failed')",
                      ""));
    while (sr_search_needs(&s->search->settings, SR_MEASURED)) {
        sr_query rows;
        SR_TRY(sr_sql(s->ctx, s->study, &rows,
                      "SELECT id, job, genome FROM trial WHERE state = 'open' AND measure IS NULL"
                      " AND (job IS NULL OR EXISTS (SELECT 1 FROM job WHERE job.id = trial.job"
                      " AND job.state = 'done')) ORDER BY id LIMIT 1",
                      ""));
        bool more = sr_next(&rows);
        int64_t trial = more ? sr_int(&rows, 0) : 0, job = more ? sr_int(&rows, 1) : 0;
        char *genome = more && sr_text(&rows, 2) != NULL ? strdup(sr_text(&rows, 2)) : NULL;
        sartor_status status = sr_done(&rows);
        if (status == SARTOR_OK && more)
            status = genome != NULL ? add_measurement(s, trial, job, genome) : sr_no_memory(s->ctx);
        free(genome);
        SR_TRY(status);
        if (!more) break;
    }
    SR_TRY(sr_rungs_decide(s->ctx, s->study, s->search));
    return count_open(s);
}

static sartor_status total_generations(sartor_context *ctx, sr_study *study, int *total) {
    char *text;
    SR_TRY(sr_study_get(ctx, study, SR_FACT_GENERATIONS, &text));
    long stored = text != NULL ? strtol(text, NULL, 10) : 0;
    *total = (int)(stored < 0 ? 0 : stored > SR_MAX_GENERATIONS ? SR_MAX_GENERATIONS : stored);
    free(text);
    SR_TRY(sr_study_get(ctx, study, SR_FACT_EXHAUSTED, &text));
    bool exhausted = text != NULL;
    free(text);
    if (!exhausted) return SARTOR_OK;
    SR_TRY(sr_generation_latest(ctx, study, SR_LATEST_ENDED, total));
    ++*total;
    return SARTOR_OK;
}

/* One generation's end, and the next one's start. */
static sartor_status step(sartor_context *ctx, sr_study *study, const sr_search *search,
                          bool *finished) {
    int now, ended, total;
    SR_TRY(sr_generation_latest(ctx, study, SR_LATEST_STARTED, &now));
    SR_TRY(sr_generation_latest(ctx, study, SR_LATEST_ENDED, &ended));
    SR_TRY(total_generations(ctx, study, &total));
    if (now > ended) {
        settling s = {.ctx = ctx, .study = study, .search = search, .generation = now};
        SR_TRY(sr_in_transaction(ctx, study, settle, &s));
        if (s.open > 0) return SARTOR_OK;
        SR_TRY(sr_generation_end(ctx, study, search, now));
        sr_search_prune(ctx, study, search);
    }
    *finished = search->jobs_only || now + 1 >= total;
    return *finished ? SARTOR_OK : sr_generation_start(ctx, study, search, now + 1);
}

/* Called when no job is open. */
sartor_status sr_search_advance(sartor_context *ctx, sr_study *study, void *user, bool *finished) {
    const sr_search *search = user;
    /* Where nothing is trained or measured, there will be no jobs to wait for. */
    const bool jobs = sr_search_has_jobs(&search->settings);
    *finished = false;
    do {
        if (sr_interrupted(ctx)) return sr_fail(ctx, SARTOR_INTERRUPTED, "interrupted");
        SR_TRY(step(ctx, study, search, finished));
    } while (!jobs && !*finished);
    return SARTOR_OK;
}
