/* conv: y[t] = f(sum over k of w[k] x[t - (taps-1) + k] + bias), per channel: a short depthwise
 * causal convolution, f = identity or SiLU. There may be a multiple of x's channels: channel j of
 * the result then reads channel j modulo the columns of x. The state is a ring of the last taps - 1
 * rows of x. */
#include "op/taps.h"

#include <inttypes.h>

SR_DECLARE(conv_forward)
SR_DECLARE(conv_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    int taps = c->attr.conv.taps;
    if (taps < 1 || taps > SR_MAX_TAPS)
        return sr_fail(ctx, SARTOR_INVALID, "conv: %d taps, expected 1 to %d", taps, SR_MAX_TAPS);
    const int64_t d = c->in[0].cols, rows = c->in[1].rows, channels = rows < d ? d : rows / d * d;
    SR_TRY(sr_expect_shape(ctx, "conv", "weight", &c->in[1], channels, taps));
    if (c->in[2].cols > 0) SR_TRY(sr_expect_shape(ctx, "conv", "bias", &c->in[2], 1, channels));
    if (c->state[0].capacity > 0 && c->state[0].width != d)
        return sr_fail(ctx, SARTOR_INVALID, "conv: state is %" PRId64 " wide, expected %" PRId64,
                       c->state[0].width, d);
    sr_set_out(c, c->in[0].rows, channels, SR_ACT);
    return SARTOR_OK;
}

static double flops(const sr_call *c) {
    return 2.0 * (double)c->in[0].rows * (double)c->in[1].rows * c->attr.conv.taps;
}

const sr_op sr_op_conv = {
    .name = "conv",
    .summary = "y = f(causal depthwise convolution of x + bias), f = identity or SiLU",
    .inputs = "x weight [bias]",
    .n_in = 3,
    .n_state = 1,
    .parameters = 1u << 1 | 1u << 2,
    .backward_in = 1u << 0 | 1u << 1 | 1u << 2,
    .check = check,
    .flops = flops,
    .scratch = sr_taps_scratch,
    .forward = SR_KERNELS(conv_forward),
    .backward = SR_KERNELS(conv_backward),
};
