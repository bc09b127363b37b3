/* sine: y = sin(freq * (x + bias)), the activation of implicit filters (Sitzmann et al. 2020; Poli
 * et al. 2023, appendix D). Columns are units; f32 also in bf16 mode. */
#include "op/op.h"

SR_DECLARE(sine_forward)
SR_DECLARE(sine_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_expect_shape(ctx, "sine", "bias", &c->in[1], 1, c->in[0].cols));
    SR_TRY(sr_expect_shape(ctx, "sine", "freq", &c->in[2], 1, c->in[0].cols));
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_REAL);
    return SARTOR_OK;
}

/* Per thread: one partial gradient of the bias and one of the frequency. */
static int64_t scratch(const sr_call *c, bool backward) {
    return backward ? c->threads * 2 * (c->in[0].cols + 16) * (int64_t)sizeof(float) : 0;
}

const sr_op sr_op_sine = {
    .name = "sine",
    .summary = "y = sin(freq * (x + bias))",
    .inputs = "x bias freq",
    .n_in = 3,
    .parameters = 1u << 1 | 1u << 2,
    .backward_in = 1u << 0 | 1u << 1 | 1u << 2,
    .check = check,
    .scratch = scratch,
    .forward = SR_KERNELS(sine_forward),
    .backward = SR_KERNELS(sine_backward),
};
