/* Jobs: claimed under a lease, worked on outside any transaction, finished once.
 *
 * A claim raises the job's attempt number; whatever a worker writes later carries it and is refused
 * when the job has moved on (fencing). A job whose lease has run out may be claimed by anyone. The
 * largest cost is claimed first. A job that must be alone is claimed only when nothing else runs,
 * and nothing is claimed beside it. */
#ifndef SR_STUDY_JOBS_H
#define SR_STUDY_JOBS_H

#include "study/job_set.h"
#include "study/study.h"

typedef struct sr_job {
    int64_t id;
    int attempt; /* from 1 */
    char *kind, *name;
    json_t *spec;
} sr_job;
void sr_job_release(sr_job *job); /* what the struct owns */

/* Inside a transaction. Work that is already there (kind and name) keeps its row: *id is its id,
 * *added false. `added` may be NULL. */
sartor_status sr_job_add(sartor_context *ctx, sr_study *study, const char *kind, const char *name,
                         const json_t *spec, double cost, bool alone, int64_t *id, bool *added);

/* Why nothing was claimed. */
typedef enum sr_claim {
    SR_CLAIMED,
    SR_CLAIM_BUSY, /* jobs are open, but others have them or one must be alone: ask again soon */
    SR_CLAIM_NONE  /* no job is open */
} sr_claim;
/* A transaction of its own. `lease` in seconds; `only`: no job but these is looked at. */
sartor_status sr_job_claim(sartor_context *ctx, sr_study *study, const char *worker, double lease,
                           sr_job_set only, sr_job *job, sr_claim *claim);

/* Extends the lease and stores progress; a transaction of its own. *ours false: the job has moved
 * on, stop working. */
sartor_status sr_job_extend(sartor_context *ctx, sr_study *study, const sr_job *job, double lease,
                            int64_t step, int64_t steps, double loss, bool *ours);

/* Inside a transaction; guarded by the attempt: *ours false and nothing changed when the job has
 * moved on. done: `result` is stored, `reason` NULL; failed: `reason` in one line. */
sartor_status sr_job_finish(sartor_context *ctx, sr_study *study, const sr_job *job,
                            const json_t *result, const char *reason, bool *ours);
/* Back to waiting, for anyone to claim, likewise guarded; `outcome` goes to the attempt. */
sartor_status sr_job_give_back(sartor_context *ctx, sr_study *study, const sr_job *job,
                               const char *outcome, bool *ours);

/* A supervisor saw `worker` die while it held a job. `step`: where it died (what it published
 * last). The third death in a row at one step makes the job failed with a reason; else it waits for
 * the next claim at once. A transaction of its own. *job 0 when the worker held none. */
enum { SR_MOST_CRASHES = 3 };
sartor_status sr_job_crashed(sartor_context *ctx, sr_study *study, const char *worker, int64_t step,
                             const char *how, int64_t *job, bool *failed);

/* Gives back what `worker` holds, for one that is known to be gone through no fault of the job. A
 * transaction of its own. *job 0 when it held none. */
sartor_status sr_job_take_back(sartor_context *ctx, sr_study *study, const char *worker,
                               const char *outcome, int64_t *job);

/* How many of `only` are in each state, of one kind or (NULL) all. */
typedef struct sr_job_counts {
    int64_t waiting, running, done, failed;
} sr_job_counts;
sartor_status sr_job_count(sartor_context *ctx, sr_study *study, const char *kind, sr_job_set only,
                           sr_job_counts *counts);

/* Points of a learning curve, inside a transaction; NaN where not measured. */
sartor_status sr_curve_add(sartor_context *ctx, sr_study *study, int64_t job, int64_t step,
                           int64_t tokens, double loss, double bits_per_byte);

#endif
