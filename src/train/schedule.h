/* The learning rate of every step: linear warm-up, then a cosine to a floor.
 *
 * A run that is extended has several totals. Steps behind the first total follow the cosine of the
 * next one from where it stands at that step: no second warm-up, and what was trained before is
 * what it was. */
#ifndef SR_TRAIN_SCHEDULE_H
#define SR_TRAIN_SCHEDULE_H

#include <stdint.h>

enum { SR_MAX_TOTALS = 64 };

typedef struct sr_schedule {
    double peak, floor;
    int64_t warmup;               /* steps; at most the first total */
    int totals;                   /* 1, and one more for every extension */
    int64_t total[SR_MAX_TOTALS]; /* steps, rising */
} sr_schedule;

/* For step = 0, 1, ...: peak * (step + 1) / warmup while step < warmup, else
 * floor + (peak - floor) * (1 + cos(pi * (step - warmup) / (total - warmup))) / 2. */
double sr_schedule_rate(const sr_schedule *schedule, int64_t step);

/* The total that governs a step. */
int64_t sr_schedule_total(const sr_schedule *schedule, int64_t step);

/* All steps. */
static inline int64_t sr_schedule_end(const sr_schedule *schedule) {
    return schedule->total[schedule->totals - 1];
}

#endif
