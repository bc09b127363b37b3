/* rope: rotary position embedding of every head (Su et al. 2021), adjacent pairs. The table of
 * frequencies says how many: where it has fewer than head_dim / 2, the channels behind the last
 * pair are not rotated. */
#include "op/op.h"

SR_DECLARE(rope_forward)
SR_DECLARE(rope_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int hd = c->attr.rope.head_dim;
    const int64_t pairs = c->in[1].cols;
    if (hd < 2) return sr_fail(ctx, SARTOR_INVALID, "rope: a head of %d channels has no pair", hd);
    if (c->in[0].cols % hd != 0)
        return sr_fail(ctx, SARTOR_INVALID, "rope: %lld columns are no whole number of heads of %d",
                       (long long)c->in[0].cols, hd);
    if (pairs < 1 || pairs > hd / 2)
        return sr_fail(ctx, SARTOR_INVALID, "rope: %lld frequencies, expected 1 to %d",
                       (long long)pairs, hd / 2);
    SR_TRY(sr_expect_shape(ctx, "rope", "freq", &c->in[1], 1, pairs));
    sr_set_out(c, c->in[0].rows, c->in[0].cols, SR_ACT);
    return SARTOR_OK;
}

/* Cosines and signed sines of every position of the call, for every channel that is rotated. */
static int64_t scratch(const sr_call *c, bool backward) {
    (void)backward;
    return c->length * c->in[1].cols * 4 * (int64_t)sizeof(float);
}

const sr_op sr_op_rope = {
    .name = "rope",
    .summary = "adjacent pairs of every head rotated by position * freq",
    .inputs = "x freq",
    .n_in = 2,
    .constants = 1u << 1,
    .backward_in = 1u << 1,
    .in_place = 1u << 0,
    .gradient_in_place = 1u << 0,
    .check = check,
    .scratch = scratch,
    .forward = SR_KERNELS(rope_forward),
    .backward = SR_KERNELS(rope_backward),
};
