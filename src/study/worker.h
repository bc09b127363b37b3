/* A worker: claims jobs of a study, runs each by its kind, stores what comes out, until there is
 * nothing left to do.
 *
 * While a job runs, a second thread with a connection of its own extends the lease every sixth of
 * it and stores progress; when the job has moved on to another worker it interrupts the job's
 * context, and whatever the job returns is dropped. */
#ifndef SR_STUDY_WORKER_H
#define SR_STUDY_WORKER_H

#include "study/jobs.h"

typedef struct sr_worker sr_worker;

/* What the layers above know of a kind of job. */
typedef struct sr_job_kind {
    const char *name;
    /* The work, outside any transaction, under a context of its own: SARTOR_OK with *result (a new
     * reference); SARTOR_NOT_FINITE, SARTOR_INVALID, SARTOR_FORMAT or SARTOR_MISMATCH: the job
     * itself is at fault and becomes failed with the context's message; SARTOR_INTERRUPTED: given
     * back; anything else (disk, memory, libraries): given back, and the worker ends with it. */
    sartor_status (*run)(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                         json_t **result);
    /* Inside the transaction that makes the job done; not called when the job has moved on. May be
     * NULL. (What a failed job means is for `advance` to see: a supervisor may have failed it.) */
    sartor_status (*store)(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                           const json_t *result);
} sr_job_kind;

typedef struct sr_worker_options {
    const char *study;
    const char *name;    /* NULL: host, process and time */
    const char *machine; /* what this machine computes with, for the table of workers */
    double lease;        /* seconds */
    sr_job_set only;     /* no other jobs are done or waited for */
    const sr_job_kind *kinds;
    int n_kinds;
    /* When no job is open: adds jobs (in a transaction of its own) or sets *finished. Called again
     * after a pause when it did neither. NULL: finished when no job is open. */
    sartor_status (*advance)(sartor_context *ctx, sr_study *study, void *user, bool *finished);
    void *user;
} sr_worker_options;

/* Returns when finished, interrupted (SARTOR_INTERRUPTED; the job is given back) or when the
 * surroundings fail. Also ends, as interrupted, when its parent process dies and
 * `options->study`'s supervisor started it (see supervisor.h). */
sartor_status sr_worker_run(sartor_context *ctx, const sr_worker_options *options);

/* For kinds, while they run: publish progress (cheap: call it at every step). The step is seen by
 * the supervisor even if the process is killed right after. */
void sr_worker_progress(sr_worker *worker, int64_t step, int64_t steps, double loss);
sr_study *sr_worker_study(sr_worker *worker);

#endif
