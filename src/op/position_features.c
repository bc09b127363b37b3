/* position_features: what an implicit filter knows about a lag (Poli et al. 2023, section 3.3).
 *
 * Row s is t, cos(k w) for k = 1..K, -sin(k w) for k = 1..K, with t = s / (P - 1) (0 when P is 1),
 * w = 2 pi s / P, P = period and 1 + 2 K = features. A constant: no inputs, no gradient. */
#include "op/op.h"

#include <inttypes.h>

SR_DECLARE(position_features_forward)

enum { MOST_FEATURES = 257 };

static sartor_status check(sartor_context *ctx, sr_call *c) {
    int features = c->attr.filter.features;
    if (features < 3 || features > MOST_FEATURES || features % 2 == 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "position_features: %d features, expected an odd number in 3..%d", features,
                       MOST_FEATURES);
    if (c->attr.filter.period < 1 || c->attr.filter.length < 1)
        return sr_fail(ctx, SARTOR_INVALID,
                       "position_features: length %" PRId64 " and period %" PRId64
                       " must be at least 1",
                       c->attr.filter.length, c->attr.filter.period);
    sr_set_out(c, c->attr.filter.length, features, SR_REAL);
    return SARTOR_OK;
}

const sr_op sr_op_position_features = {
    .name = "position_features",
    .summary = "rows (s/(P-1), cos(k w), -sin(k w)), w = 2 pi s/P, of an implicit filter",
    .inputs = "",
    .check = check,
    .forward = SR_KERNELS(position_features_forward),
};
