/* What delta_rule agrees on with its kernels and truth: limits, and the layout of what is saved and
 * of scratch. */
#ifndef SR_OP_DELTA_RULE_H
#define SR_OP_DELTA_RULE_H

#include "op/op.h"

enum {
    SR_DELTA_CHUNK = 32,    /* tokens between two updates of the state */
    SR_DELTA_HEAD = 1 << 11 /* most channels of a key or a value in one head */
};

enum { SR_DELTA_Q, SR_DELTA_K, SR_DELTA_V, SR_DELTA_DT, SR_DELTA_BETA, SR_DELTA_A, SR_DELTA_BIAS };

/* Channels of a key and of a value, rounded up to whole vectors of any instruction set. */
static inline int64_t sr_delta_keys(const sr_call *c) {
    return (c->attr.delta.key_dim + 15) / 16 * 16;
}
static inline int64_t sr_delta_values(const sr_call *c) {
    return (c->attr.delta.value_dim + 15) / 16 * 16;
}

/* Saved states of one head of one sequence: before every chunk but the first. Each is [padded key
 * channels][padded value channels]. */
static inline int64_t sr_delta_saves(const sr_call *c) {
    return (c->length + SR_DELTA_CHUNK - 1) / SR_DELTA_CHUNK - 1;
}
static inline int64_t sr_delta_saved_at(const sr_call *c, int64_t sequence, int64_t head,
                                        int64_t chunk) {
    return ((sequence * c->attr.delta.heads + head) * sr_delta_saves(c) + chunk - 1) *
           sr_delta_keys(c) * sr_delta_values(c);
}

/* Floats of one thread's region; the blocks are named in kernel/delta_rule.c. */
static inline int64_t sr_delta_region(const sr_call *c, bool backward) {
    const int64_t k = sr_delta_keys(c), v = sr_delta_values(c), n = SR_DELTA_CHUNK;
    const int64_t forward = k * v + 3 * n * k + 2 * n * v + 3 * n * n + 12 * n;
    return forward + (backward ? k * v + 4 * n * k + 5 * n * v + 4 * n * n : 0);
}

#endif
