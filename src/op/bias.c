/* bias: y = x + bias, bias [1, cols]. The result has the kind of x, so that it serves the residual
 * stream too. Backward reads neither: unlike `activate` without a map it keeps nothing, and x and
 * its gradient pass through in place. */
#include "op/op.h"

SR_DECLARE(bias_forward)
SR_DECLARE(bias_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_expect_shape(ctx, "bias", "bias", &c->in[1], 1, c->in[0].cols));
    const bool narrow = c->in[0].type == sr_kind_type(SR_ACT, c->numbers);
    sr_set_out(c, c->in[0].rows, c->in[0].cols, narrow ? SR_ACT : SR_REAL);
    return SARTOR_OK;
}

/* One partial gradient of the bias per thread. */
static int64_t scratch(const sr_call *c, bool backward) {
    return backward ? c->threads * (c->in[0].cols + 16) * (int64_t)sizeof(float) : 0;
}

const sr_op sr_op_bias = {
    .name = "bias",
    .summary = "y = x + bias",
    .inputs = "x bias",
    .n_in = 2,
    .parameters = 1u << 1,
    .in_place = 1u << 0,
    .gradient_is = 1u << 0,
    .check = check,
    .scratch = scratch,
    .forward = SR_KERNELS(bias_forward),
    .backward = SR_KERNELS(bias_backward),
};
