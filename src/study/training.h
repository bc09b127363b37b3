/* Jobs that train a language model on the text of a study. An attempt's folder is that of a
 * training run (sartor_train()); an attempt continues from the checkpoint of the one before. */
#ifndef SR_STUDY_TRAINING_H
#define SR_STUDY_TRAINING_H

#include "study/text.h"
#include "study/worker.h"
#include "train/run.h"

/* How the run of a job begins, and where it ends for now; zero: with weights from the seed, and
 * with its last step. */
typedef struct sr_job_start {
    sr_run_begin_fn begin;
    void *user;
    int64_t after; /* the finished job whose paused run this one continues, and whose files are
                      removed when it is done; 0: none */
    double pause;  /* share of the steps; 0 or 1: all */
} sr_job_start;

/* Trains as `options` say, but in the job's folder and on the text of the study. The final measure
 * reads `validation_tokens` at most. *curve: [[step, tokens, loss, bits per byte|null]], a new
 * reference, whose last point carries the final measure. */
sartor_status sr_train_in_job(sartor_context *ctx, sr_worker *worker, const sr_job *job,
                              const sartor_train_options *options, const sr_job_start *start,
                              sr_study_text *text, int64_t validation_tokens,
                              sartor_measure *measure, json_t **curve);

/* A curve as rows, inside a transaction. */
sartor_status sr_curve_store(sartor_context *ctx, sr_study *study, int64_t job,
                             const json_t *curve);

#endif
