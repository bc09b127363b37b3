/* Training batches: windows of the token stream in shuffled order.
 *
 * What holds: a batch is a pure function of (tokens, seed, sizes, step, micro), so a resumed run
 * needs no stored state. The stream is read as a ring (its end is a separator, as is what precedes
 * its start). Epoch e starts at a random offset of the ring and cuts it into count/context windows,
 * each used exactly once, in an order given by a keyed permutation that is computed, not stored. */
#ifndef SR_DATA_BATCH_H
#define SR_DATA_BATCH_H

#include "data/cache.h"

typedef struct sr_batches {
    const sr_tokens *tokens;
    uint64_t seed;
    int32_t context, rows, accumulate;
    uint64_t ring;    /* tokens in the ring: count - 1 */
    uint64_t windows; /* in one epoch: ring / context */
} sr_batches;

/* `rows` windows of `context` tokens in a micro-batch, `accumulate` micro-batches in a step.
 * `tokens` is borrowed. SARTOR_INVALID, with the number of tokens needed, when the data is shorter
 * than one batch (rows x context tokens). */
sartor_status sr_batches_init(sartor_context *ctx, const sr_tokens *tokens, uint64_t seed,
                              int32_t context, int32_t rows, int32_t accumulate, sr_batches *out);

/* ids and targets: rows x context each; targets are the following tokens. */
void sr_batch_fill(const sr_batches *b, uint64_t step, int32_t micro, int32_t *ids,
                   int32_t *targets);

/* Ring position of the first input of one window: for tests and for reporting the data position. */
uint64_t sr_batch_start(const sr_batches *b, uint64_t example);

/* Steps in one epoch (a real number: epochs do not end at steps). */
double sr_batches_steps_per_epoch(const sr_batches *b);

#endif
