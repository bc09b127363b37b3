/* What head_norm agrees on with its kernels and truth: the layout of what is saved. */
#ifndef SR_OP_HEAD_NORM_H
#define SR_OP_HEAD_NORM_H

#include "op/op.h"

/* Saved of every token and head: 1 / root mean square, and the mean. */
enum { SR_HEAD_NORM_SAVES = 2 };

/* Channels of a head, and what its sum of squares is divided by. */
static inline int64_t sr_head_norm_width(const sr_call *c) {
    return c->in[0].cols / c->attr.head_norm.heads;
}
static inline int64_t sr_head_norm_divisor(const sr_call *c) {
    return sr_norm_divisor(c->attr.head_norm.divisor, sr_head_norm_width(c));
}

#endif
