#ifndef SR_STUDY_ATTEMPT_H
#define SR_STUDY_ATTEMPT_H

#include "study/jobs.h"
#include <stdbool.h>

/* Path of a folder or file inside STUDY.d; NULL when memory is exhausted; release with free(). */
char *sr_study_inside(const sr_study *study, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The folder of a job's present attempt, likewise. */
char *sr_attempt_folder(const sr_study *study, const sr_job *job);
/* Where the model of a finished job lies, likewise. */
char *sr_job_model_path(const sr_study *study, const char *kind, int64_t job, int attempt);

/* A file that an attempt leaves for the next one. */
typedef struct sr_attempt_file {
    const char *name;
    bool appended; /* written to in place (a log), so it must be copied, and is nothing to continue
                      from; others are only ever replaced as a whole */
} sr_attempt_file;

/* The folder of the attempt that finished a job; NULL where it is not done; release with free(). */
sartor_status sr_finished_folder(sartor_context *ctx, sr_study *study, int64_t job, char **folder);

/* Makes the folder of this attempt, with what the latest earlier attempt left, or else what lies in
 * the folder `before` (NULL: none). `folder`: release with free(). */
sartor_status sr_attempt_begin(sartor_context *ctx, const sr_study *study, const sr_job *job,
                               const sr_attempt_file *files, int n, const char *before,
                               char **folder);
/* Removes the folders of earlier attempts. */
void sr_attempt_forget_earlier(const sr_study *study, const sr_job *job);

/* A folder with all that is in it; what cannot be removed stays. */
void sr_remove_folder(const char *path);

#endif
