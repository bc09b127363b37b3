/* Short causal convolutions down the rows of a sequence, one vector of channels at a time: what
 * conv and gated_conv share. Sequences are walked in tiles of rows that stay in the cache, all
 * channels of a tile before the next tile. A thread owns whole (sequence, group of channels) pairs,
 * so that windows, rings and carries are its own.
 *
 * "Input" below is what the taps see: x, or B * v when gated. */
#ifndef SR_OP_KERNEL_TAPS_H
#define SR_OP_KERNEL_TAPS_H

#include "op/kernel/lanes.h"
#include "op/taps.h"

enum { TILE = 4 };

SR_INLINE vf taps_input(const sr_call *c, bool gated, int64_t row, int64_t j, int n) {
    vf x = act_load(act_row(&c->in[0], row) + j, n);
    return gated ? x * act_load(act_row(&c->in[2], row) + j, n) : x;
}

/* Element j and the next ones of a ring's row for one position of one sequence. */
SR_INLINE int64_t ring_index(const sr_state *ring, int64_t sequence, int64_t position, int64_t j) {
    return (sequence * ring->capacity + position % ring->capacity) * ring->width + j;
}
SR_INLINE vf ring_load(const sr_state *ring, int64_t sequence, int64_t position, int64_t j, int n) {
    int64_t at = ring_index(ring, sequence, position, j);
    if (ring->type != SR_F16) return real_load((const float *)ring->data + at, n);
    float t[VL] = {0};
    for (int i = 0; i < n; i++) t[i] = f16_get(((const f16 *)ring->data)[at + i]);
    return v_loadf(t);
}
SR_INLINE void ring_store(const sr_state *ring, int64_t sequence, int64_t position, int64_t j, vf x,
                          int n) {
    int64_t at = ring_index(ring, sequence, position, j);
    if (ring->type != SR_F16) {
        real_store((float *)ring->data + at, x, n);
        return;
    }
    float t[VL];
    v_storef(t, x);
    for (int i = 0; i < n; i++) ((f16 *)ring->data)[at + i] = f16_set(t[i]);
}

/* The weights [tiles * d, taps] as [taps, tiles * d padded], by all threads together. */
SR_INLINE void taps_transpose(const sr_view *w, int taps, int64_t d, float *to) {
    const int64_t padded = sr_taps_padded(d), total = w->rows / d * padded;
#pragma omp for
    for (int64_t i = 0; i < total; i++) {
        const int64_t j = i % padded;
        for (int k = 0; k < taps; k++)
            to[k * total + i] = j < d ? real_row(w, i / padded * d + j)[k] : 0;
    }
}

/* Pair `item` of batch x groups: its sequence and its columns. */
typedef struct pair {
    int64_t sequence, low, high;
} pair;
SR_INLINE pair pair_of(int64_t item, int64_t groups, int64_t d) {
    int64_t g = item % groups, blocks = (d + 15) / 16;
    int64_t low = blocks * g / groups * 16, high = blocks * (g + 1) / groups * 16;
    return (pair){item / groups, low, high < d ? high : d};
}

/* Rows t .. t + rows of one sequence, n input channels from j and all their tiles, forward. */
SR_INLINE void taps_forward_tile(const sr_call *c, int taps, int64_t tiles, bool gated,
                                 const float *weights, int64_t sequence, int64_t t, int rows,
                                 int64_t j, int n) {
    const int64_t d = c->in[0].cols, padded = sr_taps_padded(d), total = tiles * padded;
    const int64_t first = sequence * c->length + t;
    const sr_state *ring = &c->state[0];
    const sr_view *C = &c->in[1], *bias = &c->in[2], y = c->out;
    const bool silu = !gated && c->attr.conv.silu;
    vf p[TILE + SR_MAX_TAPS], w[SR_MAX_TAPS];
    for (int k = 0; k < taps - 1; k++) {
        int64_t past = t - (taps - 1) + k;
        if (past >= 0)
            p[k] = taps_input(c, gated, first - (taps - 1) + k, j, n);
        else if (ring->data != NULL)
            p[k] = ring_load(ring, sequence, c->position + ring->capacity + past, j, n);
        else
            p[k] = (vf){0};
    }
    for (int64_t m = 0; m < tiles; m++) {
        vf b = {0};
        if (!gated && bias->data != NULL) b = real_load(real_row(bias, 0) + m * d + j, n);
        for (int k = 0; k < taps; k++) w[k] = v_loadf(weights + k * total + m * padded + j);
        for (int i = 0; i < rows; i++) {
            if (m == 0) p[taps - 1 + i] = taps_input(c, gated, first + i, j, n);
            vf s = b;
            for (int k = 0; k < taps; k++) s += w[k] * p[i + k];
            if (gated)
                s *= act_load(act_row(C, first + i) + j, n);
            else if (silu)
                s = v_silu(s);
            act_store(act_row(&y, first + i) + m * d + j, s, n);
        }
    }
}

/* The last inputs of a sequence into its ring. */
SR_INLINE void taps_remember(const sr_call *c, bool gated, int64_t sequence, int64_t j, int n) {
    const sr_state *ring = &c->state[0];
    for (int64_t t = c->length > ring->capacity ? c->length - ring->capacity : 0; t < c->length;
         t++)
        ring_store(ring, sequence, c->position + t, j,
                   taps_input(c, gated, sequence * c->length + t, j, n), n);
}

/* Forward of this thread's pairs; inside a parallel region. `taps` 3 and 4 and one tile are
 * compiled apart. */
SR_INLINE void taps_forward(const sr_call *c, int taps, int64_t tiles, bool gated) {
    const int64_t d = c->in[0].cols, groups = sr_taps_groups(c);
    float *weights = c->scratch;
    taps_transpose(&c->in[gated ? 3 : 1], taps, d, weights);
    int64_t low, high;
    sr_share(c->batch * groups, 1, &low, &high);
    for (int64_t item = low; item < high; item++) {
        const pair p = pair_of(item, groups, d);
        for (int64_t t = 0; t < c->length; t += TILE) {
            const int rows = c->length - t < TILE ? (int)(c->length - t) : TILE;
            int64_t j = p.low;
            for (; j + VL <= p.high; j += VL)
                taps_forward_tile(c, taps, tiles, gated, weights, p.sequence, t, rows, j, VL);
            if (j < p.high)
                taps_forward_tile(c, taps, tiles, gated, weights, p.sequence, t, rows, j,
                                  (int)(p.high - j));
        }
        for (int64_t j = p.low; c->state[0].data != NULL && j < p.high; j += VL)
            taps_remember(c, gated, p.sequence, j, p.high - j < VL ? (int)(p.high - j) : VL);
    }
}

/* What a thread keeps during backward, in scratch; rows of d padded, of all tiles but in `past`. */
typedef struct taps_own {
    float *past;    /* [taps - 1]: the last inputs */
    float *slopes;  /* [taps - 1]: the last gradients of the sums */
    float *partial; /* [taps + 1]: gradients of the weights, and of the bias */
} taps_own;

SR_INLINE taps_own taps_own_of(const sr_call *c, int taps, int thread) {
    const int64_t padded = sr_taps_padded(c->in[0].cols), total = sr_taps_tiles(c) * padded;
    float *base =
        (float *)c->scratch + total * taps + (padded * (taps - 1) + total * 2 * taps) * thread;
    return (taps_own){base, base + padded * (taps - 1),
                      base + padded * (taps - 1) + total * (taps - 1)};
}

/* The gradient of the input, to where it came from. */
SR_INLINE void taps_give(const sr_call *c, bool gated, int64_t row, int64_t j, vf dp, int n) {
    const sr_grad *x = &c->din[0], *v = &c->din[2];
    if (!gated) {
        if (x->view.data != NULL) act_give(act_row(&x->view, row) + j, x->add, dp, n);
        return;
    }
    const vf B = act_load(act_row(&c->in[0], row) + j, n),
             V = act_load(act_row(&c->in[2], row) + j, n);
    if (x->view.data != NULL) act_give(act_row(&x->view, row) + j, x->add, dp * V, n);
    if (v->view.data != NULL) act_give(act_row(&v->view, row) + j, v->add, dp * B, n);
}

/* With s the sums and g their gradients, g = dy f'(s), or dy C when gated:
 *     dw[k] = sum over t of g[t] input[t - (taps-1) + k],
 *     dinput[t] = sum over tiles and k of w[k] g[t + taps-1 - k].
 * A tile of rows computes g for its rows and emits dinput of the rows taps - 1 earlier, whose g
 * are then all known; the last one also emits the rest. */
SR_INLINE void taps_backward_tile(const sr_call *c, int taps, int64_t tiles, bool gated,
                                  const float *weights, const taps_own *own, int64_t sequence,
                                  int64_t t, int rows, int64_t j, int n) {
    const int64_t d = c->in[0].cols, padded = sr_taps_padded(d), total = tiles * padded;
    const int64_t first = sequence * c->length + t;
    const sr_view *C = &c->in[1], *bias = &c->in[2], dy = c->dout;
    const sr_grad d1 = c->din[1];
    const bool silu = !gated && c->attr.conv.silu, last = t + rows == c->length;
    const int before = taps - 1, end = last ? rows + before : rows;
    vf p[TILE + SR_MAX_TAPS], g[TILE + 2 * SR_MAX_TAPS], w[SR_MAX_TAPS], dw[SR_MAX_TAPS];
    vf dp[TILE + SR_MAX_TAPS];
    for (int k = 0; k < before; k++) p[k] = t == 0 ? (vf){0} : v_loadf(own->past + k * padded + j);
    for (int64_t m = 0; m < tiles; m++) {
        const int64_t channel = m * padded + j;
        vf b = {0}, db = v_loadf(own->partial + taps * total + channel);
        if (!gated && bias->data != NULL) b = real_load(real_row(bias, 0) + m * d + j, n);
        for (int k = 0; k < taps; k++) {
            w[k] = v_loadf(weights + k * total + channel);
            dw[k] = v_loadf(own->partial + k * total + channel);
        }
        for (int k = 0; k < before; k++)
            g[k] = t == 0 ? (vf){0} : v_loadf(own->slopes + k * total + channel);
        for (int i = 0; i < rows; i++) {
            if (m == 0) p[before + i] = taps_input(c, gated, first + i, j, n);
            vf s = b, slope = act_load(act_row(&dy, first + i) + m * d + j, n);
            for (int k = 0; k < taps; k++) s += w[k] * p[i + k];
            if (gated) {
                if (d1.view.data != NULL)
                    act_give(act_row(&d1.view, first + i) + j, d1.add, slope * s, n);
                slope *= act_load(act_row(C, first + i) + j, n);
            } else if (silu) {
                slope *= v_silu_slope(s, v_sigmoid(s));
            }
            g[before + i] = slope;
            db += slope;
            for (int k = 0; k < taps; k++) dw[k] += slope * p[i + k];
        }
        for (int k = 0; k < taps; k++) v_storef(own->partial + k * total + channel, dw[k]);
        v_storef(own->partial + taps * total + channel, db);
        for (int k = 0; k < before; k++) {
            v_storef(own->slopes + k * total + channel, g[rows + k]);
            g[before + rows + k] = (vf){0}; /* past the end, for the last tile */
        }
        for (int i = t < before ? before - (int)t : 0; i < end; i++) {
            vf sum = m == 0 ? (vf){0} : dp[i];
            for (int k = 0; k < taps; k++) sum += w[k] * g[i + before - k];
            if (m + 1 < tiles)
                dp[i] = sum;
            else
                taps_give(c, gated, first + i - before, j, sum, n);
        }
    }
    for (int k = 0; k < before; k++) v_storef(own->past + k * padded + j, p[rows + k]);
}

/* Backward of this thread's pairs; inside a parallel region. */
SR_INLINE void taps_backward(const sr_call *c, int taps, int64_t tiles, bool gated) {
    const int64_t d = c->in[0].cols, padded = sr_taps_padded(d), groups = sr_taps_groups(c),
                  total = tiles * padded;
    float *weights = c->scratch;
    taps_transpose(&c->in[gated ? 3 : 1], taps, d, weights);
    const taps_own own = taps_own_of(c, taps, omp_get_thread_num());
    memset(own.partial, 0, (size_t)(total * (taps + 1)) * sizeof(float));
    int64_t low, high;
    sr_share(c->batch * groups, 1, &low, &high);
    for (int64_t item = low; item < high; item++) {
        const pair p = pair_of(item, groups, d);
        for (int64_t t = 0; t < c->length; t += TILE) {
            const int rows = c->length - t < TILE ? (int)(c->length - t) : TILE;
            int64_t j = p.low;
            for (; j + VL <= p.high; j += VL)
                taps_backward_tile(c, taps, tiles, gated, weights, &own, p.sequence, t, rows, j,
                                   VL);
            if (j < p.high)
                taps_backward_tile(c, taps, tiles, gated, weights, &own, p.sequence, t, rows, j,
                                   (int)(p.high - j));
        }
    }
    /* The parameter gradients: the threads' partial sums, in order of thread. */
#pragma omp barrier
    const sr_grad *dw = &c->din[gated ? 3 : 1], *db = &c->din[2];
    const int used = omp_get_num_threads();
#pragma omp for
    for (int64_t channel = 0; channel < tiles * d; channel++)
        for (int k = 0; k <= taps; k++) {
            const bool is_bias = k == taps;
            if (is_bias ? gated || db->view.data == NULL : dw->view.data == NULL) continue;
            const int64_t at = k * total + channel / d * padded + channel % d;
            float sum = 0;
            for (int thread = 0; thread < used; thread++)
                sum += taps_own_of(c, taps, thread).partial[at];
            float *to =
                is_bias ? real_row(&db->view, 0) + channel : real_row(&dw->view, channel) + k;
            *to = (is_bias ? db->add : dw->add) ? *to + sum : sum;
        }
}

#endif
