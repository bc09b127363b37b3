/* feature_map: y = (A x + a) * (B x + b) for each head of a row, with one pair of affine maps for
 * all heads: the learned feature map of linear attention in MAD's layer library (Poli et al. 2024).
 * A and B are [features, channels of a head]; y has heads * features columns. */
#include "op/feature_map.h"

#include <inttypes.h>

SR_DECLARE(feature_map_forward)
SR_DECLARE(feature_map_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int64_t cols = c->in[SR_MAP_X].cols, heads = c->attr.feature_map.heads;
    if (heads < 1 || cols % heads != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "feature_map: %" PRId64 " channels are not %" PRId64 " equal heads", cols,
                       heads);
    const int64_t n = cols / heads, features = c->in[SR_MAP_A].rows;
    if (features < 1) return sr_fail(ctx, SARTOR_INVALID, "feature_map: A has no rows");
    SR_TRY(sr_expect_shape(ctx, "feature_map", "A", &c->in[SR_MAP_A], features, n));
    SR_TRY(sr_expect_shape(ctx, "feature_map", "a", &c->in[SR_MAP_A_BIAS], 1, features));
    SR_TRY(sr_expect_shape(ctx, "feature_map", "B", &c->in[SR_MAP_B], features, n));
    SR_TRY(sr_expect_shape(ctx, "feature_map", "b", &c->in[SR_MAP_B_BIAS], 1, features));
    sr_set_out(c, c->in[SR_MAP_X].rows, heads * features, SR_ACT);
    return SARTOR_OK;
}

static double flops(const sr_call *c) {
    return 4.0 * (double)c->in[SR_MAP_X].rows * (double)c->in[SR_MAP_X].cols *
           (double)c->in[SR_MAP_A].rows;
}

static int64_t scratch(const sr_call *c, bool backward) {
    return (sr_map_weights(c) + c->threads * sr_map_region(c, backward)) * (int64_t)sizeof(float);
}

const sr_op sr_op_feature_map = {
    .name = "feature_map",
    .summary = "each head: y = (A x + a) * (B x + b)",
    .inputs = "x A a B b",
    .n_in = 5,
    .parameters = 1u << SR_MAP_A | 1u << SR_MAP_A_BIAS | 1u << SR_MAP_B | 1u << SR_MAP_B_BIAS,
    .backward_in = 0x1f,
    .check = check,
    .flops = flops,
    .scratch = scratch,
    .forward = SR_KERNELS(feature_map_forward),
    .backward = SR_KERNELS(feature_map_backward),
};
