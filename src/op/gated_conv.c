/* gated_conv: y[t] = C[t] * sum over k of w[k] p[t - (taps-1) + k], p = B * v, per channel: the
 * gated short convolution of GConv-1 and LFM2, in one pass. The state is a ring of the last taps -
 * 1 rows of p. */
#include "op/taps.h"

SR_DECLARE(gated_conv_forward)
SR_DECLARE(gated_conv_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    int taps = c->attr.conv.taps;
    int64_t rows = c->in[0].rows, d = c->in[0].cols;
    if (taps < 1 || taps > SR_MAX_TAPS)
        return sr_fail(ctx, SARTOR_INVALID, "gated_conv: %d taps, expected 1 to %d", taps,
                       SR_MAX_TAPS);
    SR_TRY(sr_expect_shape(ctx, "gated_conv", "C", &c->in[1], rows, d));
    SR_TRY(sr_expect_shape(ctx, "gated_conv", "v", &c->in[2], rows, d));
    SR_TRY(sr_expect_shape(ctx, "gated_conv", "weight", &c->in[3], d, taps));
    sr_set_out(c, rows, d, SR_ACT);
    return SARTOR_OK;
}

static double flops(const sr_call *c) {
    return 2.0 * (double)c->in[0].rows * (double)c->in[0].cols * c->attr.conv.taps;
}

const sr_op sr_op_gated_conv = {
    .name = "gated_conv",
    .summary = "y = C * (causal depthwise convolution of B * v)",
    .inputs = "B C v weight",
    .n_in = 4,
    .n_state = 1,
    .parameters = 1u << 3,
    .backward_in = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3,
    .check = check,
    .flops = flops,
    .scratch = sr_taps_scratch,
    .forward = SR_KERNELS(gated_conv_forward),
    .backward = SR_KERNELS(gated_conv_backward),
};
