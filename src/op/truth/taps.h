/* What the truths of conv and gated_conv share: the ring of past inputs. */
#ifndef SR_OP_TRUTH_TAPS_H
#define SR_OP_TRUTH_TAPS_H

#include "op/truth/truth.h"

/* The ring's element j for one position of one sequence. */
static inline int64_t ring_index(const sr_call *c, int64_t sequence, int64_t position, int64_t j) {
    const sr_state *s = &c->state[0];
    return (sequence * s->capacity + position % s->capacity) * s->width + j;
}
static inline real half_get(uint16_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double x = exponent == 31  ? (fraction ? (double)NAN : HUGE_VAL)
               : exponent == 0 ? ldexp(fraction, -24)
                               : ldexp(fraction + 1024, exponent - 25);
    return (real)(h >> 15 ? -x : x);
}
/* Round to nearest, ties to even. */
static inline uint16_t half_set(real value) {
    double x = fabs((double)value);
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    if (isnan(x)) return sign | 0x7e00;
    if (x >= 65520) return sign | 0x7c00;
    int e = x < 0x1p-14 ? -14 : ilogb(x);
    /* In units of the last place; the implicit bit carries into the exponent. */
    int units = (int)nearbyint(ldexp(x, 10 - e));
    return (uint16_t)(sign | (units + (e + 14) * 1024));
}

static inline real ring_get(const sr_call *c, int64_t sequence, int64_t position, int64_t j) {
    int64_t i = ring_index(c, sequence, position, j);
    switch (c->state[0].type) {
    case SR_F16:
        return half_get(((const uint16_t *)c->state[0].data)[i]);
    case SR_F64:
        return (real)((const double *)c->state[0].data)[i];
    default:
        return (real)((const float *)c->state[0].data)[i];
    }
}
static inline void ring_set(const sr_call *c, int64_t sequence, int64_t position, int64_t j,
                            real x) {
    int64_t i = ring_index(c, sequence, position, j);
    switch (c->state[0].type) {
    case SR_F16:
        ((uint16_t *)c->state[0].data)[i] = half_set(x);
        break;
    case SR_F64:
        ((double *)c->state[0].data)[i] = (double)x;
        break;
    default:
        ((float *)c->state[0].data)[i] = (float)x;
        break;
    }
}

#endif
