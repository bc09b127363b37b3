/* How far a study is, read from its jobs a few times a second. */
#ifndef SR_STUDY_PROGRESS_H
#define SR_STUDY_PROGRESS_H

#include "study/local.h"
#include <sartor/search.h>

/* Fills kind (in `kind`), step, steps and loss from the job of `only` that has run longest. */
sartor_status sr_progress_running(sartor_context *ctx, sr_study *study, sr_job_set only,
                                  char kind[32], sartor_study_progress *progress);
/* seconds_left with `workers` workers, from what finished jobs were expected to take and took; jobs
 * that are still to be added count as the mean of those there are. Reads the counts. */
sartor_status sr_progress_left(sartor_context *ctx, sr_study *study, sr_job_set only, int workers,
                               sartor_study_progress *progress);
/* All of it for a study whose jobs are all there. */
sartor_status sr_progress_jobs(sartor_context *ctx, sr_study *study, sr_job_set only, int workers,
                               char kind[32], sartor_study_progress *progress);

/* sr_local_supervise() of such a study with progress reported to `progress` (NULL: to nobody), of
 * the jobs that the options name. */
sartor_status sr_supervise_jobs(sartor_context *ctx, const sr_local_options *options,
                                sartor_study_progress_fn progress, void *user);

#endif
