/* What feature_map agrees on with its kernels: the layout of scratch. */
#ifndef SR_OP_FEATURE_MAP_H
#define SR_OP_FEATURE_MAP_H

#include "op/op.h"

enum { SR_MAP_TOKENS = 32, SR_MAP_LANES = 16 }; /* worked on at a time; of any vector at most */

enum { SR_MAP_X, SR_MAP_A, SR_MAP_A_BIAS, SR_MAP_B, SR_MAP_B_BIAS };

/* Channels of a head, and its features, padded to whole vectors. */
static inline int64_t sr_map_padded(int64_t n) {
    return (n + SR_MAP_LANES - 1) / SR_MAP_LANES * SR_MAP_LANES;
}
static inline int64_t sr_map_channels(const sr_call *c) {
    return sr_map_padded(c->in[SR_MAP_A].cols);
}
static inline int64_t sr_map_features(const sr_call *c) {
    return sr_map_padded(c->in[SR_MAP_A].rows);
}
/* Floats of both weights, padded; of a thread's blocks of tokens (rows, and transposed x, dx of
 * channels, a, b, dy of features); of its gradients of weights and, a vector per feature, of
 * biases. */
static inline int64_t sr_map_weights(const sr_call *c) {
    return 2 * sr_map_features(c) * sr_map_channels(c);
}
static inline int64_t sr_map_blocks(const sr_call *c) {
    return 3 * (sr_map_channels(c) + sr_map_features(c)) * SR_MAP_TOKENS;
}
static inline int64_t sr_map_region(const sr_call *c, bool backward) {
    return sr_map_blocks(c) +
           (backward ? sr_map_weights(c) + 2 * sr_map_features(c) * SR_MAP_LANES : 0);
}

#endif
