/* unembed_score: for every scored token its loss, as unembed_loss computes it, and the token that
 * the logits W h + bias find most likely (the first of equals).
 *
 * A token number is exact as f32: SR_MAX_VOCAB is 2^24. */
#include "op/unembed_loss.h"

SR_DECLARE(unembed_score_forward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_loss_check(ctx, "unembed_score", c));
    sr_set_out(c, c->in[0].rows, 2, SR_REAL);
    return SARTOR_OK;
}

const sr_op sr_op_unembed_score = {
    .name = "unembed_score",
    .summary = "(loss, argmax of W h + bias) of every token; (0, -1) where target < 0",
    .inputs = "h W target [bias]",
    .n_in = SR_LOSS_INPUTS,
    .parameters = 1u << SR_LOSS_W | 1u << SR_LOSS_BIAS,
    .weights = 1u << SR_LOSS_W,
    .constants = 1u << SR_LOSS_TARGET,
    .check = check,
    .flops = sr_loss_flops,
    .scratch = sr_loss_scratch,
    .prepare = sr_loss_prepare,
    .forward = SR_KERNELS(unembed_score_forward),
};
