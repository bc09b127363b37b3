/* mix: y[j] = sum over experts e of w[e] z[j * experts + e]: the weighted sum of what the experts
 * of a mixture say. Channels are the slow index of z, experts the fast one, as mad-lab (Poli et al.
 * 2024) views them; w comes from `route` and is f32 also in bf16 mode. */
#include "op/route.h"

#include <inttypes.h>

SR_DECLARE(mix_forward)
SR_DECLARE(mix_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int64_t experts = c->in[1].cols;
    if (experts < 1 || c->in[0].cols % experts != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "mix: %" PRId64 " columns are no whole number for each of %" PRId64
                       " experts",
                       c->in[0].cols, experts);
    SR_TRY(sr_expect_shape(ctx, "mix", "w", &c->in[1], c->in[0].rows, experts));
    sr_set_out(c, c->in[0].rows, c->in[0].cols / experts, SR_ACT);
    return SARTOR_OK;
}

const sr_op sr_op_mix = {
    .name = "mix",
    .summary = "y[j] = sum over experts of w[e] z[j, e]",
    .inputs = "z w",
    .n_in = 2,
    .backward_in = 1u << 0 | 1u << 1,
    .check = check,
    .forward = SR_KERNELS(mix_forward),
    .backward = SR_KERNELS(mix_backward),
};
