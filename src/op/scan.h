/* What scan agrees on with its kernels and truth: limits, and the layout of what is saved. */
#ifndef SR_OP_SCAN_H
#define SR_OP_SCAN_H

#include "op/op.h"

enum {
    SR_SCAN_STATES = 64, /* most states per channel */
    SR_SCAN_SEGMENT = 16 /* steps between saved states; backward recomputes those in between */
};

enum { SR_SCAN_U, SR_SCAN_DT, SR_SCAN_B, SR_SCAN_C, SR_SCAN_A, SR_SCAN_BIAS, SR_SCAN_D, SR_SCAN_Z };

/* Channels rounded up to whole vectors of any instruction set. */
static inline int64_t sr_scan_padded(const sr_call *c) { return (c->in[0].cols + 15) / 16 * 16; }

/* Saved states per sequence: before steps 16, 32 ... Each is padded channels x states numbers. */
static inline int64_t sr_scan_saves(const sr_call *c) {
    return (c->length + SR_SCAN_SEGMENT - 1) / SR_SCAN_SEGMENT - 1;
}

/* Groups of channels that backward cuts each sequence into, so that every thread has work. With
 * more than one, the gradients of B and C are summed over the groups at the end. */
static inline int64_t sr_scan_groups(const sr_call *c) {
    int64_t blocks = sr_scan_padded(c) / 16, groups = (c->threads + c->batch - 1) / c->batch;
    return groups < blocks ? groups : blocks;
}

#endif
