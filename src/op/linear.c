/* linear: y = x W^T, or y = residual + sign * x W^T. W is [out, in].
 *
 * The output is SR_ACT; with a residual, or with attr.linear.real, it is SR_REAL. Where x is
 * SR_REAL the whole product is f32 in every mode; elsewhere bf16 mode reads W as bf16. */
#include "op/linear.h"

SR_DECLARE(linear_forward)
SR_DECLARE(linear_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const sr_view *x = &c->in[0], *w = &c->in[1], *residual = &c->in[2];
    SR_TRY(sr_expect_shape(ctx, "linear", "W", w, w->rows, x->cols));
    if (residual->cols > 0)
        SR_TRY(sr_expect_shape(ctx, "linear", "residual", residual, x->rows, w->rows));
    bool real =
        residual->cols > 0 || c->attr.linear.real || x->type != sr_kind_type(SR_ACT, c->numbers);
    sr_set_out(c, x->rows, w->rows, real ? SR_REAL : SR_ACT);
    return SARTOR_OK;
}

static double flops(const sr_call *c) {
    return 2.0 * (double)c->in[0].rows * (double)c->in[0].cols * (double)c->in[1].rows;
}

static bool fast(const sr_call *c) {
    return c->numbers == SR_FAST_F32 || c->numbers == SR_FAST_BF16;
}

/* The rounded output gradient, then the scratchpad of the larger product. */
static int64_t scratch(const sr_call *c, bool backward) {
    if (!fast(c) || (!backward && sr_linear_few(c))) return 0;
    if (!backward) {
        sr_matmul y = sr_linear_y(c);
        return sr_matmul_scratch(&y, c->threads);
    }
    int64_t most = 0;
    for (int add = 0; add < 2; add++) {
        sr_matmul dx = sr_linear_dx(c, c->din[0].view.stride, add);
        sr_matmul dw = sr_linear_dw(c, c->din[1].view.stride, add);
        int64_t a = sr_matmul_scratch(&dx, c->threads), b = sr_matmul_scratch(&dw, c->threads);
        most = a > most ? a : most;
        most = b > most ? b : most;
    }
    return sr_linear_rounded_bytes(c) + most;
}

static sartor_status prepare(sartor_context *ctx, const sr_call *c, bool backward) {
    if (!fast(c) || (!backward && sr_linear_few(c))) return SARTOR_OK;
    if (!backward) {
        sr_matmul y = sr_linear_y(c);
        return sr_matmul_prepare(ctx, &y, c->threads);
    }
    for (int add = 0; add < 2; add++) {
        sr_matmul dx = sr_linear_dx(c, c->din[0].view.stride, add);
        sr_matmul dw = sr_linear_dw(c, c->din[1].view.stride, add);
        SR_TRY(sr_matmul_prepare(ctx, &dx, c->threads));
        SR_TRY(sr_matmul_prepare(ctx, &dw, c->threads));
    }
    return SARTOR_OK;
}

const sr_op sr_op_linear = {
    .name = "linear",
    .summary = "y = (residual +) sign * x W^T",
    .inputs = "x W [residual]",
    .n_in = 3,
    .parameters = 1u << 1,
    .weights = 1u << 1,
    .backward_in = 1u << 0 | 1u << 1,
    .in_place = 1u << 2,
    .gradient_is = 1u << 2,
    .check = check,
    .flops = flops,
    .scratch = scratch,
    .prepare = prepare,
    .forward = SR_KERNELS(linear_forward),
    .backward = SR_KERNELS(linear_backward),
};
