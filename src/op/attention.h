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

/* Padded sizes: every block of scratch is whole vectors long and starts on a cache line. */
static inline int64_t sr_attention_width(const sr_call *c) {
    return (c->attr.attention.head_dim + 15) / 16 * 16;
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
    return c->attr.attention.heads * (sr_attention_width(c) + 16);
}
/* Floats of one thread's region: keys or values of all heads, queries, scores, factors. */
static inline int64_t sr_attention_region_single(const sr_call *c) {
    const int64_t w = sr_attention_width(c), n = SR_ATTENTION_SINGLE_KEYS,
                  H = c->attr.attention.heads;
    return n * c->attr.attention.kv_heads * w + H * (w + n) + (H + 15) / 16 * 16;
}

/* Floats of one thread's region otherwise. Forward: keys and values, then queries and outputs
 * (transposed), a score tile, running maxima and sums. Backward: keys, values and their gradients,
 * then queries and output gradients in both orders, query gradients, two score tiles, row
 * statistics. */
static inline int64_t sr_attention_region_forward(const sr_call *c) {
    const int64_t w = sr_attention_width(c), lanes = SR_ATTENTION_LANES;
    return 2 * sr_attention_padded(sr_attention_past(c) + c->length) * w + 2 * w * lanes +
           SR_ATTENTION_KEYS * lanes + 4 * lanes;
}
static inline int64_t sr_attention_region_backward(const sr_call *c) {
    const int64_t w = sr_attention_width(c), lanes = SR_ATTENTION_LANES;
    return 4 * sr_attention_padded(c->length) * w + 5 * w * lanes + 2 * SR_ATTENTION_KEYS * lanes +
           4 * lanes;
}
/* Bytes of one thread's region when products run on bf16 matrix tiles: see attention_amx.h.
 * Everything is padded to 32 there. */
static inline int64_t sr_attention_region_tiles(const sr_call *c, bool backward) {
    const int64_t w = (c->attr.attention.head_dim + 31) / 32 * 32, lanes = SR_ATTENTION_LANES,
                  tile = SR_ATTENTION_KEYS * lanes;
    const int64_t keys = sr_attention_padded(sr_attention_past(c) + c->length);
    int64_t bytes = 4 * keys * w + 6 * w * lanes + 6 * tile + 8 * lanes;
    if (backward) bytes += 10 * keys * w + 6 * w * lanes + 8 * tile;
    return bytes;
}
/* Linear attention: a state of the padded head dimension squared, six blocks of a chunk's rows, two
 * tiles of scores, a factor per token. */
static inline int64_t sr_linear_region(const sr_call *c) {
    const int64_t w = sr_attention_width(c), n = SR_LINEAR_CHUNK;
    return w * w + 6 * w * n + 2 * n * n + n;
}

#endif
