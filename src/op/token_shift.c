/* token_shift: y[t] = x[t-1], zero at the start of a sequence (Peng et al. 2023, RWKV). The state
 * is the last row of x. */
#include "op/op.h"

#include <inttypes.h>

SR_DECLARE(token_shift_forward)
SR_DECLARE(token_shift_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const sr_state *s = &c->state[0];
    if (s->capacity > 0 && (s->capacity != 1 || s->width != c->in[0].cols))
        return sr_fail(ctx, SARTOR_INVALID,
                       "token_shift: a state of %" PRId64 " x %" PRId64
                       " does not fit one row of %" PRId64,
                       s->capacity, s->width, c->in[0].cols);
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_ACT);
    return SARTOR_OK;
}

const sr_op sr_op_token_shift = {
    .name = "token_shift",
    .summary = "y[t] = x[t-1], 0 at the start",
    .inputs = "x",
    .n_in = 1,
    .n_state = 1,
    .check = check,
    .forward = SR_KERNELS(token_shift_forward),
    .backward = SR_KERNELS(token_shift_backward),
};
