/* attention, in tiles of LANES queries by SR_ATTENTION_KEYS keys.
 *
 * The keys and values of a key-value head are first copied to f32 in a thread's scratch; then every
 * tile of queries walks over the keys that it sees. A thread owns a key-value head, so sums have a
 * fixed order; forward, the heads that do not divide evenly among the threads are done by all of
 * them together, a tile of queries each. */
#include "op/kernel/attention_head.h"
#include "op/kernel/attention_single.h"
#if defined(SR_ACT_BF16) && defined(__AMX_BF16__)
#include "op/kernel/attention_amx.h"
#endif

static void load_both(const head *a, int64_t b, int kv, int64_t low, int64_t high) {
    load_keys(a, 0, b, kv, low, high, a->k + low * a->width[0]);
    load_keys(a, 1, b, kv, low, high, a->v + low * a->width[1]);
}

/* Queries t0 .. t0 + LANES - 1 of query head h. */
static void forward_tile(const head *a, ahead *next, int64_t b, int h, int64_t t0, float *work) {
    const sr_call *c = a->c;
    const int64_t n = c->length - t0 < LANES ? c->length - t0 : LANES, row = b * c->length + t0;
    const int64_t q0 = a->past + t0, end = q0 + n;
    float *q = work, *out = q + a->width[0] * LANES, *s = out + a->width[1] * LANES;
    float *maxima = s + KEYS * LANES, *sums = maxima + LANES;
    transpose_in(act_row(&c->in[0], row) + h * a->dim[0], c->in[0].stride, n, a->dim[0], a->scale,
                 q, LANES);
    for (int i = 0; i < LANES; i++) maxima[i] = HIDDEN, sums[i] = 0;
    bool begun = false;
    for (int64_t k0 = first_key(a, t0); k0 < end; k0 += KEYS) {
        const int64_t m = end - k0 < KEYS ? end - k0 : KEYS;
        const sight see = sight_of(q0 - k0, a->window);
        fetch(next);
        product((m + ROWS - 1) / ROWS * ROWS, LANES, a->dim[0], a->k + k0 * a->width[0],
                a->width[0], q, LANES, s, LANES, false);
        if (a->map == SR_MAP_SOFTMAX) {
            vf shrink[2], most[2], sum[2];
            softmax_maxima(s, m, &see, maxima, shrink);
            for (int v = 0; v < 2; v++) {
                most[v] = v_loadf(maxima + v * VL);
                sum[v] = v_loadf(sums + v * VL) * shrink[v];
            }
            for (int64_t j = 0; j < m; j++)
                for (int v = 0; v < 2; v++) {
                    vf p = v_exp2(v_loadf(s + j * LANES + v * VL) - most[v]);
                    v_storef(s + j * LANES + v * VL, p);
                    sum[v] += p;
                }
            for (int v = 0; v < 2; v++) v_storef(sums + v * VL, sum[v]);
            for (int64_t d = 0; begun && d < a->rows[1]; d++)
                for (int v = 0; v < 2; v++) {
                    float *p = out + d * LANES + v * VL;
                    v_storef(p, v_loadf(p) * shrink[v]);
                }
        } else {
            map_tile(s, m, &see, a->map);
        }
        fetch(next);
        product_t(a->rows[1], LANES, m, a->v + k0 * a->width[1], a->width[1], s, LANES, out, LANES,
                  begun);
        begun = true;
    }
    finish_forward(a, b, h, t0, out, maxima, sums, 1);
}

static void forward_many(const sr_call *c) {
    const int KV = c->attr.attention.kv_heads;
    const int64_t items = c->batch * KV, count = (c->length + LANES - 1) / LANES;
#pragma omp parallel num_threads(c->threads)
    {
        const int threads = omp_get_num_threads(), me = omp_get_thread_num();
        const int64_t region = sr_attention_region_forward(c), even = items / threads * threads;
        head own = head_of(c), all = own; /* all: shared keys and values */
        place_keys(&own, (float *)c->scratch + me * region);
        place_keys(&all, c->scratch);
        for (int64_t item = even / threads * me; item < even / threads * (me + 1); item++) {
            load_both(&own, item / KV, (int)(item % KV), first_key(&own, 0), own.keys);
            end_keys(&own);
            for (int g = 0; g < own.group; g++) {
                const int h = (int)(item % KV) * own.group + g;
                ahead next = look_ahead(&own, item / KV, h, false);
                for (int64_t t = 0; t < count; t++)
                    forward_tile(&own, &next, item / KV, h, t * LANES, own.work);
            }
        }
        ahead nothing = {.step = 0};
        for (int64_t item = even; item < items; item++) {
            int64_t low, high, first = first_key(&all, 0);
#pragma omp barrier
            sr_share(all.keys - first, 1, &low, &high);
            load_both(&all, item / KV, (int)(item % KV), first + low, first + high);
            if (me == 0) end_keys(&all);
#pragma omp barrier
            for (int64_t i = me; i < all.group * count; i += threads)
                forward_tile(&all, &nothing, item / KV,
                             (int)(item % KV) * all.group + (int)(i / count),
                             (count - 1 - i % count) * LANES, own.work);
        }
    }
}

void SR_KERNEL(attention_forward)(const sr_call *c) {
    if (sr_attention_single(c)) {
        forward_single(c);
        return;
    }
#if defined(SR_ACT_BF16) && defined(__AMX_BF16__)
    if (use_tiles(c)) {
        forward_tiles(c);
        return;
    }
#endif
    forward_many(c);
}

typedef struct gradients {
    float *dk, *dv; /* like keys and values: sums over the query heads of the group */
    float *work;
} gradients;

/* One tile of queries of head h: its dq, and its share of dk and dv. */
static void backward_tile(const head *a, const gradients *g, ahead *next, int64_t b, int h,
                          int64_t t0) {
    const sr_call *c = a->c;
    const int64_t n = c->length - t0 < LANES ? c->length - t0 : LANES, row = b * c->length + t0;
    const int64_t kw = a->width[0], vw = a->width[1], end = t0 + LANES;
    const int kd = a->dim[0], vd = a->dim[1], col = h * kd;
    float *qt = g->work, *dot = qt + kw * LANES, *q = dot + vw * LANES, *dout = q + kw * LANES,
          *dq = dout + vw * LANES, *s = dq + kw * LANES, *ds = s + KEYS * LANES,
          *statistic = ds + KEYS * LANES, *total = statistic + LANES;
    const act *from = act_row(&c->in[0], row) + col, *dy = act_row(&c->dout, row) + h * vd;
    transpose_in(from, c->in[0].stride, n, kd, a->scale, qt, LANES);
    transpose_in(dy, c->dout.stride, n, vd, 1, dot, LANES);
    copy_in(from, c->in[0].stride, n, kd, (float)c->attr.attention.scale, q, kw, LANES);
    copy_in(dy, c->dout.stride, n, vd, 1, dout, vw, LANES);
    query_statistics(a, b, h, t0, statistic, total);
    bool begun = false;
    for (int64_t k0 = first_key(a, t0) / ROWS * ROWS; k0 < end; k0 += KEYS) {
        const int64_t m = end - k0 < KEYS ? end - k0 : KEYS;
        const sight see = sight_of(t0 - k0, a->window);
        const float *k = a->k + k0 * kw, *v = a->v + k0 * vw;
        fetch(next);
        product(m, LANES, kd, k, kw, qt, LANES, s, LANES, false);
        product(m, LANES, vd, v, vw, dot, LANES, ds, LANES, false);
        for (int64_t j = 0; j < m; j++) {
            const bool all = sees_all(&see, j);
            for (int l = 0; l < 2; l++) {
                float *p = s + j * LANES + l * VL, *dp = ds + j * LANES + l * VL;
                vf weight, gradient;
                gradient_lanes(a->map, v_loadf(p), v_loadf(dp), v_loadf(statistic + l * VL),
                               v_loadf(total + l * VL), &weight, &gradient);
                if (!all) {
                    vi mask = seen(&see, j, l);
                    weight = (vf)((vi)weight & mask);
                    gradient = (vf)((vi)gradient & mask);
                }
                v_storef(p, weight);
                v_storef(dp, gradient);
            }
        }
        fetch(next);
        product_t(a->rows[0], LANES, m, k, kw, ds, LANES, dq, LANES, begun);
        product(m, kw, LANES, ds, LANES, q, kw, g->dk + k0 * kw, kw, true);
        product(m, vw, LANES, s, LANES, dout, vw, g->dv + k0 * vw, vw, true);
        begun = true;
    }
    if (c->din[0].view.data != NULL)
        transpose_out(dq, LANES, n, kd, (float)c->attr.attention.scale,
                      act_row(&c->din[0].view, row) + col, c->din[0].view.stride, c->din[0].add);
}

void SR_KERNEL(attention_backward)(const sr_call *c) {
#if defined(SR_ACT_BF16) && defined(__AMX_BF16__)
    if (use_tiles(c)) {
        backward_tiles(c);
        return;
    }
#endif
    const int KV = c->attr.attention.kv_heads;
#pragma omp parallel num_threads(c->threads)
    {
        head a = head_of(c);
        place_keys(&a,
                   (float *)c->scratch + omp_get_thread_num() * sr_attention_region_backward(c));
        const int64_t rows = sr_attention_padded(a.keys), block = rows * (a.width[0] + a.width[1]);
        gradients g = {a.work, a.work + rows * a.width[0], a.work + block};
        int64_t low, high;
        sr_share(c->batch * KV, 1, &low, &high);
        for (int64_t item = low; item < high; item++) {
            const int64_t b = item / KV;
            const int kv = (int)(item % KV);
            load_both(&a, b, kv, 0, a.keys);
            end_keys(&a);
            memset(g.dk, 0, (size_t)block * sizeof(float));
            for (int h = kv * a.group; h < (kv + 1) * a.group; h++) {
                ahead next = look_ahead(&a, b, h, true);
                for (int64_t t = 0; t < c->length; t += LANES)
                    backward_tile(&a, &g, &next, b, h, t);
            }
            for (int i = 0; i < 2; i++) {
                const sr_grad *to = &c->din[1 + i];
                if (to->view.data != NULL)
                    copy_out(i == 0 ? g.dk : g.dv, a.width[i], c->length, a.dim[i], 1,
                             act_row(&to->view, b * c->length) + kv * a.dim[i], to->view.stride,
                             to->add);
            }
        }
    }
}
