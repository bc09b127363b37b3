/* metrics.jsonl: one line for every step that was done in its folder, in order, without gap and
 * without double.
 *
 * Lines are appended as steps are done. A run that continues first drops what lies behind its
 * checkpoint (or was torn by a kill): the repeated steps write those lines again. */
#ifndef SR_TRAIN_METRICS_H
#define SR_TRAIN_METRICS_H

#include "base/context.h"
#include "train/trainer.h"
#include <stdio.h>

enum { SR_METRICS_LINE = 8192 }; /* bytes of one, at most, its end included */

typedef struct sr_metrics {
    FILE *stream;
    char *path;
} sr_metrics;

/* Keeps the lines of steps up to `step`, then appends. */
sartor_status sr_metrics_open(sartor_context *ctx, const char *path, int64_t step,
                              sr_metrics *metrics);
void sr_metrics_close(sr_metrics *metrics);

typedef struct sr_metrics_line {
    int64_t step, tokens; /* done, this step included */
    sr_step of_step;
    double seconds;         /* training time so far */
    double validation_loss; /* NaN: not measured at this step */
    double validation_bits_per_byte;
    double tokens_per_second; /* of this step */
    const char *grown;        /* what the model grew by just before this step; NULL: nothing */
    int64_t params_before;    /* trained ones of the smaller model, */
    int64_t params;           /* and from then on */
} sr_metrics_line;
sartor_status sr_metrics_add(sartor_context *ctx, sr_metrics *metrics, const sr_metrics_line *line);
/* On the disk, before a checkpoint says that these steps are done. */
sartor_status sr_metrics_sync(sartor_context *ctx, sr_metrics *metrics);

#endif
