/* What feature_map agrees on with its kernels: the layout of scratch. */
#ifndef SR_OP_FEATURE_MAP_H
#define SR_OP_FEATURE_MAP_H

#include "op/op.h"

enum { SR_MAP_TOKENS = 32, SR_MAP_LANES = 16 }; /* worked on at a time; of any vector at most */

enum { SR_MAP_X, SR_MAP_A, SR_MAP_A_BIAS, SR_MAP_B, SR_MAP_B_BIAS };

/* Channels of a head, padded to whole vectors. */
static inline int64_t sr_map_width(const sr_call *c) {
    return (c->in[SR_MAP_A].cols + SR_MAP_LANES - 1) / SR_MAP_LANES * SR_MAP_LANES;
}
/* Floats of both weights, padded; of a thread's blocks of tokens (rows, and transposed x, a, b, dy,
 * dx); of its gradients of weights and, a vector per channel, of biases. */
static inline int64_t sr_map_weights(const sr_call *c) {
    return 2 * sr_map_width(c) * sr_map_width(c);
}
static inline int64_t sr_map_region(const sr_call *c, bool backward) {
    const int64_t w = sr_map_width(c);
    return backward ? 6 * w * SR_MAP_TOKENS + sr_map_weights(c) + 2 * w * SR_MAP_LANES
                    : 6 * w * SR_MAP_TOKENS;
}

#endif
