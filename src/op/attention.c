/* attention: causal softmax attention with grouped heads and an optional window, and its entrywise
 * relatives (weights map(score) / (position + 1)) without a softmax. Keys and values may differ in
 * their channels: q [rows, heads * head_dim], k [rows, kv_heads * head_dim],
 * v [rows, kv_heads * value_dim], out [rows, heads * value_dim].
 *
 * Past tokens come from the rings state[0] (keys) and state[1] (values), which are only read here:
 * cache_write puts this call's keys and values into them afterwards. No buffer is longer than
 * linear in the length: scores live in one tile, and backward recomputes them from the saved
 * log-sum-exp of every row and head (Dao et al. 2022). */
#include "op/attention.h"
#include <inttypes.h>

SR_DECLARE(attention_forward)
SR_DECLARE(attention_backward)

sartor_status sr_attention_check(sartor_context *ctx, const char *op, sr_call *c) {
    const int64_t H = c->attr.attention.heads, KV = c->attr.attention.kv_heads;
    const int64_t rows = c->in[0].rows;
    if (H < 1 || KV < 1 || H % KV != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%s: %" PRId64 " query heads are no multiple of %" PRId64 " key-value heads",
                       op, H, KV);
    const int dims[2] = {sr_attention_dim(c, 0), sr_attention_dim(c, 1)};
    for (int i = 0; i < 2; i++)
        if (dims[i] < 1 || dims[i] > SR_MAX_HEAD_DIM)
            return sr_fail(ctx, SARTOR_INVALID, "%s: %s dimension %d is not in 1..%d", op,
                           i == 0 ? "head" : "value", dims[i], SR_MAX_HEAD_DIM);
    if (c->attr.attention.window < 0)
        return sr_fail(ctx, SARTOR_INVALID, "%s: the window %" PRId64 " is negative", op,
                       c->attr.attention.window);
    SR_TRY(sr_expect_shape(ctx, op, "q", &c->in[0], rows, H * dims[0]));
    SR_TRY(sr_expect_shape(ctx, op, "k", &c->in[1], rows, KV * dims[0]));
    SR_TRY(sr_expect_shape(ctx, op, "v", &c->in[2], rows, KV * dims[1]));
    sr_set_out(c, rows, H * dims[1], SR_ACT);
    return SARTOR_OK;
}

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_attention_check(ctx, "attention", c));
    if (c->attr.attention.map < SR_MAP_NONE || c->attr.attention.map > SR_MAP_SWISH)
        return sr_fail(ctx, SARTOR_INVALID, "attention: there is no map %d",
                       (int)c->attr.attention.map);
    for (int s = 0; s < 2; s++)
        if (c->state[s].capacity > 0 && c->state[s].width != c->in[1 + s].cols)
            return sr_fail(ctx, SARTOR_INVALID,
                           "attention: a cache of %" PRId64 " x %" PRId64
                           " does not fit %s of width %" PRId64,
                           c->state[s].capacity, c->state[s].width, s == 0 ? "keys" : "values",
                           c->in[1 + s].cols);
    return SARTOR_OK;
}

/* Every query sees its window of what is before it, as far as the cache reaches. */
static double flops(const sr_call *c) {
    const int64_t W = c->attr.attention.window;
    int64_t past = sr_attention_past(c);
    double pairs = 0;
    for (int64_t t = 0; t < c->length; t++) {
        int64_t seen = past + t + 1;
        pairs += (double)(W > 0 && W < seen ? W : seen);
    }
    return 2.0 * pairs * (double)c->batch * c->attr.attention.heads *
           (c->attr.attention.head_dim + c->attr.attention.value_dim);
}

static int64_t saved(const sr_call *c) {
    return c->attr.attention.map == SR_MAP_SOFTMAX ? c->in[0].rows * c->attr.attention.heads : 0;
}

/* With bf16 activations either of two kernels may run. */
static int64_t scratch(const sr_call *c, bool backward) {
    const int64_t F = (int64_t)sizeof(float);
    if (!backward && sr_attention_single(c))
        return F * (c->threads * sr_attention_region_single(c) +
                    c->batch * sr_attention_stretches(c) * sr_attention_partial(c));
    int64_t bytes =
        F * (backward ? sr_attention_region_backward(c) : sr_attention_region_forward(c));
    if (c->numbers == SR_FAST_BF16 && sr_attention_region_tiles(c, backward) > bytes)
        bytes = sr_attention_region_tiles(c, backward);
    return c->threads * bytes;
}

const sr_op sr_op_attention = {
    .name = "attention",
    .summary = "causal attention: softmax(scale q k^T) v, or map(scale q k^T) v / (position + 1)",
    .inputs = "q k v",
    .n_in = 3,
    .n_state = 2,
    .backward_in = 1u << 0 | 1u << 1 | 1u << 2,
    .backward_out = true,
    .check = check,
    .flops = flops,
    .saved = saved,
    .scratch = scratch,
    .forward = SR_KERNELS(attention_forward),
    .backward = SR_KERNELS(attention_backward),
};
