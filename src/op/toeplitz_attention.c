/* toeplitz_attention: y_i = scale * sum over j <= i of h[i - j][g] (q_i . k_j) v_j in each head g,
 * the multi-head Hyena operator (Massaroli et al. 2023, arXiv 2310.18780, section 4; Poli et al.
 * 2024): the convolution of every entry of the outer product k_j v_j^T with one filter per head,
 * read by q_i. Written as attention with Toeplitz weights it needs head_dim + value_dim channels,
 * not their product. q and k are [rows, heads * head_dim], v and y [rows, heads * value_dim].
 *
 * h is an activation [lags, heads], computed by other operators; it may be shorter or longer than
 * the call, and is zero from its end on. The rings state[0] (keys) and state[1] (values) are read,
 * then written. */
#include "op/toeplitz_attention.h"
#include "op/attention.h"

#include <inttypes.h>

SR_DECLARE(toeplitz_attention_forward)
SR_DECLARE(toeplitz_attention_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const char *name = "toeplitz_attention";
    const int H = c->attr.attention.heads;
    if (H < 1 || c->attr.attention.kv_heads != H)
        return sr_fail(ctx, SARTOR_INVALID, "%s: %d query heads need as many for keys, not %d",
                       name, H, c->attr.attention.kv_heads);
    int64_t width[2]; /* of keys, of values */
    for (int i = 0; i < 2; i++) {
        const int dim = sr_toeplitz_dim(c, i);
        if (dim < 1 || dim > SR_MAX_HEAD_DIM)
            return sr_fail(ctx, SARTOR_INVALID, "%s: %s dimension %d is not in 1..%d", name,
                           i == 0 ? "head" : "value", dim, SR_MAX_HEAD_DIM);
        width[i] = (int64_t)H * dim;
    }
    SR_TRY(sr_expect_shape(ctx, name, "q", &c->in[0], c->in[0].rows, width[0]));
    SR_TRY(sr_expect_shape(ctx, name, "k", &c->in[1], c->in[0].rows, width[0]));
    SR_TRY(sr_expect_shape(ctx, name, "v", &c->in[2], c->in[0].rows, width[1]));
    if (c->in[3].rows < 1) return sr_fail(ctx, SARTOR_INVALID, "%s: the filter has no rows", name);
    SR_TRY(sr_expect_shape(ctx, name, "filter", &c->in[3], c->in[3].rows, H));
    for (int s = 0; s < 2; s++)
        if (c->state[s].capacity > 0 && c->state[s].width != width[s])
            return sr_fail(ctx, SARTOR_INVALID, "%s: state is %" PRId64 " wide, expected %" PRId64,
                           name, c->state[s].width, width[s]);
    sr_set_out(c, c->in[0].rows, width[1], SR_ACT);
    return SARTOR_OK;
}

static double flops(const sr_call *c) {
    double pairs = 0;
    for (int64_t t = sr_toeplitz_past(c); t < sr_toeplitz_past(c) + c->length; t++)
        pairs += (double)(t + 1 < c->in[3].rows ? t + 1 : c->in[3].rows);
    return 2 * pairs * (double)c->batch * (double)(c->in[0].cols + c->in[2].cols);
}

static int64_t scratch(const sr_call *c, bool backward) {
    return (c->attr.attention.heads * sr_toeplitz_span(c) +
            c->threads * sr_toeplitz_region(c, backward)) *
           (int64_t)sizeof(float);
}

const sr_op sr_op_toeplitz_attention = {
    .name = "toeplitz_attention",
    .summary = "y_i = scale * sum over j <= i of h[i - j] (q_i . k_j) v_j, per head",
    .inputs = "q k v h",
    .n_in = 4,
    .n_state = 2,
    .backward_in = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3,
    .check = check,
    .flops = flops,
    .scratch = scratch,
    .forward = SR_KERNELS(toeplitz_attention_forward),
    .backward = SR_KERNELS(toeplitz_attention_backward),
};
