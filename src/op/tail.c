/* tail: the last token of every sequence: [batch * length, d] -> [batch, d].
 *
 * Prefill needs logits for the next token only; MAD's compression reads a whole sequence off its
 * last token. */
#include "op/op.h"

SR_DECLARE(tail_forward)
SR_DECLARE(tail_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_expect_shape(ctx, "tail", "x", &c->in[0], sr_rows(c), c->in[0].cols));
    c->out = (sr_view){NULL, c->batch, c->in[0].cols, c->in[0].cols, c->in[0].type};
    return SARTOR_OK;
}

const sr_op sr_op_tail = {
    .name = "tail",
    .summary = "the last token of every sequence",
    .inputs = "x",
    .n_in = 1,
    .check = check,
    .forward = SR_KERNELS(tail_forward),
    .backward = SR_KERNELS(tail_backward),
};
