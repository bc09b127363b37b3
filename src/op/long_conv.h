/* long_conv: how one call is computed, shared by the operator (scratch) and its kernels. */
#ifndef SR_OP_LONG_CONV_H
#define SR_OP_LONG_CONV_H

#include "op/op.h"

typedef struct sr_long_conv_plan {
    int64_t lags;   /* filter rows that matter */
    int64_t past;   /* rows of the state that matter */
    bool transform; /* Fourier transforms, not direct sums */
    int64_t size;   /* complex points of a transform: 2^k or 3 * 2^k, at least min(length, lags) */
    int parts;      /* backward: shares of the batch with a filter gradient of their own */
} sr_long_conv_plan;

/* Lanes are the widest vector's; direct sums read this many rows around what they sum. */
enum {
    SR_LONG_CONV_LANES = 16,
    SR_LONG_CONV_PAD = 16,
    SR_LONG_CONV_NODE = 6,
    SR_LONG_CONV_SPAN = 8,  /* groups of lanes that walk through the state together */
    SR_LONG_CONV_LAGS = 256 /* lags of one step of theirs */
};

sr_long_conv_plan sr_long_conv_plan_of(const sr_call *c, bool backward);

/* Floats of the twiddle table, which comes first in scratch, and of each thread's share after it;
 * backward with parts > 1 has parts * lags * columns (rounded up to lanes) floats at the end. */
int64_t sr_long_conv_table(const sr_long_conv_plan *plan);
int64_t sr_long_conv_share(const sr_long_conv_plan *plan, const sr_call *c, bool backward);

#endif
