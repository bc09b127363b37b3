#define _GNU_SOURCE
#include "search/rungs.h"

#include "base/memory.h"
#include "search/answers.h"
#include "search/breeding.h"
#include "search/jobs.h"
#include "search/timing.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the setting ---- */

sartor_status sr_rungs_parse(sartor_context *ctx, const char *text, double rung[SR_MAX_RUNGS],
                             int *n) {
    *n = 0;
    if (text == NULL || *text == '\0') return SARTOR_OK;
    for (const char *at = text;; at++) {
        char *end = NULL;
        const bool digits = strspn(at, "0123456789.") == strcspn(at, ",") && *at != '\0';
        const double x = digits ? strtod(at, &end) : NAN;
        if (!(x > 0 && x < 1) || end != at + strcspn(at, ","))
            return sr_fail(ctx, SARTOR_INVALID,
                           "rungs '%.64s': expected shares of the budget between 0 and 1, as in "
                           "0.25,0.5",
                           text);
        if (*n == SR_MAX_RUNGS || (*n > 0 && x <= rung[*n - 1]))
            return sr_fail(ctx, SARTOR_INVALID, "rungs '%.64s': expected at most %d that rise",
                           text, SR_MAX_RUNGS);
        rung[(*n)++] = x;
        at = end;
        if (*at == '\0') return SARTOR_OK;
    }
}

char *sr_rungs_print(const double *rung, int n) {
    enum { EACH = 32 };
    char *text = malloc((size_t)n * EACH + 1), *at = text;
    if (text == NULL) return NULL;
    *at = '\0';
    for (int i = 0; i < n; i++) at += snprintf(at, EACH, "%s%.15g", i > 0 ? "," : "", rung[i]);
    return text;
}

/* ---- stages ---- */

double sr_stage_end(const sr_search_settings *s, int stage) {
    return stage >= 0 && stage < s->rungs ? s->rung[stage] : 1;
}

int sr_stage_of(const json_t *spec) {
    const json_int_t stage = json_integer_value(json_object_get(spec, "stage"));
    return stage > 0 && stage <= SR_MAX_RUNGS ? (int)stage : 0;
}

sartor_status sr_stage_specify(sartor_context *ctx, const sr_search *search, json_t *spec) {
    if (search->settings.rungs == 0) return SARTOR_OK;
    return json_object_set_new(spec, "stage", json_integer(0)) == 0 ? SARTOR_OK : sr_no_memory(ctx);
}

sartor_status sr_trained(sartor_context *ctx, sr_study *study, const sr_search *search,
                         int64_t trial, bool *trained) {
    const int rungs = search->settings.rungs;
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT EXISTS (SELECT 1 FROM value WHERE trial = ?1 AND name = 'bpb')"
                  " AND (?2 = 0 OR EXISTS (SELECT 1 FROM value WHERE trial = ?1"
                  "   AND name = '" SR_VALUE_STOPPED "')"
                  "  OR EXISTS (SELECT 1 FROM trial JOIN job ON job.id = trial.job"
                  "   WHERE trial.id = ?1 AND json_extract(job.spec, '$.stage') >= ?2))",
                  "ii", trial, (int64_t)rungs));
    *trained = sr_next(&rows) && sr_int(&rows, 0) != 0;
    return sr_done(&rows);
}

/* ---- the decision ---- */

typedef struct deciding {
    sartor_context *ctx;
    sr_study *study;
    const sr_search *search;
    sr_population p;
    json_t *waiting; /* [[trial, genome, job, spec]] of the trials that stand at a rung */
    int stage;
} deciding;

static sartor_status corrupted(const deciding *d, int64_t trial) {
    return sr_fail(d->ctx, SARTOR_FORMAT, "%s: is corrupted (rung of trial %" PRId64 ")",
                   sr_study_path(d->study), trial);
}

/* Whether nothing runs or waits: else the others have not come yet, or have gone on already. */
static sartor_status all_there(const deciding *d, bool *there) {
    sr_query rows;
    SR_TRY(sr_sql(d->ctx, d->study, &rows,
                  "SELECT NOT EXISTS (SELECT 1 FROM trial JOIN job ON " SR_JOB_OF_TRIAL
                  " WHERE trial.state = 'open' AND job.state <> 'done')",
                  ""));
    *there = sr_next(&rows) && sr_int(&rows, 0) != 0;
    return sr_done(&rows);
}

static sartor_status find_waiting(deciding *d) {
    sr_query rows;
    d->waiting = json_array();
    if (d->waiting == NULL) return sr_no_memory(d->ctx);
    SR_TRY(sr_sql(d->ctx, d->study, &rows,
                  "SELECT trial.id, trial.genome, job.id, job.spec FROM trial JOIN job"
                  " ON job.id = trial.job WHERE trial.state = 'open' ORDER BY trial.id",
                  ""));
    int64_t bad = 0;
    while (sr_next(&rows)) {
        const char *text = sr_text(&rows, 3);
        json_t *spec = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
        json_t *row = json_pack("[I, s, I, o]", (json_int_t)sr_int(&rows, 0), sr_text(&rows, 1),
                                (json_int_t)sr_int(&rows, 2), spec);
        if (!json_is_object(json_array_get(row, 3))) bad = sr_int(&rows, 0);
        if (row != NULL) (void)json_array_append_new(d->waiting, row);
    }
    SR_TRY(sr_done(&rows));
    return bad == 0 ? SARTOR_OK : corrupted(d, bad);
}

/* Values as an algorithm sees them, those of the rung among them. */
static sartor_status read_values(deciding *d) {
    size_t i;
    const json_t *row;
    json_array_foreach(d->waiting, i, row) {
        const int64_t trial = json_integer_value(json_array_get(row, 0));
        const int stage = sr_stage_of(json_array_get(row, 3));
        if (i == 0) d->stage = stage;
        if (stage != d->stage || stage >= d->search->settings.rungs) return corrupted(d, trial);
        SR_TRY(sr_population_add(d->ctx, d->study, d->search, &d->p, trial, "done",
                                 json_string_value(json_array_get(row, 1))));
    }
    return SARTOR_OK;
}

/* How many of the trials, which are put in order, go on. */
static sartor_status choose(deciding *d, int *order, int *going) {
    const int n = d->p.n, least = sr_rung_least(d->search->settings.population);
    const sr_evolution *e = &d->search->evolution;
    const sr_member *members = sr_population_members(&d->p);
    int *rank, undominated = 0;
    for (int i = 0; i < n; i++) order[i] = i;
    SR_TRY(sr_order_by_rank(d->ctx, e, members, order, n));
    SR_TRY(sr_alloc(d->ctx, (size_t)n, sizeof *rank, "a rung", (void **)&rank));
    sartor_status status =
        sr_nondominated_sort(d->ctx, d->p.scaled, d->p.violation, (size_t)n, d->p.objectives, rank);
    for (int i = 0; status == SARTOR_OK && i < n; i++) undominated += rank[i] == 0;
    free(rank);
    *going = undominated > least ? undominated : least;
    if (*going > n) *going = n;
    return status;
}

static sartor_status expected(const deciding *d, int i, const json_t *spec, double *work) {
    const sr_search_settings *s = &d->search->settings;
    const json_t *budget = json_object_get(spec, "tokens");
    const double tokens = budget != NULL ? json_number_value(budget) : (double)s->train_tokens;
    const double part = sr_stage_end(s, d->stage + 1) - sr_stage_end(s, d->stage);
    return sr_expected_work(d->ctx, d->study, &d->p.genome[i],
                            d->p.values[i * SR_OBJECTIVE_COUNT + SR_FLOPS],
                            (int64_t)(part * tokens), work);
}

/* A new job that goes on where the last one paused. */
static sartor_status go_on(const deciding *d, int i) {
    const json_t *row = json_array_get(d->waiting, (size_t)i);
    const int64_t trial = d->p.trial[i];
    char arch[SR_HASH_TEXT], name[SR_HASH_TEXT + 24];
    double work;
    int64_t job;
    json_t *spec = json_copy(json_array_get(row, 3));
    if (spec == NULL || json_object_set(spec, "after", json_array_get(row, 2)) != 0 ||
        json_object_set_new(spec, "stage", json_integer(d->stage + 1)) != 0) {
        json_decref(spec);
        return sr_no_memory(d->ctx);
    }
    d->search->space.identity(&d->search->space, &d->p.genome[i], arch);
    snprintf(name, sizeof name, "%s stage %d", arch, d->stage + 1);
    sartor_status status = expected(d, i, spec, &work);
    if (status == SARTOR_OK)
        status = sr_job_add(d->ctx, d->study, SR_KIND_TRIAL, name, spec, work, false, &job, NULL);
    json_decref(spec);
    SR_TRY(status);
    return sr_run_sql(d->ctx, d->study, NULL, "UPDATE trial SET job = ? WHERE id = ?", "ii", job,
                      trial);
}

static sartor_status stop(const deciding *d, int i) {
    SR_TRY(sr_run_sql(d->ctx, d->study, NULL,
                      "INSERT OR REPLACE INTO value (trial, name, value) VALUES (?, ?, ?)", "isd",
                      d->p.trial[i], SR_VALUE_STOPPED,
                      sr_stage_end(&d->search->settings, d->stage)));
    return sr_trial_close(d->ctx, d->study, d->search, d->p.trial[i]);
}

static sartor_status decide(deciding *d) {
    int *order, going = 0;
    SR_TRY(find_waiting(d));
    SR_TRY(read_values(d));
    if (d->p.n == 0) return SARTOR_OK;
    SR_TRY(sr_alloc(d->ctx, (size_t)d->p.n, sizeof *order, "a rung", (void **)&order));
    sartor_status status = choose(d, order, &going);
    for (int i = 0; i < d->p.n && status == SARTOR_OK; i++)
        status = i < going ? go_on(d, order[i]) : stop(d, order[i]);
    free(order);
    return status;
}

sartor_status sr_rungs_decide(sartor_context *ctx, sr_study *study, const sr_search *search) {
    deciding d = {.ctx = ctx, .study = study, .search = search};
    bool there;
    if (search->settings.rungs == 0) return SARTOR_OK;
    SR_TRY(all_there(&d, &there));
    sartor_status status = there ? decide(&d) : SARTOR_OK;
    json_decref(d.waiting);
    sr_population_free(&d.p);
    return status;
}

/* ---- the answer ---- */

sartor_status sr_answer_rungs(sartor_context *ctx, sr_study *study, const sr_search *search,
                              int64_t trial, json_t *training) {
    sr_query rows;
    double stopped = NAN;
    json_t *seen = json_array();
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT value FROM value WHERE trial = ? AND name = ?", "is",
                  trial, SR_VALUE_STOPPED));
    if (sr_next(&rows)) stopped = sr_real(&rows, 0);
    SR_TRY(sr_done(&rows));
    bool bad = json_object_set_new(training, "stopped", sr_number_or_null(stopped)) != 0;
    bad |= seen == NULL || json_object_set_new(training, "rungs", seen) != 0;
    if (bad) return sr_no_memory(ctx);
    if (search->settings.rungs == 0) return SARTOR_OK;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "WITH RECURSIVE stage (id) AS (SELECT job FROM trial WHERE id = ? UNION"
                  " SELECT json_extract(job.spec, '$.after') FROM stage JOIN job"
                  " ON job.id = stage.id WHERE json_extract(job.spec, '$.after') IS NOT NULL)"
                  " SELECT json_extract(spec, '$.stage'), json_extract(result, '$.tokens'),"
                  " json_extract(result, '$.bpb') FROM stage JOIN job ON job.id = stage.id"
                  " WHERE state = 'done' ORDER BY 1",
                  "i", trial));
    while (sr_next(&rows)) {
        const int64_t stage = sr_int(&rows, 0);
        if (stage < 0 || stage >= search->settings.rungs) continue;
        (void)json_array_append_new(seen, json_pack("{s:f, s:I, s:o}", "share",
                                                    search->settings.rung[stage], "tokens",
                                                    (json_int_t)sr_int(&rows, 1), "bpb",
                                                    sr_number_or_null(sr_real(&rows, 2))));
    }
    return sr_done(&rows);
}
