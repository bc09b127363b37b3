/* head_norm: the channels of every head normalised by themselves, y = (x - mean) * gain /
 * sqrt(sum((x - mean)^2) / divisor + epsilon) + bias: group normalisation (Wu & He 2018), or
 * RMSNorm where attr.head_norm.centre is false and mean stands for 0. Gain and bias have one entry
 * per channel, or per channel of a head, shared by the heads. The divisor is the number of channels
 * of a head unless another is stored; the mean is always that of the channels there are. Without
 * it, channels of zeros behind those of every head leave the other outputs as they were, bit by
 * bit. */
#include "op/head_norm.h"

#include <inttypes.h>

SR_DECLARE(head_norm_forward)
SR_DECLARE(head_norm_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int64_t heads = c->attr.head_norm.heads, cols = c->in[0].cols;
    if (heads < 1 || cols % heads != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "head_norm: %" PRId64 " channels are no multiple of %" PRId64 " heads", cols,
                       heads);
    if (c->attr.head_norm.divisor < 0)
        return sr_fail(ctx, SARTOR_INVALID, "head_norm: the divisor %" PRId64 " is negative",
                       c->attr.head_norm.divisor);
    if (c->in[1].cols != cols)
        SR_TRY(sr_expect_shape(ctx, "head_norm", "gain", &c->in[1], 1, cols / heads));
    SR_TRY(sr_expect_shape(ctx, "head_norm", "gain", &c->in[1], 1, c->in[1].cols));
    if (c->in[2].cols > 0)
        SR_TRY(sr_expect_shape(ctx, "head_norm", "bias", &c->in[2], 1, c->in[1].cols));
    sr_set_out(c, c->in[0].rows, cols, SR_ACT);
    return SARTOR_OK;
}

static int64_t saved(const sr_call *c) {
    return c->in[0].rows * c->attr.head_norm.heads * SR_HEAD_NORM_SAVES;
}

/* Partial gradients of gain and bias per thread. */
static int64_t scratch(const sr_call *c, bool backward) {
    return backward ? c->threads * 2 * c->in[1].cols * (int64_t)sizeof(float) : 0;
}

const sr_op sr_op_head_norm = {
    .name = "head_norm",
    .summary =
        "y = (x - mean) gain / sqrt(sum((x - mean)^2) / divisor + epsilon) + bias, head by head",
    .inputs = "x gain [bias]",
    .n_in = 3,
    .parameters = 1u << 1 | 1u << 2,
    .backward_in = 1u << 0 | 1u << 1,
    .check = check,
    .saved = saved,
    .scratch = scratch,
    .forward = SR_KERNELS(head_norm_forward),
    .backward = SR_KERNELS(head_norm_backward),
};
