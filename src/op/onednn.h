/* Matrix products as oneDNN makes them: one primitive for a product, with oneDNN's own division
 * among threads.
 *
 * Primitives take 70 to 5000 microseconds to create, so they are kept in one process-wide table
 * keyed by the whole description and the number of OpenMP threads they were made for. All memory is
 * the caller's, scratchpad included, so that a graph's plan knows it. Works with oneDNN 2 and 3. */
#ifndef SR_OP_ONEDNN_H
#define SR_OP_ONEDNN_H

#include "op/matmul.h"

/* Creates the primitive for `threads` threads, unless it is there already. */
sartor_status sr_onednn_prepare(sartor_context *ctx, const sr_matmul *p, int threads);

/* Bytes of scratchpad that a prepared product needs. */
int64_t sr_onednn_scratch(const sr_matmul *p, int threads);

/* Runs a prepared product with as many OpenMP threads as it was prepared for; inside a parallel
 * region one that was prepared for 1. `scratch`: sr_onednn_scratch() bytes, 64-byte aligned. */
void sr_onednn_run(const sr_matmul *p, int threads, const void *a, const void *b, void *c,
                   void *scratch);

#endif
