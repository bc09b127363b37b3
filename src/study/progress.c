#include "study/progress.h"

#include "study/jobs.h"
#include "study/sql.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

sartor_status sr_progress_running(sartor_context *ctx, sr_study *study, sr_job_set only,
                                  char kind[32], sartor_study_progress *p) {
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT kind, step, steps, loss FROM job WHERE " SR_IN_JOB_SET
                  " AND state = 'running' ORDER BY started LIMIT 1",
                  "s", only.spans));
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

sartor_status sr_progress_left(sartor_context *ctx, sr_study *study, sr_job_set only, int workers,
                               sartor_study_progress *p) {
    sr_query rows;
    double expected = 0, spent = 0, open = 0;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT total(cost) FILTER (WHERE state = 'done'),"
                  " total(seconds) FILTER (WHERE state = 'done'),"
                  " total(cost * (1 - CASE WHEN steps > 0 THEN 1.0 * step / steps ELSE 0 END))"
                  " FILTER (WHERE state IN ('waiting', 'running')) FROM job WHERE " SR_IN_JOB_SET,
                  "s", only.spans));
    if (sr_next(&rows)) {
        expected = sr_real(&rows, 0);
        spent = sr_real(&rows, 1);
        open = sr_real(&rows, 2);
    }
    SR_TRY(sr_done(&rows));
    p->seconds_left = NAN;
    if (!(expected > 0) || p->done == 0) return SARTOR_OK;
    double all = expected + open, trials = (double)(p->done + p->running + p->waiting + p->failed);
    double later = (double)p->trials - trials;
    if (later > 0) open += later * all / trials;
    p->seconds_left = open * spent / expected / (workers > 0 ? workers : 1);
    return SARTOR_OK;
}

sartor_status sr_progress_jobs(sartor_context *ctx, sr_study *study, sr_job_set only, int workers,
                               char kind[32], sartor_study_progress *p) {
    sr_job_counts jobs;
    SR_TRY(sr_job_count(ctx, study, NULL, only, &jobs));
    p->done = jobs.done;
    p->running = jobs.running;
    p->failed = jobs.failed;
    p->waiting = jobs.waiting;
    p->jobs_left = jobs.waiting + jobs.running;
    p->trials = jobs.done + jobs.failed + p->jobs_left;
    p->hypervolume = NAN;
    SR_TRY(sr_progress_running(ctx, study, only, kind, p));
    return sr_progress_left(ctx, study, only, workers, p);
}

typedef struct watch {
    sartor_study_progress_fn call;
    void *user;
    int workers;
    sr_job_set only;
} watch;

static void poll_jobs(void *user, sr_study *study) {
    const watch *w = user;
    char kind[32];
    sartor_study_progress p = {0};
    sartor_context *ctx = sartor_context_create(); /* failures here are nobody's */
    if (ctx == NULL) return;
    if (sr_progress_jobs(ctx, study, w->only, w->workers, kind, &p) == SARTOR_OK)
        w->call(w->user, &p);
    sartor_context_destroy(&ctx);
}

sartor_status sr_supervise_jobs(sartor_context *ctx, const sr_local_options *options,
                                sartor_study_progress_fn progress, void *user) {
    char *spans;
    SR_TRY(sr_job_set_parse(ctx, options->jobs, &spans));
    watch w = {.call = progress, .user = user, .workers = options->workers, .only = {spans}};
    sr_local_options local = *options;
    local.poll = progress != NULL ? poll_jobs : NULL;
    local.poll_user = &w;
    sartor_status status = sr_local_supervise(ctx, &local);
    free(spans);
    return status;
}
