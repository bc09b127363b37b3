/* attention on the matrix tiles of x86: bf16 products with f32 sums, 16 x 16 x 32 at a time.
 *
 * The same walk as in attention.c, with queries as lanes, so that only the formats differ. The
 * left operand of a product is rows of bf16; the right one is "paired": two consecutive rows of it
 * lie interleaved, so that a 32-bit lane holds both. Everything is padded with zeros to 32. */
#ifndef SR_OP_ATTENTION_AMX_H
#define SR_OP_ATTENTION_AMX_H

#include "op/amx.h"
#include "op/kernel/attention_head.h"

/* The scratch of one thread. */
typedef struct tiles {
    head h;
    int64_t kw, vw; /* channels of keys and of values padded to 32 */
    int64_t stride; /* keys padded: row length of transposed keys */
    bf16 *k, *v;    /* [keys][kw], [keys][vw]; v backward only */
    bf16 *across;   /* [vw][stride] values forward, [kw][stride] keys backward */
    float *dk, *dv; /* [keys][kw], [keys][vw] */
    bf16 *qt, *dot; /* queries, output gradients: [kw or vw / 2][LANES] pairs */
    bf16 *q, *dout; /* the same, pairs of queries: [LANES / 2][kw or vw] pairs */
    float *s, *ds;  /* [KEYS][LANES] */
    bf16 *p, *g;    /* weights and score gradients: [KEYS][LANES] */
    bf16 *paired;   /* forward weights, backward score gradients: [KEYS / 2][LANES] pairs */
    float *out;     /* output [vw][LANES], or query gradient [kw][LANES] */
    float *row[2];  /* [LANES]: maxima and sums, or statistics and totals */
} tiles;

static inline void *take(char **at, int64_t elements, size_t size) {
    void *p = *at;
    *at += ((size_t)elements * size + 63) / 64 * 64;
    return p;
}

/* Lays a thread's scratch out from `at`; sizes: sr_attention_region_tiles(). */
static inline tiles tiles_of(const sr_call *c, char *at, bool backward) {
    tiles t = {.h = head_of(c)};
    t.kw = sr_attention_wide(c, 0);
    t.vw = sr_attention_wide(c, 1);
    t.stride = sr_attention_padded(t.h.keys);
    t.k = take(&at, t.stride * t.kw, sizeof(bf16));
    t.across = take(&at, t.stride * (backward ? t.kw : t.vw), sizeof(bf16));
    if (backward) {
        t.v = take(&at, t.stride * t.vw, sizeof(bf16));
        t.dk = take(&at, t.stride * t.kw, sizeof(float));
        t.dv = take(&at, t.stride * t.vw, sizeof(float));
        t.dot = take(&at, t.vw * LANES, sizeof(bf16));
        t.q = take(&at, t.kw * LANES, sizeof(bf16));
        t.dout = take(&at, t.vw * LANES, sizeof(bf16));
        t.ds = take(&at, KEYS * LANES, sizeof(float));
        t.p = take(&at, KEYS * LANES, sizeof(bf16));
        t.g = take(&at, KEYS * LANES, sizeof(bf16));
    }
    t.qt = take(&at, t.kw * LANES, sizeof(bf16));
    t.s = take(&at, KEYS * LANES, sizeof(float));
    t.paired = take(&at, KEYS * LANES, sizeof(bf16));
    t.out = take(&at, (backward ? t.kw : t.vw) * LANES, sizeof(float));
    for (int i = 0; i < 2; i++) t.row[i] = take(&at, LANES, sizeof(float));
    return t;
}

/* oneDNN configures the tiles in the same threads, so every use sets them up anew: all eight are
 * 16 rows of 64 bytes. */
static inline void tiles_begin(void) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } __attribute__((aligned(64))) config = {.palette = 1};
    for (int i = 0; i < 8; i++) config.bytes[i] = 64, config.rows[i] = 16;
    _tile_loadconfig(&config);
}

/* c (+)= a b for rows and lanes that are multiples of 32 and n = 32 * steps; strides in bytes. The
 * barriers tell the compiler that tiles read and write memory. */
static __attribute__((noinline)) void tile_product(int64_t rows, int64_t lanes, int64_t steps,
                                                   const bf16 *a, int64_t as, const bf16 *b,
                                                   int64_t bs, float *c, int64_t cs, bool add) {
    __asm__ volatile("" ::: "memory");
    for (int64_t l = 0; l < lanes; l += 32)
        for (int64_t r = 0; r < rows; r += 32) {
            const char *left = (const char *)a + r * as, *right = (const char *)b + l * 4;
            char *to = (char *)c + r * cs + l * 4;
            if (add) {
                _tile_loadd(0, to, cs);
                _tile_loadd(1, to + 64, cs);
                _tile_loadd(2, to + 16 * cs, cs);
                _tile_loadd(3, to + 16 * cs + 64, cs);
            } else {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
                _tile_zero(3);
            }
            for (int64_t k = 0; k < steps; k++, left += 64, right += 16 * bs) {
                _tile_loadd(4, left, as);
                _tile_loadd(6, right, bs);
                _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(7, right + 64, bs);
                _tile_dpbf16ps(1, 4, 7);
                _tile_loadd(5, left + 16 * as, as);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, to, cs);
            _tile_stored(1, to + 64, cs);
            _tile_stored(2, to + 16 * cs, cs);
            _tile_stored(3, to + 16 * cs + 64, cs);
        }
    __asm__ volatile("" ::: "memory");
}

/* `n` of 32 elements, zeros behind. */
static inline __m512i load_32(const bf16 *x, int64_t n) {
    return _mm512_maskz_loadu_epi16(n >= 32 ? ~0u : n <= 0 ? 0 : (1u << n) - 1, x);
}
/* Elements d .. d + 31 of key or value n; zeros after the last key. */
static inline __m512i key_32(const head *a, int which, int64_t b, int kv, int64_t n, int64_t d) {
    const sr_call *c = a->c;
    const int dim = a->dim[which];
    if (n >= a->keys) return _mm512_setzero_si512();
    if (n >= a->past)
        return load_32(act_row(&c->in[1 + which], b * c->length + n - a->past) + kv * dim + d,
                       dim - d);
    const sr_state *s = &c->state[which];
    float x[32] __attribute__((aligned(64)));
    copy_past(s, b * s->capacity + (c->position - a->past + n) % s->capacity, kv * dim + (int)d,
              dim - d < 32 ? dim - (int)d : 32, x, 32);
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_load_ps(x + 16), _mm512_load_ps(x));
}

/* Keys or values [low, high), low a multiple of 32, rows of their padded width. */
static inline void tile_rows(const tiles *t, int which, int64_t b, int kv, int64_t low,
                             int64_t high, bf16 *to) {
    const int64_t wide = which == 0 ? t->kw : t->vw;
    for (int64_t n = low; n < high; n++)
        for (int64_t d = 0; d < wide; d += 32)
            _mm512_storeu_si512(to + n * wide + d, key_32(&t->h, which, b, kv, n, d));
}

/* The same across: to[d][n]. Pairs of elements are transposed as 32-bit lanes, then taken apart. */
static inline void tile_across(const tiles *t, int which, int64_t b, int kv, int64_t low,
                               int64_t high, bf16 *to) {
    uint16_t index[2][32];
    for (int i = 0; i < 32; i++)
        index[0][i] = (uint16_t)(2 * i), index[1][i] = (uint16_t)(2 * i + 1);
    const __m512i even = _mm512_loadu_si512(index[0]), odd = _mm512_loadu_si512(index[1]);
    const int64_t wide = which == 0 ? t->kw : t->vw;
    for (int64_t n = low; n < high; n += 32)
        for (int64_t d = 0; d < wide; d += 32) {
            vf x[VL], y[VL];
            for (int i = 0; i < VL; i++) {
                x[i] = (vf)key_32(&t->h, which, b, kv, n + i, d);
                y[i] = (vf)key_32(&t->h, which, b, kv, n + VL + i, d);
            }
            v_transpose(x);
            v_transpose(y);
            for (int i = 0; i < VL; i++) {
                bf16 *row = to + (d + 2 * i) * t->stride + n;
                _mm512_storeu_si512(row,
                                    _mm512_permutex2var_epi16((__m512i)x[i], even, (__m512i)y[i]));
                _mm512_storeu_si512(row + t->stride,
                                    _mm512_permutex2var_epi16((__m512i)x[i], odd, (__m512i)y[i]));
            }
        }
}

/* n queries of `dim` channels, padded to `wide`: as lanes, pairs of elements lanes[d / 2][query][d
 * % 2], and, unless NULL, as rows, pairs of queries pairs[query / 2][d][query % 2]. */
static inline void tile_queries(const bf16 *x, int64_t xs, int64_t n, int64_t dim, int64_t wide,
                                bf16 *lanes, bf16 *pairs) {
    uint16_t index[2][32];
    for (int i = 0; i < 32; i++)
        index[0][i] = (uint16_t)(i / 2 + i % 2 * 32), index[1][i] = index[0][i] + 16;
    const __m512i low = _mm512_loadu_si512(index[0]), high = _mm512_loadu_si512(index[1]);
    for (int64_t r = 0; r < LANES; r += VL)
        for (int64_t d = 0; d < wide; d += 32) {
            vf v[VL];
            for (int i = 0; i < VL; i++)
                v[i] = r + i < n ? (vf)load_32(x + (r + i) * xs + d, dim - d) : v_set(0);
            for (int i = 0; pairs != NULL && i < VL; i += 2) {
                const __m512i even = (__m512i)v[i], odd = (__m512i)v[i + 1];
                bf16 *to = pairs + ((r + i) / 2 * wide + d) * 2;
                _mm512_storeu_si512(to, _mm512_permutex2var_epi16(even, low, odd));
                _mm512_storeu_si512(to + 32, _mm512_permutex2var_epi16(even, high, odd));
            }
            v_transpose(v);
            for (int i = 0; i < VL; i++) v_storef((float *)lanes + (d / 2 + i) * LANES + r, v[i]);
        }
}

/* Two rows of lanes rounded to bf16 and interleaved. */
static inline void store_paired(bf16 *to, vf even, vf odd, __m512i order) {
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi16(order, both));
}
static inline __m512i pair_order(void) {
    uint16_t index[32];
    for (int i = 0; i < 32; i++) index[i] = (uint16_t)(i / 2 + i % 2 * 16);
    return _mm512_loadu_si512(index);
}

static inline void tile_keys_forward(const tiles *t, int64_t b, int kv, int64_t low, int64_t high) {
    tile_rows(t, 0, b, kv, low, high, t->k);
    tile_across(t, 1, b, kv, low, high, t->across);
}

/* As forward_tile(); the scale is applied to the scores, which bf16 queries keep exact. */
static void forward_tiled(const tiles *t, ahead *next, int64_t b, int h, int64_t t0) {
    const head *a = &t->h;
    const sr_call *c = a->c;
    const int64_t n = c->length - t0 < LANES ? c->length - t0 : LANES, row = b * c->length + t0;
    const int64_t q0 = a->past + t0, end = q0 + n, kw = t->kw;
    const __m512i order = pair_order();
    float *maxima = t->row[0], *sums = t->row[1];
    tile_queries(act_row(&c->in[0], row) + h * a->dim[0], c->in[0].stride, n, a->dim[0], kw, t->qt,
                 NULL);
    for (int i = 0; i < LANES; i++) maxima[i] = HIDDEN, sums[i] = 0;
    bool begun = false;
    for (int64_t k0 = first_key(a, t0) / 32 * 32; k0 < end; k0 += KEYS) {
        const int64_t m = end - k0 <= 32 ? 32 : KEYS;
        const sight see = sight_of(q0 - k0, a->window);
        fetch(next);
        tile_product(m, LANES, kw / 32, t->k + k0 * kw, kw * 2, t->qt, LANES * 4, t->s, LANES * 4,
                     false);
        fetch(next);
        if (a->map == SR_MAP_SOFTMAX) {
            vf shrink[2], most[2], sum[2];
            for (int v = 0; v < 2; v++) most[v] = v_loadf(maxima + v * VL);
            softmax_maxima(t->s, m, &see, maxima, shrink);
            for (int v = 0; v < 2; v++) {
                vf now = v_loadf(maxima + v * VL);
                shrink[v] = v_exp2((most[v] - now) * a->scale);
                most[v] = now * a->scale;
                sum[v] = v_loadf(sums + v * VL) * shrink[v];
            }
            for (int64_t j = 0; j < m; j += 2)
                for (int v = 0; v < 2; v++) {
                    const float *s = t->s + j * LANES + v * VL;
                    vf p = v_exp2(v_loadf(s) * a->scale - most[v]);
                    vf q = v_exp2(v_loadf(s + LANES) * a->scale - most[v]);
                    sum[v] += p + q;
                    store_paired(t->paired + j * LANES + v * 32, p, q, order);
                }
            for (int v = 0; v < 2; v++) v_storef(sums + v * VL, sum[v]);
            for (int64_t d = 0; begun && d < a->dim[1]; d++)
                for (int v = 0; v < 2; v++) {
                    float *p = t->out + d * LANES + v * VL;
                    v_storef(p, v_loadf(p) * shrink[v]);
                }
        } else {
            for (int64_t i = 0; i < m * LANES; i += VL)
                v_storef(t->s + i, v_loadf(t->s + i) * a->scale);
            map_tile(t->s, m, &see, a->map);
            for (int64_t j = 0; j < m; j += 2)
                for (int v = 0; v < 2; v++) {
                    const float *s = t->s + j * LANES + v * VL;
                    store_paired(t->paired + j * LANES + v * 32, v_loadf(s), v_loadf(s + LANES),
                                 order);
                }
        }
        tile_product(t->vw, LANES, m / 32, t->across + k0, t->stride * 2, t->paired, LANES * 4,
                     t->out, LANES * 4, begun);
        begun = true;
    }
    finish_forward(a, b, h, t0, t->out, maxima, sums, a->scale);
}

static void forward_tiles(const sr_call *c) {
    const int KV = c->attr.attention.kv_heads;
    const int64_t items = c->batch * KV, count = (c->length + LANES - 1) / LANES;
#pragma omp parallel num_threads(c->threads)
    {
        const int threads = omp_get_num_threads(), me = omp_get_thread_num();
        const int64_t region = sr_attention_region_tiles(c, false),
                      even = items / threads * threads;
        const tiles own = tiles_of(c, (char *)c->scratch + me * region, false);
        const tiles first = tiles_of(c, c->scratch, false);
        const int64_t low = first_key(&own.h, 0) / 32 * 32, high = own.stride;
        tiles all = own; /* shared keys and values, own work */
        all.k = first.k;
        all.across = first.across;
        tiles_begin();
        for (int64_t item = even / threads * me; item < even / threads * (me + 1); item++) {
            tile_keys_forward(&own, item / KV, (int)(item % KV), low, high);
            for (int g = 0; g < own.h.group; g++) {
                const int h = (int)(item % KV) * own.h.group + g;
                ahead next = look_ahead(&own.h, item / KV, h, false);
                for (int64_t t = 0; t < count; t++)
                    forward_tiled(&own, &next, item / KV, h, t * LANES);
            }
        }
        ahead nothing = {.step = 0};
        for (int64_t item = even; item < items; item++) {
            int64_t from, to;
#pragma omp barrier
            sr_share(high - low, 32, &from, &to);
            tile_keys_forward(&all, item / KV, (int)(item % KV), low + from, low + to);
#pragma omp barrier
            for (int64_t i = me; i < all.h.group * count; i += threads)
                forward_tiled(&all, &nothing, item / KV,
                              (int)(item % KV) * all.h.group + (int)(i / count),
                              (count - 1 - i % count) * LANES);
        }
        _tile_release();
    }
}

/* As backward_tile(). */
static void backward_tiled(const tiles *t, ahead *next, int64_t b, int h, int64_t t0) {
    const head *a = &t->h;
    const sr_call *c = a->c;
    const int64_t n = c->length - t0 < LANES ? c->length - t0 : LANES, row = b * c->length + t0;
    const int64_t end = t0 + LANES, kw = t->kw, vw = t->vw;
    const int kd = a->dim[0], vd = a->dim[1], col = h * kd;
    const __m512i order = pair_order();
    const act *q = act_row(&c->in[0], row) + col, *dy = act_row(&c->dout, row) + h * vd;
    tile_queries(q, c->in[0].stride, n, kd, kw, t->qt, t->q);
    tile_queries(dy, c->dout.stride, n, vd, vw, t->dot, t->dout);
    query_statistics(a, b, h, t0, t->row[0], t->row[1]);
    bool begun = false;
    for (int64_t k0 = first_key(a, t0) / 32 * 32; k0 < end; k0 += KEYS) {
        const int64_t m = end - k0 <= 32 ? 32 : KEYS;
        const sight see = sight_of(t0 - k0, a->window);
        fetch(next);
        tile_product(m, LANES, kw / 32, t->k + k0 * kw, kw * 2, t->qt, LANES * 4, t->s, LANES * 4,
                     false);
        tile_product(m, LANES, vw / 32, t->v + k0 * vw, vw * 2, t->dot, LANES * 4, t->ds, LANES * 4,
                     false);
        fetch(next);
        for (int64_t j = 0; j < m; j += 2) {
            const bool all = sees_all(&see, j) && sees_all(&see, j + 1);
            vf weight[2][2], gradient[2][2];
            for (int r = 0; r < 2; r++)
                for (int l = 0; l < 2; l++) {
                    const int64_t i = (j + r) * LANES + l * VL;
                    gradient_lanes(a->map, v_loadf(t->s + i) * a->scale, v_loadf(t->ds + i),
                                   v_loadf(t->row[0] + l * VL), v_loadf(t->row[1] + l * VL),
                                   &weight[r][l], &gradient[r][l]);
                    if (all) continue;
                    const vi mask = seen(&see, j + r, l);
                    weight[r][l] = (vf)((vi)weight[r][l] & mask);
                    gradient[r][l] = (vf)((vi)gradient[r][l] & mask);
                }
            for (int r = 0; r < 2; r++) {
                _mm512_storeu_si512(
                    t->p + (j + r) * LANES,
                    (__m512i)_mm512_cvtne2ps_pbh((__m512)weight[r][1], (__m512)weight[r][0]));
                _mm512_storeu_si512(
                    t->g + (j + r) * LANES,
                    (__m512i)_mm512_cvtne2ps_pbh((__m512)gradient[r][1], (__m512)gradient[r][0]));
            }
            for (int l = 0; l < 2; l++)
                store_paired(t->paired + j * LANES + l * 32, gradient[0][l], gradient[1][l], order);
        }
        tile_product(kw, LANES, m / 32, t->across + k0, t->stride * 2, t->paired, LANES * 4, t->out,
                     LANES * 4, begun);
        tile_product(m, kw, 1, t->g, LANES * 2, t->q, kw * 4, t->dk + k0 * kw, kw * 4, true);
        tile_product(m, vw, 1, t->p, LANES * 2, t->dout, vw * 4, t->dv + k0 * vw, vw * 4, true);
        begun = true;
    }
    if (c->din[0].view.data != NULL)
        transpose_out(t->out, LANES, n, kd, (float)c->attr.attention.scale,
                      act_row(&c->din[0].view, row) + col, c->din[0].view.stride, c->din[0].add);
}

static void backward_tiles(const sr_call *c) {
    const int KV = c->attr.attention.kv_heads;
#pragma omp parallel num_threads(c->threads)
    {
        const tiles t = tiles_of(
            c, (char *)c->scratch + omp_get_thread_num() * sr_attention_region_tiles(c, true),
            true);
        int64_t low, high;
        sr_share(c->batch * KV, 1, &low, &high);
        tiles_begin();
        for (int64_t item = low; item < high; item++) {
            const int64_t b = item / KV;
            const int kv = (int)(item % KV);
            tile_rows(&t, 0, b, kv, 0, t.stride, t.k);
            tile_rows(&t, 1, b, kv, 0, t.stride, t.v);
            tile_across(&t, 0, b, kv, 0, t.stride, t.across);
            memset(t.dk, 0, (size_t)(t.stride * t.kw) * sizeof(float));
            memset(t.dv, 0, (size_t)(t.stride * t.vw) * sizeof(float));
            for (int h = kv * t.h.group; h < (kv + 1) * t.h.group; h++) {
                ahead next = look_ahead(&t.h, b, h, true);
                for (int64_t i = 0; i < c->length; i += LANES) backward_tiled(&t, &next, b, h, i);
            }
            for (int i = 0; i < 2; i++) {
                const sr_grad *to = &c->din[1 + i];
                if (to->view.data != NULL)
                    copy_out(i == 0 ? t.dk : t.dv, i == 0 ? t.kw : t.vw, c->length, t.h.dim[i],
                             i == 0 ? (float)c->attr.attention.scale : 1,
                             act_row(&to->view, b * c->length) + kv * t.h.dim[i], to->view.stride,
                             to->add);
            }
        }
        _tile_release();
    }
}

/* Running maxima are taken before the scale. */
static inline bool use_tiles(const sr_call *c) {
    return sr_amx_ready() && c->attr.attention.scale > 0;
}

#endif
