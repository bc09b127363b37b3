/* rmsnorm: y = x * gain / sqrt(sum(x^2) / divisor + epsilon), row by row (Zhang & Sennrich 2019);
 * the divisor is the number of columns unless another is stored. Columns of zeros behind a row then
 * leave its other outputs as they were, bit by bit.
 *
 * The operator to copy when writing a new one: this file declares it, truth/rmsnorm.c says what it
 * computes, kernel/rmsnorm.c computes it fast, tests/op_cases.c lists the shapes it is tested on.
 */
#include "op/op.h"

SR_DECLARE(rmsnorm_forward)
SR_DECLARE(rmsnorm_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    if (c->attr.norm.divisor < 0)
        return sr_fail(ctx, SARTOR_INVALID, "rmsnorm: the divisor %lld is negative",
                       (long long)c->attr.norm.divisor);
    SR_TRY(sr_expect_shape(ctx, "rmsnorm", "gain", &c->in[1], 1, c->in[0].cols));
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_ACT);
    return SARTOR_OK;
}

static int64_t saved(const sr_call *c) { return c->in[0].rows; } /* 1 / root mean square */

/* One partial gain gradient per thread. */
static int64_t scratch(const sr_call *c, bool backward) {
    return backward ? c->threads * (c->in[0].cols + 16) * (int64_t)sizeof(float) : 0;
}

const sr_op sr_op_rmsnorm = {
    .name = "rmsnorm",
    .summary = "y = x * gain / sqrt(sum(x^2) / divisor + epsilon)",
    .inputs = "x gain",
    .n_in = 2,
    .parameters = 1u << 1,
    .backward_in = 1u << 0 | 1u << 1,
    .check = check,
    .saved = saved,
    .scratch = scratch,
    .forward = SR_KERNELS(rmsnorm_forward),
    .backward = SR_KERNELS(rmsnorm_backward),
};
