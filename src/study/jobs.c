#define _GNU_SOURCE
#include "study/jobs.h"

#include "study/internal.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ATTEMPTS = 1000000 }; /* more were made by nobody */

void sr_job_release(sr_job *job) {
    free(job->kind);
    free(job->name);
    json_decref(job->spec);
    *job = (sr_job){0};
}

/* Ends a transaction: kept when `status` is good, undone else. */
static sartor_status end(sartor_context *ctx, sr_study *study, sartor_status status) {
    if (status == SARTOR_OK) return sr_study_commit(ctx, study);
    sr_study_rollback(study);
    return status;
}

sartor_status sr_job_add(sartor_context *ctx, sr_study *study, const char *kind, const char *name,
                         const json_t *spec, double cost, bool alone, int64_t *id, bool *added) {
    char *text;
    SR_TRY(sr_json_value_text(ctx, spec, &text));
    int64_t changed;
    sartor_status status = sr_run_sql(
        ctx, study, &changed,
        "INSERT INTO job (kind, name, spec, cost, alone, state, created)"
        " VALUES (?, ?, ?, ?, ?, 'waiting', ?) ON CONFLICT (kind, name) DO NOTHING",
        "sssdid", kind, name, text, isnan(cost) ? 0.0 : cost, (int64_t)alone, sr_study_now());
    free(text);
    SR_TRY(status);
    if (added != NULL) *added = changed > 0;
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT id FROM job WHERE kind = ? AND name = ?", "ss", kind,
                  name));
    *id = sr_next(&rows) ? sr_int(&rows, 0) : 0;
    return sr_done(&rows);
}

/* ---- claims ---- */

/* Two days: what ends later was written before the clock was set back, or by nobody. */
static const double longest_lease = 2 * 86400.0;

/* The first of a query for one id; 0: none. */
static sartor_status better(sr_query *rows, double *cost, int64_t *id) {
    if (sr_next(rows)) {
        int64_t found = sr_int(rows, 0);
        double worth = sr_real(rows, 1);
        if (*id == 0 || worth > *cost || (worth == *cost && found < *id)) {
            *id = found;
            *cost = worth;
        }
    }
    return sr_done(rows);
}

/* The job to do next, among those that must (not) be alone; *id 0: none. */
static sartor_status pick(sartor_context *ctx, sr_study *study, bool alone, double now,
                          sr_job_set only, int64_t *id) {
    sr_query rows;
    double cost = 0;
    *id = 0;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT id, cost FROM job WHERE " SR_IN_JOB_SET
                  " AND state = 'waiting' AND alone = ? ORDER BY cost DESC, id LIMIT 1",
                  "si", only.spans, (int64_t)alone));
    SR_TRY(better(&rows, &cost, id));
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT id, cost FROM job WHERE " SR_IN_JOB_SET
                  " AND state = 'running' AND alone = ?"
                  " AND (lease_until BETWEEN ? AND ?) IS NOT TRUE ORDER BY cost DESC, id LIMIT 1",
                  "sidd", only.spans, (int64_t)alone, now, now + longest_lease));
    return better(&rows, &cost, id);
}

static sartor_status choose(sartor_context *ctx, sr_study *study, double now, sr_job_set only,
                            int64_t *id, sr_claim *claim) {
    sr_query rows;
    *id = 0;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT EXISTS (SELECT 1 FROM job WHERE " SR_IN_JOB_SET
                  " AND (state = 'waiting' OR state = 'running'))",
                  "s", only.spans));
    *claim = sr_next(&rows) && sr_int(&rows, 0) != 0 ? SR_CLAIM_BUSY : SR_CLAIM_NONE;
    SR_TRY(sr_done(&rows));
    if (*claim == SR_CLAIM_NONE) return SARTOR_OK;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT count(*), max(alone) FROM job WHERE state = 'running'"
                  " AND lease_until BETWEEN ? AND ?",
                  "dd", now, now + longest_lease));
    bool found = sr_next(&rows);
    int64_t live = found ? sr_int(&rows, 0) : 0, alone = found ? sr_int(&rows, 1) : 0;
    SR_TRY(sr_done(&rows));
    if (alone) return SARTOR_OK;
    SR_TRY(pick(ctx, study, false, now, only, id));
    if (*id == 0 && live == 0) SR_TRY(pick(ctx, study, true, now, only, id));
    if (*id != 0) *claim = SR_CLAIMED;
    return SARTOR_OK;
}

/* The attempt that let its lease run out ends where the lease did. */
static sartor_status take(sartor_context *ctx, sr_study *study, int64_t id, const char *worker,
                          double now, double lease) {
    SR_TRY(sr_run_sql(ctx, study, NULL,
                      "UPDATE attempt SET outcome = 'lease expired',"
                      " ended = (SELECT max(attempt.started, job.lease_until) FROM job"
                      " WHERE job.id = attempt.job) WHERE job = ? AND ended IS NULL",
                      "i", id));
    SR_TRY(sr_run_sql(ctx, study, NULL,
                      "UPDATE job SET state = 'running', attempt = attempt + 1, worker = ?,"
                      " started = ?, lease_until = ? WHERE id = ?",
                      "sddi", worker, now, now + lease, id));
    return sr_run_sql(ctx, study, NULL,
                      "INSERT INTO attempt (job, attempt, worker, started)"
                      " SELECT id, attempt, worker, started FROM job WHERE id = ?",
                      "i", id);
}

static char *copy_of(const char *text) { return text != NULL ? strdup(text) : NULL; }

static sartor_status read_job(sartor_context *ctx, sr_study *study, int64_t id, sr_job *job) {
    sr_query rows;
    json_error_t error = {0};
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT attempt, kind, name, spec FROM job WHERE id = ?", "i",
                  id));
    bool counted = false, named = false;
    if (sr_next(&rows)) {
        int64_t attempt = sr_int(&rows, 0);
        counted = sr_is_integer(&rows, 0) && attempt > 0 && attempt <= MOST_ATTEMPTS;
        named = !sr_is_null(&rows, 1) && !sr_is_null(&rows, 2);
        *job = (sr_job){.id = id,
                        .attempt = counted ? (int)attempt : 0,
                        .kind = copy_of(sr_text(&rows, 1)),
                        .name = copy_of(sr_text(&rows, 2))};
        const char *spec = sr_text(&rows, 3);
        if (spec != NULL)
            job->spec = json_loads(spec, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    }
    SR_TRY(sr_done(&rows));
    if (!counted || !named)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (%s of job %" PRId64 ")",
                       sr_study_path(study), counted ? "name" : "attempts", id);
    if (job->kind == NULL || job->name == NULL)
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory for a job", sr_study_path(study));
    if (job->spec == NULL)
        return sr_fail(ctx, SARTOR_FORMAT,
                       "%s: is corrupted (job %" PRId64 " has no specification: %s)",
                       sr_study_path(study), id, error.text);
    return SARTOR_OK;
}

sartor_status sr_job_claim(sartor_context *ctx, sr_study *study, const char *worker, double lease,
                           sr_job_set only, sr_job *job, sr_claim *claim) {
    *job = (sr_job){0};
    *claim = SR_CLAIM_NONE;
    SR_TRY(sr_study_begin(ctx, study));
    double now = sr_study_now();
    int64_t id;
    sartor_status status = choose(ctx, study, now, only, &id, claim);
    if (status == SARTOR_OK && *claim == SR_CLAIMED) {
        status = take(ctx, study, id, worker, now, lease);
        if (status == SARTOR_OK) status = read_job(ctx, study, id, job);
    }
    status = end(ctx, study, status);
    if (status != SARTOR_OK) sr_job_release(job);
    return status;
}

sartor_status sr_job_extend(sartor_context *ctx, sr_study *study, const sr_job *job, double lease,
                            int64_t step, int64_t steps, double loss, bool *ours) {
    *ours = false;
    SR_TRY(sr_study_begin(ctx, study));
    int64_t changed = 0;
    sartor_status status = sr_run_sql(
        ctx, study, &changed,
        "UPDATE job SET lease_until = ?, step = ?, steps = ?, loss = ?"
        " WHERE id = ? AND attempt = ? AND state = 'running'",
        "diidii", sr_study_now() + lease, step, steps, loss, job->id, (int64_t)job->attempt);
    SR_TRY(end(ctx, study, status));
    *ours = changed > 0;
    return SARTOR_OK;
}

/* ---- ends of attempts ---- */

static sartor_status end_attempt(sartor_context *ctx, sr_study *study, int64_t job, int attempt,
                                 const char *outcome) {
    return sr_run_sql(ctx, study, NULL,
                      "UPDATE attempt SET ended = ?, outcome = ? WHERE job = ? AND attempt = ?",
                      "dsii", sr_study_now(), outcome, job, (int64_t)attempt);
}

/* Clocks may be set back: no attempt counts less than nothing. */
static sartor_status add_up_seconds(sartor_context *ctx, sr_study *study, int64_t job) {
    return sr_run_sql(ctx, study, NULL,
                      "UPDATE job SET seconds = (SELECT sum(max(0.0, ended - started)) FROM attempt"
                      " WHERE job = ? AND ended IS NOT NULL) WHERE id = ?",
                      "ii", job, job);
}

static sartor_status finish(sartor_context *ctx, sr_study *study, const sr_job *job,
                            const char *result, const char *reason, bool *ours) {
    int64_t changed;
    SR_TRY(sr_run_sql(ctx, study, &changed,
                      "UPDATE job SET state = ?, result = ?, reason = ?, finished = ?,"
                      " lease_until = NULL WHERE id = ? AND attempt = ? AND state = 'running'",
                      "sssdii", reason == NULL ? "done" : "failed", result, reason, sr_study_now(),
                      job->id, (int64_t)job->attempt));
    *ours = changed > 0;
    if (!*ours) return SARTOR_OK;
    SR_TRY(end_attempt(ctx, study, job->id, job->attempt, reason == NULL ? "done" : reason));
    return add_up_seconds(ctx, study, job->id);
}

sartor_status sr_job_finish(sartor_context *ctx, sr_study *study, const sr_job *job,
                            const json_t *result, const char *reason, bool *ours) {
    *ours = false;
    char *text = NULL;
    if (result != NULL) SR_TRY(sr_json_value_text(ctx, result, &text));
    sartor_status status = finish(ctx, study, job, text, reason, ours);
    free(text);
    return status;
}

sartor_status sr_job_give_back(sartor_context *ctx, sr_study *study, const sr_job *job,
                               const char *outcome, bool *ours) {
    int64_t changed;
    *ours = false;
    SR_TRY(sr_run_sql(ctx, study, &changed,
                      "UPDATE job SET state = 'waiting', lease_until = NULL"
                      " WHERE id = ? AND attempt = ? AND state = 'running'",
                      "ii", job->id, (int64_t)job->attempt));
    *ours = changed > 0;
    return *ours ? end_attempt(ctx, study, job->id, job->attempt, outcome) : SARTOR_OK;
}

/* ---- deaths ---- */

typedef struct sr_held {
    sr_job job; /* id and attempt */
    int64_t crashes, step;
    bool crashed_before;
} sr_held;

static sartor_status held_by(sartor_context *ctx, sr_study *study, const char *worker,
                             sr_held *held) {
    sr_query rows;
    *held = (sr_held){0};
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT id, attempt, crashes, crash_step FROM job"
                  " WHERE state = 'running' AND worker = ?",
                  "s", worker));
    if (sr_next(&rows))
        *held = (sr_held){{.id = sr_int(&rows, 0), .attempt = (int)sr_int(&rows, 1)},
                          sr_int(&rows, 2),
                          sr_int(&rows, 3),
                          !sr_is_null(&rows, 3)};
    return sr_done(&rows);
}

static sartor_status count_death(sartor_context *ctx, sr_study *study, const sr_held *held,
                                 int64_t step, const char *how, bool *failed) {
    int64_t crashes = held->crashed_before && held->step == step ? held->crashes + 1 : 1;
    char text[256];
    bool ours;
    SR_TRY(sr_run_sql(ctx, study, NULL, "UPDATE job SET crashes = ?, crash_step = ? WHERE id = ?",
                      "iii", crashes, step, held->job.id));
    snprintf(text, sizeof text, "killed its worker at step %" PRId64 " (%s)", step, how);
    SR_TRY(sr_study_event(ctx, study, held->job.id, text));
    *failed = crashes >= SR_MOST_CRASHES;
    if (!*failed) return sr_job_give_back(ctx, study, &held->job, text, &ours);
    snprintf(text, sizeof text, "killed its worker %" PRId64 " times at step %" PRId64 " (%s)",
             crashes, step, how);
    return sr_job_finish(ctx, study, &held->job, NULL, text, &ours);
}

sartor_status sr_job_crashed(sartor_context *ctx, sr_study *study, const char *worker, int64_t step,
                             const char *how, int64_t *job, bool *failed) {
    *job = 0;
    *failed = false;
    SR_TRY(sr_study_begin(ctx, study));
    sr_held held;
    sartor_status status = held_by(ctx, study, worker, &held);
    if (status == SARTOR_OK && held.job.id != 0)
        status = count_death(ctx, study, &held, step, how, failed);
    SR_TRY(end(ctx, study, status));
    *job = held.job.id;
    return SARTOR_OK;
}

sartor_status sr_job_take_back(sartor_context *ctx, sr_study *study, const char *worker,
                               const char *outcome, int64_t *job) {
    *job = 0;
    SR_TRY(sr_study_begin(ctx, study));
    sr_held held;
    bool ours;
    sartor_status status = held_by(ctx, study, worker, &held);
    if (status == SARTOR_OK && held.job.id != 0)
        status = sr_job_give_back(ctx, study, &held.job, outcome, &ours);
    SR_TRY(end(ctx, study, status));
    *job = held.job.id;
    return SARTOR_OK;
}

/* ---- the rest ---- */

sartor_status sr_job_count(sartor_context *ctx, sr_study *study, const char *kind, sr_job_set only,
                           sr_job_counts *counts) {
    *counts = (sr_job_counts){0};
    sr_query rows;
    if (kind != NULL)
        SR_TRY(sr_sql(ctx, study, &rows,
                      "SELECT state, count(*) FROM job WHERE " SR_IN_JOB_SET
                      " AND kind = ? GROUP BY state",
                      "ss", only.spans, kind));
    else
        SR_TRY(sr_sql(ctx, study, &rows,
                      "SELECT state, count(*) FROM job WHERE " SR_IN_JOB_SET
                      " GROUP BY kind, state",
                      "s", only.spans));
    while (sr_next(&rows)) {
        const char *state = sr_text(&rows, 0);
        int64_t n = sr_int(&rows, 1);
        if (state == NULL) continue;
        if (strcmp(state, "waiting") == 0) counts->waiting += n;
        if (strcmp(state, "running") == 0) counts->running += n;
        if (strcmp(state, "done") == 0) counts->done += n;
        if (strcmp(state, "failed") == 0) counts->failed += n;
    }
    return sr_done(&rows);
}

sartor_status sr_curve_add(sartor_context *ctx, sr_study *study, int64_t job, int64_t step,
                           int64_t tokens, double loss, double bits_per_byte) {
    return sr_run_sql(ctx, study, NULL,
                      "INSERT OR REPLACE INTO curve (job, step, tokens, loss, bits_per_byte)"
                      " VALUES (?, ?, ?, ?, ?)",
                      "iiidd", job, step, tokens, loss, bits_per_byte);
}
