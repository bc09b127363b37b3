/* linear_attention: attention without a map on the scores, in time linear in the length.
 *
 * out_i = scale / (position_i + 1) * sum over j <= i of (q_i . k_j) v_j. The state of a sequence
 * is, for every key-value head, S = sum of k^T v: row a of state[0] holds S[a][:] of every head in
 * turn: head_dim rows of kv_heads * value_dim. It is read and updated (Katharopoulos et al. 2020;
 * chunked form: Yang et al. 2024). */
#include "op/attention.h"
#include <inttypes.h>

SR_DECLARE(linear_attention_forward)
SR_DECLARE(linear_attention_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_attention_check(ctx, "linear_attention", c));
    const sr_state *s = &c->state[0];
    if (c->attr.attention.window != 0 || c->attr.attention.map != SR_MAP_NONE)
        return sr_fail(ctx, SARTOR_INVALID, "linear_attention: takes neither a window nor a map");
    if (s->capacity > 0 && (s->capacity != c->attr.attention.head_dim || s->width != c->in[2].cols))
        return sr_fail(ctx, SARTOR_INVALID,
                       "linear_attention: a state of %" PRId64 " x %" PRId64
                       " does not fit heads of %d keys and values of width %" PRId64,
                       s->capacity, s->width, c->attr.attention.head_dim, c->in[2].cols);
    return SARTOR_OK;
}

/* Inside a chunk as attention; between chunks the state is read by every query and updated by every
 * key. */
static double flops(const sr_call *c) {
    const double kd = c->attr.attention.head_dim, vd = c->attr.attention.value_dim,
                 n = (double)sr_rows(c),
                 inside = c->length < SR_LINEAR_CHUNK ? (double)c->length : SR_LINEAR_CHUNK;
    return n * (c->attr.attention.heads * ((kd + vd) * (inside + 1) + 2 * kd * vd) +
                c->attr.attention.kv_heads * 2 * kd * vd);
}

static int64_t scratch(const sr_call *c, bool backward) {
    (void)backward;
    return c->threads * sr_linear_region(c) * (int64_t)sizeof(float);
}

const sr_op sr_op_linear_attention = {
    .name = "linear_attention",
    .summary = "out_i = scale / (position_i + 1) * sum over j <= i of (q_i . k_j) v_j",
    .inputs = "q k v",
    .n_in = 3,
    .n_state = 1,
    .backward_in = 1u << 0 | 1u << 1 | 1u << 2,
    .check = check,
    .flops = flops,
    .scratch = scratch,
    .forward = SR_KERNELS(linear_attention_forward),
    .backward = SR_KERNELS(linear_attention_backward),
};
