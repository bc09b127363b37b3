/* What the kinds of jobs have in common. */
#ifndef SR_SEARCH_JOBS_H
#define SR_SEARCH_JOBS_H

#include "search/search.h"
#include "study/training.h"

typedef struct sr_training {
    const char *genome;
    int64_t tokens; /* the budget, also of a run that pauses before */
    uint64_t seed;
    sr_job_start start;
} sr_training;

/* Trains in the job's folder under the study's settings, continuing what an earlier attempt left,
 * and leaves the curve in search->curve. */
sartor_status sr_train_job(sartor_context *ctx, sr_worker *worker, sr_search *search,
                           const sr_job *job, const sr_training *training, sartor_measure *measure);

sartor_status sr_trial_run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                           json_t **result);
sartor_status sr_trial_store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                             const json_t *result);
sartor_status sr_measure_run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                             json_t **result);
sartor_status sr_measure_store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                               const json_t *result);
/* The MAD suite of a trial. */
sartor_status sr_probe_run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                           json_t **result);
sartor_status sr_probe_store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                             const json_t *result);
/* Tokens that all runs of a suite train on, without early stopping. */
int64_t sr_probe_tokens(const sr_mad_suite *suite);

/* Inside a transaction: the trial is done when all values that need a job are there. */
sartor_status sr_trial_close(sartor_context *ctx, sr_study *study, const sr_search *search,
                             int64_t trial);

sartor_status sr_final_run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                           json_t **result);
sartor_status sr_final_store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                             const json_t *result);

#endif
