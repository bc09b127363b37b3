/* activate: y = f(x + bias), entry by entry, f an entrywise map; bias, [1, cols], is optional. The
 * result has the kind of x, so that it serves biases of the residual stream too. */
#include "op/op.h"

SR_DECLARE(activate_forward)
SR_DECLARE(activate_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    if (!sr_map_is_entrywise(c->attr.activate.map))
        return sr_fail(ctx, SARTOR_INVALID, "activate: nonlinearity %d is not an entrywise map",
                       (int)c->attr.activate.map);
    if (c->in[1].cols > 0)
        SR_TRY(sr_expect_shape(ctx, "activate", "bias", &c->in[1], 1, c->in[0].cols));
    const bool narrow = c->in[0].type == sr_kind_type(SR_ACT, c->numbers);
    sr_set_out(c, c->in[0].rows, c->in[0].cols, narrow ? SR_ACT : SR_REAL);
    return SARTOR_OK;
}

/* One partial gradient of the bias per thread. */
static int64_t scratch(const sr_call *c, bool backward) {
    if (!backward || c->in[1].cols == 0) return 0;
    return c->threads * (c->in[0].cols + 16) * (int64_t)sizeof(float);
}

const sr_op sr_op_activate = {
    .name = "activate",
    .summary = "y = f(x + bias), f = none, relu, swish, gelu ...",
    .inputs = "x [bias]",
    .n_in = 2,
    .parameters = 1u << 1,
    .backward_in = 1u << 0 | 1u << 1,
    .in_place = 1u << 0,
    .gradient_in_place = 1u << 0,
    .check = check,
    .scratch = scratch,
    .forward = SR_KERNELS(activate_forward),
    .backward = SR_KERNELS(activate_backward),
};
