/* cache_write: puts the rows of x into the ring of past tokens (row of position p: p % capacity).
 *
 * Only the last `capacity` tokens of a call matter. It runs after the operators of the same call
 * that read the ring. */
#include "op/op.h"
#include <inttypes.h>

SR_DECLARE(cache_write_forward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const sr_state *s = &c->state[0];
    if (s->capacity > 0 && s->width != c->in[0].cols)
        return sr_fail(ctx, SARTOR_INVALID,
                       "cache_write: a cache of width %" PRId64 " cannot hold %" PRId64 " columns",
                       s->width, c->in[0].cols);
    return SARTOR_OK;
}

const sr_op sr_op_cache_write = {
    .name = "cache_write",
    .summary = "row p % capacity of the cache = x at position p",
    .inputs = "x",
    .n_in = 1,
    .n_state = 1,
    .no_output = true,
    .check = check,
    .forward = SR_KERNELS(cache_write_forward),
};
