/* The entrywise maps of op/attr.h. */
#ifndef SR_OP_TRUTH_MAP_H
#define SR_OP_TRUTH_MAP_H

#include "op/truth/truth.h"

/* f(x), and f'(x) in *slope. */
static inline real map(sr_map_kind kind, real x, real *slope) {
    const double pi = 3.14159265358979323846;
    const real s = sigmoid(x);
    real f, inner;
    switch (kind) {
    case SR_MAP_RELU:
        *slope = x > 0;
        return x > 0 ? x : 0;
    case SR_MAP_SWISH:
        *slope = s + x * s * (1 - s);
        return x * s;
    case SR_MAP_GELU_TANH:
        inner = (real)(sqrt(2 / pi) * (double)x * (1 + 0.044715 * (double)(x * x)));
        f = (real)tanh((double)inner);
        *slope = (1 + f) / 2 +
                 x / 2 * (1 - f * f) * (real)(sqrt(2 / pi) * (1 + 0.134145 * (double)(x * x)));
        return x / 2 * (1 + f);
    case SR_MAP_RELU2:
        *slope = x > 0 ? 2 * x : 0;
        return x > 0 ? x * x : 0;
    case SR_MAP_GELU:
        f = (real)(0.5 * erfc((double)-x / sqrt(2)));
        *slope = f + x * (real)(exp(-(double)(x * x) / 2) / sqrt(2 * pi));
        return x * f;
    case SR_MAP_SIGMOID:
        *slope = s * (1 - s);
        return s;
    case SR_MAP_TANH:
        f = (real)tanh((double)x);
        *slope = 1 - f * f;
        return f;
    case SR_MAP_MINUS_EXP:
        return *slope = -(real)exp((double)x);
    default:
        *slope = 1;
        return x;
    }
}

#endif
