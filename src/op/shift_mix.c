/* shift_mix: y = x + (past - x) * (mu + m), entry by entry: a mixture of a token and what came
 * before it, in shares of mu per channel (Peng et al. 2023, RWKV) and, optionally, m per token
 * (Peng et al. 2024, "Eagle and Finch": data-dependent token shift). */
#include "op/op.h"

SR_DECLARE(shift_mix_forward)
SR_DECLARE(shift_mix_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int64_t rows = c->in[0].rows, cols = c->in[0].cols;
    SR_TRY(sr_expect_shape(ctx, "shift_mix", "past", &c->in[1], rows, cols));
    SR_TRY(sr_expect_shape(ctx, "shift_mix", "mu", &c->in[2], 1, cols));
    if (c->in[3].cols > 0) SR_TRY(sr_expect_shape(ctx, "shift_mix", "m", &c->in[3], rows, cols));
    sr_set_out(c, rows, cols, SR_ACT);
    return SARTOR_OK;
}

/* One partial gradient of mu per thread. */
static int64_t scratch(const sr_call *c, bool backward) {
    return backward ? c->threads * (c->in[0].cols + 16) * (int64_t)sizeof(float) : 0;
}

const sr_op sr_op_shift_mix = {
    .name = "shift_mix",
    .summary = "y = x + (past - x) * (mu + m): RWKV's token shift",
    .inputs = "x past mu [m]",
    .n_in = 4,
    .parameters = 1u << 2,
    .backward_in = 0xf,
    .check = check,
    .scratch = scratch,
    .forward = SR_KERNELS(shift_mix_forward),
    .backward = SR_KERNELS(shift_mix_backward),
};
