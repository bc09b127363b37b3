#include "search/progress.h"

#include "study/progress.h"
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
    SR_TRY(sr_job_count(ctx, study, NULL, sr_all_jobs, &jobs));
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
    SR_TRY(sr_progress_running(ctx, study, sr_all_jobs, kind, p));
    return sr_progress_left(ctx, study, sr_all_jobs, w->workers, p);
}

void sr_progress_poll(void *user, sr_study *study) {
    sr_progress_watch *w = user;
    char kind[32];
    sartor_context *ctx = sartor_context_create(); /* failures here are nobody's */
    if (ctx == NULL) return;
    if (strcmp(sr_study_purpose_name(study), "search") != 0) {
        sartor_study_progress p = {0};
        if (sr_progress_jobs(ctx, study, sr_all_jobs, w->workers, kind, &p) == SARTOR_OK)
            w->call(w->user, &p);
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
