/* log_decay: y = -exp(x + bias): the logarithm of RWKV's decay exp(-exp(w)) (Peng et al. 2024); f32
 * also in bf16 mode. */
#include "op/op.h"

SR_DECLARE(log_decay_forward)
SR_DECLARE(log_decay_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    if (c->in[0].type != sr_kind_type(SR_REAL, c->numbers))
        return sr_fail(ctx, SARTOR_INVALID, "log_decay: x is not of full precision");
    SR_TRY(sr_expect_shape(ctx, "log_decay", "bias", &c->in[1], 1, c->in[0].cols));
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_REAL);
    return SARTOR_OK;
}

/* One partial gradient of the bias per thread. */
static int64_t scratch(const sr_call *c, bool backward) {
    return backward ? c->threads * (c->in[0].cols + 16) * (int64_t)sizeof(float) : 0;
}

const sr_op sr_op_log_decay = {
    .name = "log_decay",
    .summary = "y = -exp(x + bias), the logarithm of a decay",
    .inputs = "x bias",
    .n_in = 2,
    .parameters = 1u << 1,
    .backward_out = true,
    .in_place = 1u << 0,
    .check = check,
    .scratch = scratch,
    .forward = SR_KERNELS(log_decay_forward),
    .backward = SR_KERNELS(log_decay_backward),
};
