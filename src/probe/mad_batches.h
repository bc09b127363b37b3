/* Training batches of a set of MAD examples: epochs, each in an order of its own.
 *
 * A batch is a pure function of (set, seed, step): the order of epoch e is a shuffle keyed by
 * (seed, e). The last batch of an epoch holds what is left. */
#ifndef SR_PROBE_MAD_BATCHES_H
#define SR_PROBE_MAD_BATCHES_H

#include "task/mad/mad.h"
#include "task/task.h"

typedef struct sr_mad_batches {
    const sr_mad_set *set;
    uint64_t seed;
    int64_t batch, rows; /* examples of a step, and of a micro-batch, which divides it */
    int64_t epoch;       /* that `order` is of; -1: none yet */
    int32_t *order;      /* [set->rows] */
} sr_mad_batches;

/* `set` outlives the batches. */
sartor_status sr_mad_batches_init(sartor_context *ctx, const sr_mad_set *set, uint64_t seed,
                                  int64_t batch, int64_t rows, sr_mad_batches *batches);
void sr_mad_batches_free(sr_mad_batches *batches); /* also of {0} */

int64_t sr_mad_steps_per_epoch(const sr_mad_batches *batches);

/* `batches` must outlive the task; not for two threads at once. */
sr_task sr_mad_task(sr_mad_batches *batches);

#endif
