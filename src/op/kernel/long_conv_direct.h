/* long_conv by direct sums: for few lags, and for few tokens with a long past. */
#ifndef SR_OP_KERNEL_LONG_CONV_DIRECT_H
#define SR_OP_KERNEL_LONG_CONV_DIRECT_H

#include "op/kernel/long_conv_rows.h"

enum { TILE = VL == 16 ? 8 : 6 }; /* accumulators, and as many rows of x, fit the registers */

/* sum[r] += coef[u] * x[r - u] for u < count; rows of x from -count - TILE are readable. */
static inline void tile(vf sum[TILE], const vf *coef, int64_t count, const vf *x) {
    vf w[TILE]; /* x[i] is in w[i mod TILE] */
#pragma GCC unroll 8
    for (int r = 0; r < TILE; r++) w[r] = x[r];
    int64_t u = 0;
    for (; u + TILE <= count; u += TILE) {
#pragma GCC unroll 8
        for (int k = 0; k < TILE; k++) {
            const vf h = coef[u + k];
#pragma GCC unroll 8
            for (int r = 0; r < TILE; r++) sum[r] += h * w[(r + TILE - k) % TILE];
            w[TILE - 1 - k] = x[-u - k - 1];
        }
    }
    for (; u < count; u++)
        for (int r = 0; r < TILE; r++) sum[r] += coef[u] * x[r - u];
}

/* `count` adjacent groups. The lags are taken in steps that the caches hold, all groups at each
 * step, so that filter and state are read in long runs. */
static void direct_forward(const item *first, int count, const sr_long_conv_plan *plan, vf *own,
                           bool new_filter) {
    const sr_call *c = first->c;
    const int64_t n = c->length, step = least(plan->lags, SR_LONG_CONV_LAGS);
    vf *h = own, *y = h + step, *packed = y + count * n;
    clear(y, 1, 0, count * n);
    for (int64_t lag = 0; lag < plan->lags; lag += step) {
        const int64_t lags = least(step, plan->lags - lag), from = -lag - lags - PAD;
        if (count > 1) fetch_rows(first, count, -lag - lags, -lag, lag, lag + lags);
        for (int k = 0; k < count; k++) {
            const item m = nth_group(first, k);
            if (new_filter || count > 1)
                packf(h, 1, real_row(&c->in[1], 0) + m.column, c->in[1].stride, lag, lag + lags,
                      m.lanes);
            pack_p(&m, packed, 1, from, n - lag + PAD, 1);
            for (int64_t t = 0; t < n; t += TILE) {
                vf sum[TILE] = {{0}};
                tile(sum, h, most(0, least(lags, m.past + t + TILE - lag)),
                     packed - from - lag + t);
                for (int r = 0; r < TILE && t + r < n; r++) y[k * n + t + r] += sum[r];
            }
        }
    }
    for (int k = 0; k < count; k++) {
        const item m = nth_group(first, k);
        act *out = act_row(&c->out, m.b * n) + m.column;
        for (int64_t t = 0; t < n; t++) store(out + t * c->out.stride, y[k * n + t], m.lanes);
    }
}

/* With g = dy backwards in time: dp backwards = g convolved with h, and dh backwards, which ends at
 * row length - 1, = g convolved with p. */
static void direct_backward(const item *m, const sr_long_conv_plan *plan, vf *p, vf *g, const vf *h,
                            vf *dh) {
    const sr_call *c = m->c;
    const int64_t n = c->length;
    p += PAD;
    g += PAD;
    clear(g - PAD, 1, 0, PAD);
    pack(g, 1, act_row(&c->dout, m->b * n + n - 1) + m->column, -c->dout.stride, 0, n, 1, m->lanes);
    clear(g + n, 1, 0, PAD);
    if (h != NULL)
        for (int64_t t = 0; t < n; t += TILE) {
            vf sum[TILE] = {{0}};
            tile(sum, h, least(plan->lags, t + TILE), g + t);
            for (int r = 0; r < TILE && t + r < n; r++)
                put(&c->din[0], m->b * n + n - 1 - t - r, m->column, sum[r], m->lanes);
        }
    if (dh == NULL) return;
    pack_p(m, p - PAD, 1, -PAD, n + PAD, 1);
    for (int64_t s = 0; s < plan->lags; s += TILE) {
        vf sum[TILE] = {{0}};
        const int64_t from = n - s - TILE; /* rows from..from + TILE - 1 are lags s + TILE - 1..s */
        tile(sum, g, least(n, most(n - s, 0)), p + from);
        for (int r = 0; r < TILE && s + r < plan->lags; r++) dh[s + r] += sum[TILE - 1 - r];
    }
}

/* A few tokens: dot products over the state, for up to 4 groups at once. The state runs backwards
 * in pieces that stay in the cache from one token to the next. */
enum { TOKENS = 8 };
#define DOT(name, type, LOAD)                                                                      \
    static inline void name(vf sum[4], int n, const float *h, int64_t h_stride, const type *p,     \
                            int64_t p_stride, int64_t count, int lanes) {                          \
        if (n == 4)                                                                                \
            for (int64_t i = 0; i < count; i++, h += h_stride, p -= p_stride) {                    \
                sum[0] += v_loadf(h) * v_##LOAD(p);                                                \
                sum[1] += v_loadf(h + VL) * v_##LOAD(p + VL);                                      \
                sum[2] += v_loadf(h + 2 * VL) * v_##LOAD(p + 2 * VL);                              \
                sum[3] += v_loadf(h + 3 * VL) * v_##LOAD(p + 3 * VL);                              \
            }                                                                                      \
        else                                                                                       \
            for (int64_t i = 0; i < count; i++, h += h_stride, p -= p_stride)                      \
                sum[0] += loadf(h, lanes) * LOAD(p, lanes);                                        \
    }
DOT(dot, float, loadf)
DOT(dot16, sr_half, loadf16)

static void tokens(const item *m, int count) {
    enum { PIECE = 128 };
    const sr_call *c = m->c;
    const sr_state *s = &c->state[0];
    const int64_t n = c->length, rows = c->in[1].rows, stride = c->in[1].stride;
    const float *h = real_row(&c->in[1], 0) + m->column;
    vf sum[TOKENS][4] = {{{0}}};
    for (int64_t t = 0; t < n; t++)
        for (int64_t lag = 0; lag <= least(t, rows - 1); lag++) {
            const act *p = act_row(&c->in[0], m->b * n + t - lag) + m->column;
            for (int k = 0; k < count; k++)
                sum[t][k] +=
                    loadf(h + lag * stride + k * VL, m->lanes) * load(p + k * VL, m->lanes);
        }
    int64_t run;
    for (int64_t back = 1; back <= m->past; back += run) { /* from position - back down */
        const int64_t position = c->position - back, at = state_row(m, position);
        run = least(m->past - back + 1, position % s->capacity + 1);
        if (n > 1) run = least(run, PIECE);
        for (int64_t t = 0; t < n && back + t < rows; t++) {
            const float *from = h + (back + t) * stride;
            const int64_t lags = least(run, rows - back - t);
            if (s->type == SR_F16)
                dot16(sum[t], count, from, stride, (const sr_half *)s->data + at, s->width, lags,
                      m->lanes);
            else
                dot(sum[t], count, from, stride, (const float *)s->data + at, s->width, lags,
                    m->lanes);
        }
    }
    for (int64_t t = 0; t < n; t++)
        for (int k = 0; k < count; k++)
            store(act_row(&c->out, m->b * n + t) + m->column + k * VL, sum[t][k], m->lanes);
}

#endif
