/* embed: row id of a table for every token: the embedding, in the residual stream's type. */
#include "op/op.h"

SR_DECLARE(embed_forward)
SR_DECLARE(embed_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_expect_shape(ctx, "embed", "ids", &c->in[0], c->in[0].rows, 1));
    sr_set_out(c, c->in[0].rows, c->in[1].cols, SR_REAL);
    return SARTOR_OK;
}

/* Ids must lie in [0, table rows): whoever reads data checks them. */
const sr_op sr_op_embed = {
    .name = "embed",
    .summary = "y = table[id]",
    .inputs = "ids table",
    .n_in = 2,
    .parameters = 1u << 1,
    .constants = 1u << 0,
    .backward_in = 1u << 0,
    .check = check,
    .forward = SR_KERNELS(embed_forward),
    .backward = SR_KERNELS(embed_backward),
};
