/* gate: y = f(a) * b, entry by entry, f an entrywise map (gated linear units, Shazeer 2020). */
#include "op/op.h"

SR_DECLARE(gate_forward)
SR_DECLARE(gate_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_expect_shape(ctx, "gate", "b", &c->in[1], c->in[0].rows, c->in[0].cols));
    if (!sr_map_is_entrywise(c->attr.gate.map))
        return sr_fail(ctx, SARTOR_INVALID, "gate: nonlinearity %d is not an entrywise map",
                       (int)c->attr.gate.map);
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_ACT);
    return SARTOR_OK;
}

const sr_op sr_op_gate = {
    .name = "gate",
    .summary = "y = f(a) * b, f = none, relu, swish, gelu ...",
    .inputs = "a b",
    .n_in = 2,
    .backward_in = 1u << 0 | 1u << 1,
    .in_place = 1u << 0 | 1u << 1,
    .check = check,
    .forward = SR_KERNELS(gate_forward),
    .backward = SR_KERNELS(gate_backward),
};
