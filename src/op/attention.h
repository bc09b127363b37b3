/* What the attention operators and their kernels agree on: limits and the layout of scratch. */
#ifndef SR_OP_ATTENTION_H
#define SR_OP_ATTENTION_H

#include "op/op.h"

enum {
    SR_MAX_HEAD_DIM = 2048,
    SR_ATTENTION_LANES = 32,    /* queries of a tile, at most: two vectors */
    SR_ATTENTION_KEYS = 64,     /* keys of a tile */
    SR_ATTENTION_STRETCH = 512, /* past keys that one thread reads at a time for a single query */
    SR_ATTENTION_SINGLE_KEYS = 16, /* of them in scratch at a time */
    SR_LINEAR_CHUNK = 32           /* tokens between two updates of the state of linear attention */
};

/* Fails unless heads and shapes fit each other; sets the output. `op` is named in messages. */
sartor_status sr_attention_check(sartor_context *ctx, const char *op, sr_call *c);

/* Tokens before this call that the caches still hold and somebody looks at. Keys and values may
 * come from different units, whose caches differ in length. */
static inline int64_t sr_attention_past(const sr_call *c) {
    if (c->state[0].capacity == 0) return 0;
    int64_t past = c->position;
    for (int s = 0; s < 2; s++) past = c->state[s].capacity < past ? c->state[s].capacity : past;
    const int64_t window = c->attr.attention.window;
    return window > 0 && window - 1 < past ? window - 1 : past;
}

/* Channels of one head of the queries and keys (which = 0), of the values and outputs (1). */
static inline int sr_attention_dim(const sr_call *c, int which) {
    return which == 0 ? c->attr.attention.head_dim : c->attr.attention.value_dim;
}
/* Padded sizes: every block of scratch is whole vectors long and starts on a cache line. */
static inline int64_t sr_attention_width(const sr_call *c, int which) {
    return (sr_attention_dim(c, which) + 15) / 16 * 16;
}
static inline int64_t sr_attention_widest(const sr_call *c) {
    const int64_t k = sr_attention_width(c, 0), v = sr_attention_width(c, 1);
    return k > v ? k : v;
}
static inline int64_t sr_attention_padded(int64_t keys) {
    return (keys + SR_ATTENTION_KEYS - 1) / SR_ATTENTION_KEYS * SR_ATTENTION_KEYS +
           SR_ATTENTION_KEYS;
}

/* A single query per sequence over its past: the past is split into stretches. */
static inline bool sr_attention_single(const sr_call *c) {
    return c->length == 1 && c->state[0].capacity > 0;
}
static inline int64_t sr_attention_stretches(const sr_call *c) {
    return (sr_attention_past(c) + 1 + SR_ATTENTION_STRETCH - 1) / SR_ATTENTION_STRETCH;
}
/* Floats of the result of one stretch: for every head weighted sums, maximum and sum of weights. */
static inline int64_t sr_attention_partial(const sr_call *c) {
    return c->attr.attention.heads * (sr_attention_width(c, 1) + 16);
}
/* Floats of one thread's region: keys or values of all heads, queries, scores, factors. */
static inline int64_t sr_attention_region_single(const sr_call *c) {
    const int64_t n = SR_ATTENTION_SINGLE_KEYS, H = c->attr.attention.heads;
    return n * c->attr.attention.kv_heads * sr_attention_widest(c) +
           H * (sr_attention_width(c, 0) + n) + (H + 15) / 16 * 16;
}

/* Floats of one thread's region otherwise. Forward: keys and values, then queries and outputs
 * (transposed), a score tile, running maxima and sums. Backward: keys, values and their gradients,
 * then queries and output gradients in both orders, query gradients, two score tiles, row
 * statistics. */
static inline int64_t sr_attention_region_forward(const sr_call *c) {
    const int64_t w = sr_attention_width(c, 0) + sr_attention_width(c, 1),
                  lanes = SR_ATTENTION_LANES;
    return sr_attention_padded(sr_attention_past(c) + c->length) * w + w * lanes +
           SR_ATTENTION_KEYS * lanes + 4 * lanes;
}
static inline int64_t sr_attention_region_backward(const sr_call *c) {
    const int64_t k = sr_attention_width(c, 0), v = sr_attention_width(c, 1),
                  lanes = SR_ATTENTION_LANES;
    return 2 * sr_attention_padded(c->length) * (k + v) + (3 * k + 2 * v) * lanes +
           2 * SR_ATTENTION_KEYS * lanes + 4 * lanes;
}
/* Bytes of one thread's region when products run on bf16 matrix tiles: see attention_amx.h.
 * Everything is padded to 32 there. */
static inline int64_t sr_attention_wide(const sr_call *c, int which) {
    return (sr_attention_dim(c, which) + 31) / 32 * 32;
}
static inline int64_t sr_attention_region_tiles(const sr_call *c, bool backward) {
    const int64_t k = sr_attention_wide(c, 0), v = sr_attention_wide(c, 1),
                  lanes = SR_ATTENTION_LANES, tile = SR_ATTENTION_KEYS * lanes;
    const int64_t keys = sr_attention_padded(sr_attention_past(c) + c->length);
    if (!backward) return 2 * keys * (k + v) + (2 * k + 4 * v) * lanes + 6 * tile + 8 * lanes;
    return keys * (8 * k + 6 * v) + (8 * k + 4 * v) * lanes + 14 * tile + 8 * lanes;
}
/* Linear attention: a state of padded keys by values, six blocks of a chunk's rows, two tiles of
 * scores, a factor per token. */
static inline int64_t sr_linear_region(const sr_call *c) {
    const int64_t n = SR_LINEAR_CHUNK;
    return sr_attention_width(c, 0) * sr_attention_width(c, 1) + 6 * sr_attention_widest(c) * n +
           2 * n * n + n;
}

#endif
