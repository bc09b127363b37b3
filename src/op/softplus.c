/* softplus: y = factor exp(log_scale) ln(1 + exp(sign (x + bias))), channel by channel: the gates
 * and time steps of recurrences. A time step: sign 1, factor 1. Mamba-2's log decay: factor -1,
 * with A_log for the scale. The log of sigmoid(x)^(1/16), GLA's decay: sign -1, factor -1/16.
 * Always f32.
 */
#include "op/op.h"

SR_DECLARE(softplus_forward)
SR_DECLARE(softplus_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    if (c->attr.softplus.sign != 1 && c->attr.softplus.sign != -1)
        return sr_fail(ctx, SARTOR_INVALID, "softplus: sign %g is not 1 or -1",
                       c->attr.softplus.sign);
    for (int i = 1; i < 3; i++)
        if (c->in[i].cols > 0)
            SR_TRY(sr_expect_shape(ctx, "softplus", i == 1 ? "bias" : "log_scale", &c->in[i], 1,
                                   c->in[0].cols));
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_REAL);
    return SARTOR_OK;
}

/* Gradients of bias and log_scale, one of each per thread. */
static int64_t scratch(const sr_call *c, bool backward) {
    const int64_t width = (c->in[0].cols + 15) / 16 * 16;
    return backward ? 2 * c->threads * width * (int64_t)sizeof(float) : 0;
}

const sr_op sr_op_softplus = {
    .name = "softplus",
    .summary = "y = factor exp(log_scale) ln(1 + exp(sign (x + bias)))",
    .inputs = "x [bias] [log_scale]",
    .n_in = 3,
    .parameters = 1u << 1 | 1u << 2,
    .backward_in = 1u << 0 | 1u << 1 | 1u << 2,
    .check = check,
    .scratch = scratch,
    .forward = SR_KERNELS(softplus_forward),
    .backward = SR_KERNELS(softplus_backward),
};
