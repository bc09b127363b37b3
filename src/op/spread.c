/* spread: y[e * n + j] = w[e] h[j]: the hidden channels of a mixture of experts once for every
 * expert, weighted by `route`. A matrix [out, experts * n] behind it is all experts at once:
 * W (w x h) = sum over e of w[e] W_e h. w is f32 also in bf16 mode. */
#include "op/route.h"

#include <inttypes.h>

SR_DECLARE(spread_forward)
SR_DECLARE(spread_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    if (c->in[1].cols < 1 || c->in[1].cols > SR_ROUTE_EXPERTS)
        return sr_fail(ctx, SARTOR_INVALID, "spread: %" PRId64 " experts, expected 1 to %d",
                       c->in[1].cols, SR_ROUTE_EXPERTS);
    SR_TRY(sr_expect_shape(ctx, "spread", "w", &c->in[1], c->in[0].rows, c->in[1].cols));
    sr_set_out(c, c->in[0].rows, c->in[0].cols * c->in[1].cols, SR_ACT);
    return SARTOR_OK;
}

const sr_op sr_op_spread = {
    .name = "spread",
    .summary = "y[e, j] = w[e] h[j], for every expert e",
    .inputs = "h w",
    .n_in = 2,
    .backward_in = 1u << 0 | 1u << 1,
    .check = check,
    .forward = SR_KERNELS(spread_forward),
    .backward = SR_KERNELS(spread_backward),
};
