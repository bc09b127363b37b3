/* The entrywise maps of op/attr.h on vectors; `kind` is known to the compiler wherever they are
 * used. NaN stays NaN. */
#ifndef SR_OP_KERNEL_MAP_H
#define SR_OP_KERNEL_MAP_H

#include "op/kernel/lanes.h"

/* The normal distribution function Phi(x), and e^(-x^2/2) in *bell: Phi(-|x|) is the bell times a
 * polynomial in 1 / (1 + 0.26 |x|), fitted to relative errors below 3e-8. */
SR_INLINE vf normal_distribution(vf x, vf *bell) {
    vf magnitude = (vf)((vi)x & 0x7fffffff);
    vf t = v_recip(1.0f + 0.26f * magnitude);
    vf p = v_set(0.030505205f);
    p = p * t - 0.152830303f;
    p = p * t + 0.251494199f;
    p = p * t - 0.150952116f;
    p = p * t + 0.160949901f;
    p = p * t + 0.051026862f;
    p = p * t + 0.103030451f;
    p = p * t + 0.103016727f;
    p = p * t + 0.103759058f;
    *bell = v_exp(-0.5f * x * x);
    p = p * t * *bell;
    return v_select(x < (vf){0}, p, 1.0f - p);
}

/* (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 as a sigmoid, and the slope of the sigmoid's
 * argument. Beyond 10 both are what they are there. */
SR_INLINE vf gelu_tanh_factor(vf x, vf *slope) {
    vf z = v_min(v_set(10), v_max(v_set(-10), x)), square = z * z;
    *slope = 1.59576912f + 0.214064449f * square;
    return v_sigmoid(z * (1.59576912f + 0.0713548163f * square));
}

/* tanh with relative error below 3e-7: a polynomial below 1/2. */
SR_INLINE vf hyperbolic_tangent(vf x) {
    vf magnitude = (vf)((vi)x & 0x7fffffff), square = x * x;
    vf p = v_set(0.01725714f);
    p = p * square - 0.05305304f;
    p = p * square + 0.13325989f;
    p = p * square - 0.33333149f;
    p = x + x * square * p;
    vf e = v_exp(-2.0f * magnitude);
    vf far = (1.0f - e) * v_recip(1.0f + e);
    far = (vf)((vi)far | ((vi)x & INT32_MIN));
    return v_select(magnitude < v_set(0.5f), p, far);
}

/* f'(x), and f(x) in *value. */
SR_INLINE vf map_slope(sr_map_kind kind, vf x, vf *value) {
    const vf zero = {0};
    vf s, more;
    switch (kind) {
    case SR_MAP_RELU:
        *value = v_max(zero, x);
        return v_select(x > zero, v_set(1), zero);
    case SR_MAP_SWISH:
        s = v_sigmoid(x);
        *value = x * s;
        return v_silu_slope(x, s);
    case SR_MAP_GELU_TANH:
        s = gelu_tanh_factor(x, &more);
        *value = x * s;
        return s + x * s * (1.0f - s) * more;
    case SR_MAP_RELU2:
        s = v_max(zero, x);
        *value = s * s;
        return 2.0f * s;
    case SR_MAP_GELU:
        s = normal_distribution(x, &more);
        *value = x * s;
        return s + 0.398942280f * x * more;
    case SR_MAP_SIGMOID:
        *value = s = v_sigmoid(x);
        return s * (1.0f - s);
    case SR_MAP_TANH:
        *value = s = hyperbolic_tangent(x);
        return 1.0f - s * s;
    case SR_MAP_MINUS_EXP:
        return *value = -v_exp(x);
    default:
        *value = x;
        return v_set(1);
    }
}

/* f(x); the slope's arithmetic is dead code here. */
SR_INLINE vf map_value(sr_map_kind kind, vf x) {
    vf value;
    map_slope(kind, x, &value);
    return value;
}

/* Calls DO(map) with the entrywise map of that number as a constant. */
#define SR_FOR_MAP(map, DO)                                                                        \
    switch (map) {                                                                                 \
    case SR_MAP_RELU:                                                                              \
        DO(SR_MAP_RELU);                                                                           \
        break;                                                                                     \
    case SR_MAP_SWISH:                                                                             \
        DO(SR_MAP_SWISH);                                                                          \
        break;                                                                                     \
    case SR_MAP_GELU_TANH:                                                                         \
        DO(SR_MAP_GELU_TANH);                                                                      \
        break;                                                                                     \
    case SR_MAP_RELU2:                                                                             \
        DO(SR_MAP_RELU2);                                                                          \
        break;                                                                                     \
    case SR_MAP_GELU:                                                                              \
        DO(SR_MAP_GELU);                                                                           \
        break;                                                                                     \
    case SR_MAP_SIGMOID:                                                                           \
        DO(SR_MAP_SIGMOID);                                                                        \
        break;                                                                                     \
    case SR_MAP_TANH:                                                                              \
        DO(SR_MAP_TANH);                                                                           \
        break;                                                                                     \
    case SR_MAP_MINUS_EXP:                                                                         \
        DO(SR_MAP_MINUS_EXP);                                                                      \
        break;                                                                                     \
    default:                                                                                       \
        DO(SR_MAP_NONE);                                                                           \
        break;                                                                                     \
    }

#endif
