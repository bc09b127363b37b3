/* delta_rule: linear attention that overwrites what a key held before, with a forget gate (gated
 * delta rule: Yang, Kautz & Hatamizadeh 2024, arXiv 2412.06464). Per head, with q' = q
 * / sqrt(|q|^2 + epsilon), k' likewise, beta = sigmoid(b), alpha = exp(-exp(A_log) softplus(dt +
 * dt_bias)):
 *
 *     S[t] = alpha (I - beta k' k'^T) S[t-1] + beta k' v^T,    out = S[t]^T q'
 *
 * The state is S, always f32: row i of a sequence's piece holds S[i][:] of every head in turn. */
#include "op/delta_rule.h"

#include <inttypes.h>

SR_DECLARE(delta_rule_forward)
SR_DECLARE(delta_rule_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int64_t H = c->attr.delta.heads, K = c->attr.delta.key_dim, V = c->attr.delta.value_dim,
                  rows = c->in[0].rows;
    const sr_state *s = &c->state[0];
    if (H < 1 || K < 1 || V < 1 || K > SR_DELTA_HEAD || V > SR_DELTA_HEAD)
        return sr_fail(ctx, SARTOR_INVALID,
                       "delta_rule: %" PRId64 " heads of %" PRId64 " key and %" PRId64
                       " value channels are not 1 or more of 1 to %d",
                       H, K, V, SR_DELTA_HEAD);
    SR_TRY(sr_expect_shape(ctx, "delta_rule", "q", &c->in[SR_DELTA_Q], rows, H * K));
    SR_TRY(sr_expect_shape(ctx, "delta_rule", "k", &c->in[SR_DELTA_K], rows, H * K));
    SR_TRY(sr_expect_shape(ctx, "delta_rule", "v", &c->in[SR_DELTA_V], rows, H * V));
    SR_TRY(sr_expect_shape(ctx, "delta_rule", "dt", &c->in[SR_DELTA_DT], rows, H));
    SR_TRY(sr_expect_shape(ctx, "delta_rule", "b", &c->in[SR_DELTA_BETA], rows, H));
    SR_TRY(sr_expect_shape(ctx, "delta_rule", "A_log", &c->in[SR_DELTA_A], 1, H));
    SR_TRY(sr_expect_shape(ctx, "delta_rule", "dt_bias", &c->in[SR_DELTA_BIAS], 1, H));
    if (s->capacity > 0 && (s->capacity != K || s->width != H * V))
        return sr_fail(ctx, SARTOR_INVALID,
                       "delta_rule: a state of %" PRId64 " x %" PRId64 " does not fit %" PRId64
                       " heads of %" PRId64 " x %" PRId64,
                       s->capacity, s->width, H, K, V);
    sr_set_out(c, rows, H * V, SR_ACT);
    return SARTOR_OK;
}

/* In a chunk two triangles of key products, a triangular system and a triangle times values;
 * between chunks the state is read by keys and queries and updated by keys. */
static double flops(const sr_call *c) {
    const double K = c->attr.delta.key_dim, V = c->attr.delta.value_dim,
                 inside = c->length < SR_DELTA_CHUNK ? (double)c->length : SR_DELTA_CHUNK;
    return (double)sr_rows(c) * c->attr.delta.heads * (2 * (inside + 1) * (K + V) + 6 * K * V);
}

static int64_t saved(const sr_call *c) {
    return c->batch * c->attr.delta.heads * sr_delta_saves(c) * sr_delta_keys(c) *
           sr_delta_values(c);
}

/* Kernels: a region per thread, and backward the gradients of A_log and dt_bias by sequence.
 * Truths: the states of one chunk and that before it, and the gradient of one. */
static int64_t scratch(const sr_call *c, bool backward) {
    const int64_t state = (int64_t)c->attr.delta.key_dim * c->attr.delta.value_dim;
    if (c->numbers == SR_TRUTH_F32 || c->numbers == SR_TRUTH_F64)
        return (backward ? SR_DELTA_CHUNK + 2 : 1) * state * (int64_t)sizeof(double);
    const int64_t partial = backward ? 2 * c->batch * c->attr.delta.heads : 0;
    return (c->threads * sr_delta_region(c, backward) + partial) * (int64_t)sizeof(float);
}

const sr_op sr_op_delta_rule = {
    .name = "delta_rule",
    .summary = "S = alpha (I - beta k k^T) S + beta k v^T, out = S^T q: gated delta rule (Yang et "
               "al. 2024)",
    .inputs = "q k v dt b A_log dt_bias",
    .n_in = 7,
    .n_state = 1,
    .parameters = 1u << SR_DELTA_A | 1u << SR_DELTA_BIAS,
    .backward_in = 0x7f,
    .check = check,
    .flops = flops,
    .saved = saved,
    .scratch = scratch,
    .forward = SR_KERNELS(delta_rule_forward),
    .backward = SR_KERNELS(delta_rule_backward),
};
