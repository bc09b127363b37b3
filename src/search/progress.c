#include "search/progress.h"

#include "study/sql.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static sartor_status read_number(sartor_context *ctx, sr_study *study, const char *sql, double *x) {
    sr_query rows;
    *x = NAN;
    SR_TRY(sr_sql(ctx, study, &rows, sql, ""));
    if (sr_next(&rows)) *x = sr_real(&rows, 0);
    return sr_done(&rows);
}

static int count(double x) { return x > 0 ? (int)fmin(x, SR_MAX_GENERATIONS) : 0; }

/* Smallest values: they lie on the front. */
static sartor_status read_best(sartor_context *ctx, sr_study *study, sr_progress_watch *w) {
    sr_population p;
    bool *in_front;
    SR_TRY(sr_answer_population(ctx, study, w->search, false, &p, &in_front));
    for (int k = 0; k < w->search->settings.n_objectives; k++) w->best[k] = NAN;
    for (int i = 0; i < p.n; i++)
        for (int k = 0; in_front[i] && k < p.objectives; k++)
            w->best[k] = fmin(w->best[k], p.raw[i * p.objectives + k]);
    free(in_front);
    sr_population_free(&p);
    return SARTOR_OK;
}

/* The job that has run longest. */
static sartor_status read_running(sartor_context *ctx, sr_study *study, char kind[32],
                                  sartor_study_progress *p) {
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT kind, step, steps, loss FROM job WHERE state = 'running'"
                  " ORDER BY started LIMIT 1",
                  ""));
    p->loss = NAN;
    if (sr_next(&rows)) {
        snprintf(kind, 32, "%.31s", sr_text(&rows, 0));
        p->kind = kind;
        p->step = sr_int(&rows, 1);
        p->steps = sr_int(&rows, 2);
        p->loss = sr_real(&rows, 3);
    }
    return sr_done(&rows);
}

/* Work left in seconds of one worker: what is open, less what of it is done, and generations to
 * come at the size of the mean one so far. */
static sartor_status read_left(sartor_context *ctx, sr_study *study, const sr_progress_watch *w,
                               sartor_study_progress *p) {
    double expected, spent, open;
    SR_TRY(read_number(ctx, study, "SELECT total(cost) FROM job WHERE state = 'done'", &expected));
    SR_TRY(read_number(ctx, study, "SELECT total(seconds) FROM job WHERE state = 'done'", &spent));
    SR_TRY(read_number(ctx, study,
                       "SELECT total(cost * (1 - CASE WHEN steps > 0 THEN 1.0 * step / steps ELSE"
                       " 0 END)) FROM job WHERE state IN ('waiting', 'running')",
                       &open));
    p->seconds_left = NAN;
    if (!(expected > 0) || p->done == 0) return SARTOR_OK;
    double all = expected + open, trials = (double)(p->done + p->running + p->waiting + p->failed);
    double later = (double)p->trials - trials;
    if (later > 0) open += later * all / trials;
    p->seconds_left = open * spent / expected / (w->workers > 0 ? w->workers : 1);
    return SARTOR_OK;
}

static sartor_status read_all(sartor_context *ctx, sr_study *study, sr_progress_watch *w,
                              char kind[32], sartor_study_progress *p) {
    double x;
    sr_trial_counts c;
    sr_job_counts jobs;
    SR_TRY(sr_count_trials(ctx, study, &c));
    p->done = c.done;
    p->running = c.running;
    p->failed = c.failed;
    p->waiting = c.waiting;
    SR_TRY(sr_job_count(ctx, study, NULL, &jobs));
    p->jobs_left = jobs.waiting + jobs.running;
    SR_TRY(read_number(ctx, study, "SELECT max(generation) FROM trial", &x));
    p->generation = count(x);
    SR_TRY(read_number(
        ctx, study, "SELECT CAST(value AS REAL) FROM fact WHERE name = '" SR_FACT_GENERATIONS "'",
        &x));
    p->generations = count(x);
    SR_TRY(read_number(ctx, study,
                       "SELECT hypervolume FROM generation ORDER BY number DESC LIMIT 1",
                       &p->hypervolume));
    const sr_evolution *e = &w->search->evolution;
    for (int g = 0; g < p->generations && g < 2; g++)
        p->trials += (int64_t)w->search->settings.algorithm->children(e, g) *
                     (g == 0 ? 1 : p->generations - 1);
    if (w->seen != c.done) SR_TRY(read_best(ctx, study, w));
    w->seen = c.done;
    SR_TRY(read_running(ctx, study, kind, p));
    return read_left(ctx, study, w, p);
}

/* A study without generations: its jobs are all there is. */
static sartor_status read_jobs(sartor_context *ctx, sr_study *study, const sr_progress_watch *w,
                               char kind[32], sartor_study_progress *p) {
    sr_job_counts jobs;
    SR_TRY(sr_job_count(ctx, study, NULL, &jobs));
    p->done = jobs.done;
    p->running = jobs.running;
    p->failed = jobs.failed;
    p->waiting = jobs.waiting;
    p->jobs_left = jobs.waiting + jobs.running;
    p->trials = jobs.done + jobs.failed + p->jobs_left;
    p->hypervolume = NAN;
    SR_TRY(read_running(ctx, study, kind, p));
    return read_left(ctx, study, w, p);
}

void sr_progress_poll(void *user, sr_study *study) {
    sr_progress_watch *w = user;
    char kind[32];
    sartor_context *ctx = sartor_context_create(); /* failures here are nobody's */
    if (ctx == NULL) return;
    if (strcmp(sr_study_purpose_name(study), "search") != 0) {
        sartor_study_progress p = {0};
        if (read_jobs(ctx, study, w, kind, &p) == SARTOR_OK) w->call(w->user, &p);
        sartor_context_destroy(&ctx);
        return;
    }
    if (w->search == NULL) {
        w->search = calloc(1, sizeof *w->search);
        w->seen = -1;
        if (w->search == NULL || sr_search_open(ctx, study, w->search) != SARTOR_OK) {
            free(w->search);
            w->search = NULL;
        }
        for (int k = 0; w->search != NULL && k < w->search->settings.n_objectives; k++)
            w->objectives[k] = sr_objective_get(w->search->settings.objective[k])->name;
    }
    sartor_study_progress p = {.objectives = w->objectives, .best = w->best};
    if (w->search != NULL) {
        p.n_objectives = w->search->settings.n_objectives;
        if (read_all(ctx, study, w, kind, &p) == SARTOR_OK) w->call(w->user, &p);
    }
    sartor_context_destroy(&ctx);
}

void sr_progress_end(sr_progress_watch *w) {
    if (w->search != NULL) sr_search_close(w->search);
    free(w->search);
    w->search = NULL;
}
