/* The recurrences of gated_linear on a tile of the state that stays in registers for a whole
 * segment: no products of decays are ever formed, so nothing can overflow, and a token costs three
 * operations per vector of the state (decay, update, read), hardly more than the two products of a
 * chunked form need.
 *
 * A tile has `rows` rows of VL lanes. Operands with a row's index are broadcast, operands with
 * lanes are vectors; both are [token][stride] blocks of f32. `before`: the state is read before the
 * token's own update. */
#ifndef SR_OP_GATED_LINEAR_TILE_H
#define SR_OP_GATED_LINEAR_TILE_H

#include "op/kernel/lanes.h"

enum { TILE = VL == 16 ? 16 : 8, LEAST_TILE = 8 };

typedef struct tile {
    int64_t n;            /* tokens */
    const float *a;       /* decays */
    const float *in, *to; /* what the state takes in, what reads it */
    const float *lane;    /* the other factor of what it takes in */
    float *out, *out2;
    int64_t row_stride, lane_stride; /* of operands with rows and with lanes */
    float *m, *states;               /* the tile, rows m_stride apart; its past, [token][row][VL] */
    int64_t m_stride;
    bool add; /* to out */
} tile;

SR_INLINE void tile_load(const tile *p, const int rows, vf *m) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) m[r] = v_loadf(p->m + r * p->m_stride);
}
SR_INLINE void tile_store(const tile *p, const int rows, const vf *m) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) v_storef(p->m + r * p->m_stride, m[r]);
}

/* out = q S: rows are keys (a, in = k, to = q), lanes values (lane = v). */
SR_INLINE void tile_forward(const tile *p, const int rows, const bool decays, const bool before) {
    vf m[TILE];
    tile_load(p, rows, m);
    for (int64_t t = 0; t < p->n; t++) {
        const float *a = p->a + t * p->row_stride, *k = p->in + t * p->row_stride,
                    *q = p->to + t * p->row_stride;
        float *out = p->out + t * p->lane_stride;
        const vf v = v_loadf(p->lane + t * p->lane_stride);
        vf sum[2] = {p->add ? v_loadf(out) : v_set(0), v_set(0)};
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            if (before) sum[r & 1] += q[r] * m[r];
            if (decays) m[r] *= a[r];
            m[r] += k[r] * v;
            if (!before) sum[r & 1] += q[r] * m[r];
        }
        v_storef(out, sum[0] + sum[1]);
    }
    tile_store(p, rows, m);
}

/* dq += S dout, and the states before every token: rows are values (in = v, to = dout), lanes keys
 * (a, lane = k). */
SR_INLINE void tile_queries(const tile *p, const int rows, const bool decays, const bool before) {
    vf m[TILE];
    tile_load(p, rows, m);
    for (int64_t t = 0; t < p->n; t++) {
        const float *v = p->in + t * p->row_stride, *g = p->to + t * p->row_stride;
        float *out = p->out + t * p->lane_stride, *past = p->states + t * rows * VL;
        const vf k = v_loadf(p->lane + t * p->lane_stride),
                 a = decays ? v_loadf(p->a + t * p->lane_stride) : v_set(1);
        vf sum[2] = {v_loadf(out), v_set(0)};
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            if (decays) v_storef(past + r * VL, m[r]);
            if (before) sum[r & 1] += g[r] * m[r];
            if (decays) m[r] *= a;
            m[r] += v[r] * k;
            if (!before) sum[r & 1] += g[r] * m[r];
        }
        v_storef(out, sum[0] + sum[1]);
    }
}

/* With R the gradient of the state: dk += R v (out) and da += a (R . S before) (out2); rows are
 * values (in = dout, to = v), lanes keys (a, lane = q). */
SR_INLINE void tile_keys(const tile *p, const int rows, const bool decays, const bool before) {
    vf m[TILE];
    tile_load(p, rows, m);
    for (int64_t t = p->n - 1; t >= 0; t--) {
        const float *g = p->in + t * p->row_stride, *v = p->to + t * p->row_stride,
                    *past = p->states + t * rows * VL;
        float *out = p->out + t * p->lane_stride, *out2 = p->out2 + t * p->lane_stride;
        const vf q = v_loadf(p->lane + t * p->lane_stride),
                 a = decays ? v_loadf(p->a + t * p->lane_stride) : v_set(1);
        vf sum[2] = {v_loadf(out), v_set(0)}, product[2] = {v_set(0), v_set(0)};
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            if (!before) m[r] += g[r] * q;
            sum[r & 1] += v[r] * m[r];
            if (decays) product[r & 1] += m[r] * v_loadf(past + r * VL);
            if (decays) m[r] *= a;
            if (before) m[r] += g[r] * q;
        }
        v_storef(out, sum[0] + sum[1]);
        if (decays) v_storef(out2, v_loadf(out2) + a * (product[0] + product[1]));
    }
    tile_store(p, rows, m);
}

/* dv = k R: rows are keys (a, in = q, to = k), lanes values (lane = dout). */
SR_INLINE void tile_values(const tile *p, const int rows, const bool decays, const bool before) {
    vf m[TILE];
    tile_load(p, rows, m);
    for (int64_t t = p->n - 1; t >= 0; t--) {
        const float *a = p->a + t * p->row_stride, *q = p->in + t * p->row_stride,
                    *k = p->to + t * p->row_stride;
        float *out = p->out + t * p->lane_stride;
        const vf g = v_loadf(p->lane + t * p->lane_stride);
        vf sum[2] = {p->add ? v_loadf(out) : v_set(0), v_set(0)};
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            if (!before) m[r] += q[r] * g;
            sum[r & 1] += k[r] * m[r];
            if (decays) m[r] *= a[r];
            if (before) m[r] += q[r] * g;
        }
        v_storef(out, sum[0] + sum[1]);
    }
    tile_store(p, rows, m);
}

/* Each of them for every kind of recurrence, known to the compiler. A state that is read before its
 * update always decays. */
#define SR_TILE_KINDS(f)                                                                           \
    static                                                                                         \
        __attribute__((noinline)) void f##_of(const tile *p, int rows, bool decays, bool before) { \
        if (rows == LEAST_TILE) {                                                                  \
            if (before)                                                                            \
                f(p, LEAST_TILE, true, true);                                                      \
            else if (decays)                                                                       \
                f(p, LEAST_TILE, true, false);                                                     \
            else                                                                                   \
                f(p, LEAST_TILE, false, false);                                                    \
        } else if (before) {                                                                       \
            f(p, TILE, true, true);                                                                \
        } else if (decays) {                                                                       \
            f(p, TILE, true, false);                                                               \
        } else {                                                                                   \
            f(p, TILE, false, false);                                                              \
        }                                                                                          \
    }
SR_TILE_KINDS(tile_forward)
SR_TILE_KINDS(tile_queries)
SR_TILE_KINDS(tile_keys)
SR_TILE_KINDS(tile_values)

/* Rows of the tile that begins `left` rows before the last. */
static inline int tile_rows(int64_t left) { return left > LEAST_TILE ? TILE : LEAST_TILE; }

#endif
