/* decay: y[s][c] = x[s][c] * exp(-s/(P-1) |rate_c|) for s < band, 0 from there on: the window of an
 * implicit filter (Poli et al. 2023, section 3.3). P = period; P = 1 leaves x as it is; band 0 is
 * no band. `skip` is added to row 0: what a convolution with y then passes on of the present. Row s
 * is lag s; f32 also in bf16 mode. */
#include "op/op.h"

#include <inttypes.h>

SR_DECLARE(decay_forward)
SR_DECLARE(decay_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    if (c->attr.filter.period < 1 || c->attr.filter.band < 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "decay: period %" PRId64 " must be at least 1, band %" PRId64 " at least 0",
                       c->attr.filter.period, c->attr.filter.band);
    SR_TRY(sr_expect_shape(ctx, "decay", "rate", &c->in[1], 1, c->in[0].cols));
    if (c->in[2].cols > 0)
        SR_TRY(sr_expect_shape(ctx, "decay", "skip", &c->in[2], 1, c->in[0].cols));
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_REAL);
    return SARTOR_OK;
}

const sr_op sr_op_decay = {
    .name = "decay",
    .summary = "y[s] = x[s] * exp(-s/(P-1) |rate|), 0 for s >= band; + skip for s = 0",
    .inputs = "x rate [skip]",
    .n_in = 3,
    .parameters = 1u << 1 | 1u << 2,
    .constants = 1u << 1,
    .backward_in = 1u << 1,
    .in_place = 1u << 0,
    .gradient_in_place = 1u << 0,
    .check = check,
    .forward = SR_KERNELS(decay_forward),
    .backward = SR_KERNELS(decay_backward),
};
