/* Telling the caller how far training is: first and last step, and about ten times a second. */
#ifndef SR_TRAIN_PROGRESS_H
#define SR_TRAIN_PROGRESS_H

#include "train/metrics.h"
#include <sartor/train.h>

typedef struct sr_progress_meter {
    sartor_progress_fn call;
    void *user;
    int64_t first, end;        /* steps of this part of the run */
    double started, last;      /* clock */
    double validation_started; /* clock; 0: not yet */
    int64_t last_tokens;       /* at the last report */
    double nats, bits;         /* since the last report: sums of means over steps */
    int64_t steps;             /* likewise */
    sartor_progress report;    /* the last one */
} sr_progress_meter;

sr_progress_meter sr_progress_start(const sartor_train_options *options, int64_t step, int64_t end);
void sr_progress_step(sr_progress_meter *meter, const sr_metrics_line *line, double validation);
/* While the final validation runs: `done` of `all`, and the bits per byte so far. */
void sr_progress_validation(sr_progress_meter *meter, double validation, uint64_t done,
                            uint64_t all);

#endif
