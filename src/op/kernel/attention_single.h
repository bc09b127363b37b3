/* attention of one query per sequence over the cache: decoding, at the speed of memory.
 *
 * The past of every sequence is cut into stretches of a fixed length that threads take in turn, so
 * the result does not depend on how many there are. Each leaves a partial result, and the partial
 * results of a head are joined in order. Here the lanes are keys for the scores and elements of
 * the head for the values. */
#ifndef SR_OP_ATTENTION_SINGLE_H
#define SR_OP_ATTENTION_SINGLE_H

#include "op/kernel/attention_head.h"

/* Lane i of the result is the sum over the lanes of x[i]; x is used up. */
SR_INLINE vf v_sums(vf x[VL]) {
#pragma GCC unroll 4
    for (int w = 1; w < VL; w *= 2) {
        vi low, high;
        for (int e = 0; e < VL; e++) {
            low[e] = e & w ? VL + (e ^ w) : e;
            high[e] = e & w ? VL + e : e ^ w;
        }
#pragma GCC unroll 16
        for (int i = 0; i < VL; i += 2 * w)
            x[i] = __builtin_shuffle(x[i], x[i + w], low) + __builtin_shuffle(x[i], x[i + w], high);
    }
    return x[0];
}

enum { SINGLE = SR_ATTENTION_SINGLE_KEYS };

/* s[j] = q . k[j] for whole vectors of keys, `row` apart. */
static inline void single_scores(const float *q, const float *k, int64_t row, int64_t width,
                                 int64_t keys, float *s) {
    for (int64_t j = 0; j < keys; j += VL, k += VL * row) {
        vf x[VL];
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++) x[i] = v_loadf(k + i * row) * v_loadf(q);
        for (int64_t d = VL; d < width; d += VL) {
            const vf y = v_loadf(q + d);
#pragma GCC unroll 16
            for (int i = 0; i < VL; i++) x[i] += v_loadf(k + i * row + d) * y;
        }
        v_storef(s + j, v_sums(x));
    }
}

/* sum[d] = sum[d] * shrink + sum over j of p[j] v[j][d]. */
static inline void single_values(const float *p, const float *v, int64_t row, int64_t width,
                                 int64_t keys, float shrink, float *sum) {
    for (int64_t d = 0; d < width; d += VL) {
        vf even = v_loadf(sum + d) * shrink, odd = {0};
        int64_t j = 0;
        for (; j + 2 <= keys; j += 2) {
            even += v_loadf(v + j * row + d) * p[j];
            odd += v_loadf(v + (j + 1) * row + d) * p[j + 1];
        }
        if (j < keys) even += v_loadf(v + j * row + d) * p[j];
        v_storef(sum + d, even + odd);
    }
}

/* Row n of the keys (which = 0) or values (1) of sequence b, all heads, each padded: whole rows in
 * order are what memory delivers fastest. */
static inline void single_row(const head *a, int which, int64_t b, int64_t n, float *to) {
    const sr_call *c = a->c;
    const sr_state *s = &c->state[which];
    const int KV = c->attr.attention.kv_heads, dim = a->dim[which];
    const int64_t width = a->width[which];
    if (n >= a->past) {
        for (int kv = 0; kv < KV; kv++)
            copy_in(act_row(&c->in[1 + which], b) + kv * dim, 0, 1, dim, 1, to + kv * width, width,
                    1);
        return;
    }
    const int64_t row = b * s->capacity + (c->position - a->past + n) % s->capacity;
    if (width == dim)
        copy_past(s, row, 0, KV * dim, to, KV * width);
    else
        for (int kv = 0; kv < KV; kv++) copy_past(s, row, kv * dim, dim, to + kv * width, width);
}

/* Brings the part `share` of `of` of rows [low, high) nearer, while something else is computed. */
static inline void single_fetch(const head *a, int which, int64_t b, int64_t low, int64_t high,
                                int share, int of) {
    const sr_state *s = &a->c->state[which];
    high = high < a->past ? high : a->past;
    if (low >= high) return;
    const int64_t bytes = s->width * (s->type == SR_F16 ? 2 : 4),
                  row = (a->c->position - a->past + low) % s->capacity,
                  end = (row + high - low < s->capacity ? high - low : s->capacity - row) * bytes;
    const char *p = (const char *)s->data + (b * s->capacity + row) * bytes;
    for (int64_t j = end * share / of / 64 * 64; j < end * (share + 1) / of; j += 64)
        __builtin_prefetch(p + j, 0, 2);
}

/* Weights of m scores relative to the maximum so far, which is raised; returns the factor for
 * everything summed so far. */
static inline float single_weights(float *s, int64_t m, float *maximum, float *total) {
    const int64_t vectors = (m + VL - 1) / VL * VL;
    for (int64_t j = m; j < vectors; j++) s[j] = HIDDEN;
    vf most = v_loadf(s), sum = {0};
    for (int64_t j = VL; j < vectors; j += VL) most = v_max(most, v_loadf(s + j));
    const float old = *maximum, now = v_max_lane(most);
    float shrink = 1;
    if (now > old) {
        shrink = v_exp2(v_set(old - now))[0];
        *maximum = now;
    }
    for (int64_t j = 0; j < vectors; j += VL) {
        vf p = v_exp2(v_loadf(s + j) - *maximum);
        v_storef(s + j, p);
        sum += p;
    }
    *total = *total * shrink + v_sum(sum);
    return shrink;
}

/* Keys [low, high) of sequence b, all heads. */
static void single_stretch(const head *a, int64_t b, int64_t low, int64_t high, float *work,
                           float *partial) {
    const sr_call *c = a->c;
    const int H = c->attr.attention.heads, KV = c->attr.attention.kv_heads;
    const int64_t w = a->width[0], vw = a->width[1], row = KV * w, v_row = KV * vw;
    float *rows = work, *q = rows + SINGLE * (row > v_row ? row : v_row), *s = q + H * w,
          *shrink = s + H * SINGLE;
    for (int h = 0; h < H; h++) {
        copy_in(act_row(&c->in[0], b) + h * a->dim[0], 0, 1, a->dim[0], a->scale, q + h * w, w, 1);
        float *sum = partial + h * (vw + 16);
        memset(sum, 0, (size_t)(vw + 16) * sizeof(float));
        sum[vw] = HIDDEN;
    }
    for (int64_t k0 = low; k0 < high; k0 += SINGLE) {
        const int64_t m = high - k0 < SINGLE ? high - k0 : SINGLE, end = k0 + m;
        const int64_t vectors = (m + VL - 1) / VL * VL;
        for (int64_t n = 0; n < m; n++) single_row(a, 0, b, k0 + n, rows + n * row);
        memset(rows + m * row, 0, (size_t)((vectors - m) * row) * sizeof(float));
        for (int h = 0; h < H; h++) {
            float *sh = s + h * SINGLE, *sum = partial + h * (vw + 16);
            single_fetch(a, 1, b, k0, end, h, H);
            single_scores(q + h * w, rows + h / a->group * w, row, w, vectors, sh);
            if (a->map == SR_MAP_SOFTMAX) {
                shrink[h] = single_weights(sh, m, &sum[vw], &sum[vw + 1]);
                continue;
            }
            shrink[h] = 1;
            for (int64_t j = 0; j < vectors; j += VL)
                v_storef(sh + j, map_score(a->map, v_loadf(sh + j)));
        }
        for (int64_t n = 0; n < m; n++) single_row(a, 1, b, k0 + n, rows + n * v_row);
        for (int h = 0; h < H; h++) {
            single_fetch(a, 0, b, end, end + SINGLE, h, H);
            single_values(s + h * SINGLE, rows + h / a->group * vw, v_row, vw, m, shrink[h],
                          partial + h * (vw + 16));
        }
    }
}

/* Joins the partial results of head h: weights relative to the largest maximum. */
static void single_join(const head *a, int64_t b, int h, int64_t stretches, const float *partial,
                        float *work) {
    const sr_call *c = a->c;
    const int64_t w = a->width[1], step = sr_attention_partial(c);
    float most = HIDDEN, total = 0;
    partial += h * (w + 16);
    for (int64_t i = 0; i < stretches; i++)
        if (partial[i * step + w] > most) most = partial[i * step + w];
    memset(work, 0, (size_t)w * sizeof(float));
    for (int64_t i = 0; i < stretches; i++) {
        const float *sum = partial + i * step,
                    factor = a->map == SR_MAP_SOFTMAX ? exp2f(sum[w] - most) : 1;
        total += sum[w + 1] * factor;
        for (int64_t d = 0; d < w; d += VL)
            v_storef(work + d, v_loadf(work + d) + v_loadf(sum + d) * factor);
    }
    if (a->map != SR_MAP_SOFTMAX) total = (float)(c->position + 1);
    copy_out(work, w, 1, a->dim[1], 1 / total, act_row(&c->out, b) + h * a->dim[1], 0, false);
    if (c->saved != NULL && a->map == SR_MAP_SOFTMAX)
        ((float *)c->saved)[b * c->attr.attention.heads + h] = most + log2f(total);
}

static void forward_single(const sr_call *c) {
    const int H = c->attr.attention.heads;
    const int64_t stretches = sr_attention_stretches(c), step = sr_attention_partial(c);
    float *partial = c->scratch, *regions = partial + c->batch * stretches * step;
#pragma omp parallel num_threads(c->threads)
    {
        const int threads = omp_get_num_threads(), me = omp_get_thread_num();
        float *work = regions + me * sr_attention_region_single(c);
        const head a = head_of(c);
        const int64_t first = first_key(&a, 0);
        for (int64_t i = me; i < c->batch * stretches; i += threads) {
            int64_t low = i % stretches * SR_ATTENTION_STRETCH, high = low + SR_ATTENTION_STRETCH;
            single_stretch(&a, i / stretches, low > first ? low : first,
                           high < a.keys ? high : a.keys, work, partial + i * step);
        }
#pragma omp barrier
        for (int64_t i = me; i < c->batch * H; i += threads)
            single_join(&a, i / H, (int)(i % H), stretches, partial + i / H * stretches * step,
                        work);
    }
}

#endif
