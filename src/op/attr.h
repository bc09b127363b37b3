/* What an operator needs to know besides its inputs: one small struct per operator. Constants that
 * are computed from a size (softmax scale, norm epsilon) are stored here, never recomputed. */
#ifndef SR_OP_ATTR_H
#define SR_OP_ATTR_H

#include <stdbool.h>
#include <stdint.h>

/* Entrywise maps. The first six are the nonlinearity field of an operator code: 1 to 4 STAR's. */
typedef enum sr_map_kind {
    SR_MAP_NONE = 1,
    SR_MAP_SOFTMAX = 2, /* of attention; not entrywise */
    SR_MAP_RELU = 3,
    SR_MAP_SWISH = 4,     /* x sigmoid(x) */
    SR_MAP_GELU_TANH = 5, /* x / 2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    SR_MAP_RELU2 = 6,     /* max(x, 0)^2 */
    SR_MAP_GELU = 7,      /* x / 2 (1 + erf(x / sqrt(2))) */
    SR_MAP_SIGMOID = 8,
    SR_MAP_TANH = 9,
    SR_MAP_MINUS_EXP = 10 /* -e^x: the logarithm of RWKV's decay */
} sr_map_kind;

static inline bool sr_map_is_entrywise(sr_map_kind map) {
    return map >= SR_MAP_NONE && map <= SR_MAP_MINUS_EXP && map != SR_MAP_SOFTMAX;
}
/* What a norm divides its sum of squares by: stored, so that channels that are zero may be added to
 * a norm without changing what it does. */
static inline int64_t sr_norm_divisor(int64_t stored, int64_t channels) {
    return stored > 0 ? stored : channels;
}
/* What a state decays by: nothing, one factor per head, one per key channel. */
typedef enum sr_decay { SR_DECAY_NONE, SR_DECAY_HEAD, SR_DECAY_KEY } sr_decay;

typedef union sr_attr {
    struct {
        double epsilon;
        int64_t divisor; /* of the sum of squares; 0: the number of columns */
    } norm;
    struct {
        int sign;  /* +1 or -1: y = residual + sign * x W^T */
        bool real; /* output is SR_REAL though there is no residual */
    } linear;
    struct {
        int head_dim;
    } rope;
    struct {
        int heads, kv_heads;
        int head_dim, value_dim; /* channels of q and k, of v and out, per head */
        int64_t window;          /* positions seen, the present one included; 0: all */
        sr_map_kind map;
        double scale; /* of q.k */
    } attention;
    struct {
        int taps;
        bool silu; /* SiLU on the result */
    } conv;
    struct {
        sr_map_kind map; /* of the first factor */
    } gate;
    struct {
        sr_map_kind map;
    } activate;
    struct {
        int experts, active;
        bool top; /* those that are not active have no weight; false: that of a score of 0 */
    } route;
    struct {
        int states; /* N, per channel */
    } scan;
    struct {
        int features;   /* of a position */
        int64_t period; /* length that positions are scaled to */
        int64_t length; /* rows of the filter: lags */
        int64_t band;   /* lags from here on are 0; 0: none */
    } filter;
    struct {
        int heads, key_heads; /* heads of v and out; of q and k, each read by heads / key_heads */
        int key_dim, value_dim;
        sr_decay decay;
        double scale;   /* of q */
        double epsilon; /* out / (q . sum of k + epsilon); 0: not normalised */
    } gated_linear;
    struct {
        int heads;
        bool centre; /* subtract the mean: LayerNorm, else RMSNorm */
        double epsilon;
        int64_t divisor; /* of the sum of squares; 0: the number of channels of a head */
    } head_norm;
    struct {
        int heads;
    } feature_map;
    struct {
        double sign, factor; /* y = factor softplus(sign x) */
    } softplus;
    struct {
        int heads, key_dim, value_dim;
        double epsilon; /* added to the squared lengths of q and k */
    } delta;
} sr_attr;

#endif
