/* toeplitz_attention: how the operator and its kernels lay out scratch. */
#ifndef SR_OP_TOEPLITZ_ATTENTION_H
#define SR_OP_TOEPLITZ_ATTENTION_H

#include "op/op.h"

enum {
    SR_TOEPLITZ_CHUNK = 32, /* queries, and keys, of a tile of scores */
    SR_TOEPLITZ_PAD = 64    /* zeros on either side of a filter: lags that a tile may look up */
};

static inline int64_t sr_toeplitz_rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Tokens before this call that both rings still hold and the filter reaches. */
static inline int64_t sr_toeplitz_past(const sr_call *c) {
    if (c->state[0].capacity == 0) return 0;
    int64_t past = c->position;
    for (int s = 0; s < 2; s++) past = c->state[s].capacity < past ? c->state[s].capacity : past;
    return c->in[3].rows - 1 < past ? c->in[3].rows - 1 : past;
}
/* Rows of the filter that matter. */
static inline int64_t sr_toeplitz_lags(const sr_call *c) {
    const int64_t seen = sr_toeplitz_past(c) + c->length;
    return c->in[3].rows < seen ? c->in[3].rows : seen;
}

/* Floats of one group's filter with its zeros; a table of them comes first in scratch. */
static inline int64_t sr_toeplitz_span(const sr_call *c) {
    return sr_toeplitz_rounded(sr_toeplitz_lags(c), 16) + 2 * SR_TOEPLITZ_PAD;
}
/* Channels of a head of q and k (which = 0), of v and y (1); in whole vectors of any instruction
 * set. */
static inline int sr_toeplitz_dim(const sr_call *c, int which) {
    return which == 0 ? c->attr.attention.head_dim : c->attr.attention.value_dim;
}
static inline int64_t sr_toeplitz_width(const sr_call *c, int which) {
    return sr_toeplitz_rounded(sr_toeplitz_dim(c, which), 16);
}
/* Floats of one thread's region. Forward: a tile each of keys, values, queries, outputs and scores.
 * Backward: queries, output gradients and query gradients of a sequence; tiles of keys (both ways),
 * values and their gradients; two of scores; the filter gradients of all groups. */
static inline int64_t sr_toeplitz_region(const sr_call *c, bool backward) {
    const int64_t k = sr_toeplitz_width(c, 0), v = sr_toeplitz_width(c, 1), n = SR_TOEPLITZ_CHUNK;
    if (!backward) return 2 * n * (k + v) + n * n;
    return sr_toeplitz_rounded(c->length, n) * (2 * k + v) + n * (3 * k + 2 * v) + 2 * n * n +
           c->attr.attention.heads * sr_toeplitz_span(c);
}

#endif
