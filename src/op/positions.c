/* positions: one row for every position of a sequence: y[b, t] = x[b] + (sin(t f), cos(t f)), all
 * sines first (Vaswani et al. 2017, section 3.5, with the halves side by side).
 *
 * MAD's compression task decodes a whole sequence from one vector this way (Poli et al. 2024). */
#include "op/op.h"

SR_DECLARE(positions_forward)
SR_DECLARE(positions_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int64_t d = c->in[0].cols;
    SR_TRY(sr_expect_shape(ctx, "positions", "x", &c->in[0], c->batch, d));
    SR_TRY(sr_expect_shape(ctx, "positions", "freq", &c->in[1], 1, d / 2));
    if (d % 2 != 0) return sr_fail(ctx, SARTOR_INVALID, "positions: odd width");
    sr_set_out(c, c->batch * c->length, d, SR_REAL);
    return SARTOR_OK;
}

/* The table of all positions, which every sequence reads. */
static int64_t scratch(const sr_call *c, bool backward) {
    return backward ? 0 : c->length * c->in[0].cols * (int64_t)sizeof(float);
}

const sr_op sr_op_positions = {
    .name = "positions",
    .summary = "y[b, t] = x[b] + (sin(t f), cos(t f)): one row for every position",
    .inputs = "x freq",
    .n_in = 2,
    .parameters = 1u << 1,
    .constants = 1u << 1,
    .check = check,
    .scratch = scratch,
    .forward = SR_KERNELS(positions_forward),
    .backward = SR_KERNELS(positions_backward),
};
