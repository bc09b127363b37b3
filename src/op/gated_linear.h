/* What gated_linear agrees on with its kernels and truth: inputs, limits, the layout of what is
 * saved and of scratch. */
#ifndef SR_OP_GATED_LINEAR_H
#define SR_OP_GATED_LINEAR_H

#include "op/op.h"

enum { SR_GL_Q, SR_GL_K, SR_GL_V, SR_GL_DECAY, SR_GL_BONUS, SR_GL_STEP, SR_GL_SKIP, SR_GL_INPUTS };

enum {
    SR_GL_MAX_DIM = 2048,     /* channels of a key or a value in one head */
    SR_GL_LEAST_SEGMENT = 32, /* tokens between saved states: as many as a key has channels, */
    SR_GL_LAST_SEGMENT =
        256,         /* within these bounds, so that states take no more room than values */
    SR_GL_BLOCK = 16 /* keys and values are padded to whole vectors and tiles */
};

static inline int64_t sr_gl_pad(int64_t n) {
    return (n + SR_GL_BLOCK - 1) / SR_GL_BLOCK * SR_GL_BLOCK;
}
/* Columns of the state of one head: the values, and the 1 whose sum is the normaliser. */
static inline int64_t sr_gl_columns(const sr_call *c) {
    return c->attr.gated_linear.value_dim + (c->attr.gated_linear.epsilon > 0);
}
static inline int sr_gl_group(const sr_call *c) {
    return c->attr.gated_linear.heads / c->attr.gated_linear.key_heads;
}
static inline int64_t sr_gl_segment(const sr_call *c) {
    const int64_t k = sr_gl_pad(c->attr.gated_linear.key_dim), low = SR_GL_LEAST_SEGMENT,
                  high = SR_GL_LAST_SEGMENT;
    return k < low ? low : k > high ? high : k;
}

/* Saved: the states before every segment but the first, [sequence][head][segment][key dim][padded
 * columns]. */
static inline int64_t sr_gl_saves(const sr_call *c) {
    return (c->length + sr_gl_segment(c) - 1) / sr_gl_segment(c) - 1;
}

/* Threads that work on the heads of one group, so that every thread has work. With more than one,
 * gradients of what the group shares are summed over the parts at the end. */
static inline int64_t sr_gl_parts(const sr_call *c) {
    const int64_t items = c->batch * c->attr.gated_linear.key_heads,
                  parts = (c->threads + items - 1) / items, group = sr_gl_group(c);
    return parts < group ? parts : group;
}

static inline int64_t sr_gl_part_heads(const sr_call *c) {
    return (sr_gl_group(c) + sr_gl_parts(c) - 1) / sr_gl_parts(c);
}

/* Floats of a thread's region. Forward: a segment's queries, keys, decays, values and results, and
 * the states. Backward: the first three with their gradients; values, their gradients and those of
 * the results; the states of one tile at every token; per head of a part the gradient of the state
 * in two orders. */
static inline int64_t sr_gl_region_forward(const sr_call *c) {
    const int64_t k = sr_gl_pad(c->attr.gated_linear.key_dim), v = sr_gl_pad(sr_gl_columns(c));
    return sr_gl_segment(c) * (3 * k + 2 * v) + sr_gl_part_heads(c) * k * v;
}
static inline int64_t sr_gl_region_backward(const sr_call *c) {
    const int64_t k = sr_gl_pad(c->attr.gated_linear.key_dim), v = sr_gl_pad(sr_gl_columns(c));
    return sr_gl_segment(c) * (6 * k + 3 * v + SR_GL_BLOCK * SR_GL_BLOCK) +
           2 * sr_gl_part_heads(c) * k * v;
}
/* Floats of the gradients of bonus and skip that a thread sums up. */
static inline int64_t sr_gl_own(const sr_call *c) {
    return sr_gl_pad(c->in[SR_GL_Q].cols) + sr_gl_pad(c->attr.gated_linear.heads);
}
/* Floats of the gradients of q, k and decay of one part. */
static inline int64_t sr_gl_part(const sr_call *c) { return 3 * sr_rows(c) * c->in[SR_GL_Q].cols; }

#endif
