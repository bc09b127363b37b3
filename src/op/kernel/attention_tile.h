/* The entrywise work of attention on one tile of scores, in registers and the first cache.
 *
 * A tile is transposed: one row per key, one lane per query. So the running maximum and sum of
 * every query are vectors, and nothing is ever reduced across lanes. Softmax runs in base 2: the
 * factor log2(e) is part of the scale of the queries. */
#ifndef SR_OP_ATTENTION_TILE_H
#define SR_OP_ATTENTION_TILE_H

#include "op/kernel/product.h"

enum { LANES = 2 * VL };

#define LOG2E  1.44269504088896341
#define LN2    0.69314718055994531
#define HIDDEN (-1e30f) /* the score of a key that is not seen */

/* 2^x for x <= 0 or so, relative error 2e-7; exactly 0 from -127 down. */
static inline vf v_exp2(vf x) {
    vf y = v_max(v_set(-127), x); /* a NaN stays */
    vf k = y + 12582912.0f;       /* rounds to the nearest integer */
    vu n = (vu)k << 23;           /* the other bits of the constant are shifted out */
    vf f = y - (k - 12582912.0f);
    vf p = f * 1.33813025e-3f + 9.66636852e-3f;
    p = p * f + 5.55038101e-2f;
    p = p * f + 2.40223490e-1f;
    p = p * f + 6.93147181e-1f;
    p = p * f + 1.0f;
    return (vf)((vu)p + n); /* unsigned: absurd scores of a diverging model may overflow */
}

/* What the queries of a tile see: key row j is visible to lane i when 0 <= first + i - j < window,
 * where `first` is the key row that query 0 sits on (beyond the tile or before it). */
typedef struct sight {
    int64_t first;
    int64_t window; /* INT32_MAX / 2 at most */
    vi lane[2];
} sight;

static inline sight sight_of(int64_t first, int64_t window) {
    sight s = {.first = first,
               .window = window > 0 && window < INT32_MAX / 2 ? window : INT32_MAX / 2};
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < VL; i++) s.lane[v][i] = (int32_t)(v * VL + i);
    return s;
}
/* Every lane sees row j. */
static inline bool sees_all(const sight *s, int64_t j) {
    return s->first >= j && s->first + LANES - 1 - j < s->window;
}
static inline vi seen(const sight *s, int64_t j, int v) {
    vu distance = (vu)(s->lane[v] + (int32_t)(s->first - j));
    return (vi)(distance < (uint32_t)s->window);
}

static inline vf map_score(sr_map_kind map, vf s) {
    if (map == SR_MAP_RELU) return v_max(s, v_set(0));
    if (map == SR_MAP_SWISH) return v_silu(s);
    return s;
}
static inline vf map_slope(sr_map_kind map, vf s) {
    if (map == SR_MAP_RELU) return v_select(s > v_set(0), v_set(1), v_set(0));
    if (map == SR_MAP_SWISH) {
        vf g = v_sigmoid(s);
        return g * (1.0f + s * (1.0f - g));
    }
    return v_set(1);
}

/* Hides what is not seen, raises the running maxima of the lanes and returns in `shrink` the factor
 * for everything summed so far. */
static inline void softmax_maxima(float *s, int64_t keys, const sight *see, float *maxima,
                                  vf shrink[2]) {
    vf most[2], other[2];
    for (int v = 0; v < 2; v++) most[v] = other[v] = v_loadf(maxima + v * VL);
    for (int64_t j = 0; j < keys; j++)
        if (!sees_all(see, j))
            for (int v = 0; v < 2; v++) {
                float *p = s + j * LANES + v * VL;
                v_storef(p, v_select(seen(see, j, v), v_loadf(p), v_set(HIDDEN)));
            }
    int64_t j = 0;
    for (; j + 2 <= keys; j += 2)
        for (int v = 0; v < 2; v++) {
            most[v] = v_max(most[v], v_loadf(s + j * LANES + v * VL));
            other[v] = v_max(other[v], v_loadf(s + (j + 1) * LANES + v * VL));
        }
    for (; j < keys; j++)
        for (int v = 0; v < 2; v++) most[v] = v_max(most[v], v_loadf(s + j * LANES + v * VL));
    for (int v = 0; v < 2; v++) {
        most[v] = v_max(most[v], other[v]);
        shrink[v] = v_exp2(v_loadf(maxima + v * VL) - most[v]);
        v_storef(maxima + v * VL, most[v]);
    }
}

/* Weights of a row of scores: p = map(s), or 0 where not seen. */
static inline void map_tile(float *s, int64_t keys, const sight *see, sr_map_kind map) {
    for (int64_t j = 0; j < keys; j++) {
        const bool all = sees_all(see, j);
        for (int v = 0; v < 2; v++) {
            float *p = s + j * LANES + v * VL;
            vf w = map_score(map, v_loadf(p));
            v_storef(p, all ? w : (vf)((vi)w & seen(see, j, v)));
        }
    }
}

/* Weights and gradients of scores, for backward, from scores s and the products g of output
 * gradient and value. Per lane: softmax has the log-sum-exp and dout . out, the maps have
 * 1 / (position + 1). */
SR_INLINE void gradient_lanes(sr_map_kind map, vf s, vf g, vf statistic, vf total, vf *weight,
                              vf *gradient) {
    if (map == SR_MAP_SOFTMAX) {
        *weight = v_exp2(s - statistic);
        *gradient = *weight * (g - total);
    } else {
        *weight = map_score(map, s) * statistic;
        *gradient = map_slope(map, s) * g * statistic;
    }
}

#endif
