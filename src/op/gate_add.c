/* gate_add: y = residual + f(a) * b, entry by entry, f an entrywise map: the end of a unit that is
 * gated behind its output projection. The residual is SR_REAL, and so is y. */
#include "op/op.h"

SR_DECLARE(gate_add_forward)
SR_DECLARE(gate_add_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_expect_shape(ctx, "gate_add", "b", &c->in[1], c->in[0].rows, c->in[0].cols));
    SR_TRY(sr_expect_shape(ctx, "gate_add", "residual", &c->in[2], c->in[0].rows, c->in[0].cols));
    if (!sr_map_is_entrywise(c->attr.gate.map))
        return sr_fail(ctx, SARTOR_INVALID, "gate_add: nonlinearity %d is not an entrywise map",
                       (int)c->attr.gate.map);
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_REAL);
    return SARTOR_OK;
}

const sr_op sr_op_gate_add = {
    .name = "gate_add",
    .summary = "y = residual + f(a) * b, f = none, relu, swish, gelu ...",
    .inputs = "a b residual",
    .n_in = 3,
    .backward_in = 1u << 0 | 1u << 1,
    .in_place = 1u << 2,
    .gradient_is = 1u << 2,
    .check = check,
    .forward = SR_KERNELS(gate_add_forward),
    .backward = SR_KERNELS(gate_add_backward),
};
