/* What conv and gated_conv agree on with their kernels: limits and the layout of their scratch. */
#ifndef SR_OP_TAPS_H
#define SR_OP_TAPS_H

#include "op/op.h"

enum { SR_MAX_TAPS = 64 };

/* Channels rounded up to whole vectors of any instruction set. */
static inline int64_t sr_taps_padded(int64_t d) { return (d + 15) / 16 * 16; }

/* Groups of channels that each sequence is cut into, so that every thread has work. */
static inline int64_t sr_taps_groups(const sr_call *c) {
    int64_t blocks = sr_taps_padded(c->in[0].cols) / 16;
    int64_t groups = (c->threads + c->batch - 1) / c->batch;
    return groups < blocks ? groups : blocks;
}

/* How often the input channels are repeated: output channel m * d + j reads input channel j. */
static inline int64_t sr_taps_tiles(const sr_call *c) { return c->out.cols / c->in[0].cols; }

/* Transposed weights; backward also, per thread, the last taps - 1 inputs and gradients, and
 * partial sums of the parameters' gradients. */
static inline int64_t sr_taps_scratch(const sr_call *c, bool backward) {
    const int64_t taps = c->attr.conv.taps, tiles = sr_taps_tiles(c);
    const int64_t own = taps - 1 + tiles * 2 * taps;
    return (taps * tiles + (backward ? c->threads * own : 0)) * sr_taps_padded(c->in[0].cols) *
           (int64_t)sizeof(float);
}

#endif
