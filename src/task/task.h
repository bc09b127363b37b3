/* What is trained and scored: tokens in, the tokens wanted out.
 *
 * A task fills micro-batches. What it fills is a pure function of the step and the micro-batch, so
 * that a resumed run needs no stored position. */
#ifndef SR_TASK_TASK_H
#define SR_TASK_TASK_H

#include <stdint.h>

typedef struct sr_task {
    /* Writes `rows x length` ids and targets of one micro-batch; a target below 0 is not scored.
     * Returns the raw bytes of text that the scored targets stand for, 0 where there is no text. */
    int64_t (*fill)(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets);
    /* Scored targets of all micro-batches of a step, at least 1; NULL: every target is scored. */
    int64_t (*scored)(void *user, int64_t step);
    /* Micro-batches of a step that score anything, at least 1: those behind them are left out.
     * NULL: all. */
    int64_t (*micros)(void *user, int64_t step);
    void *user;
} sr_task;

#endif
