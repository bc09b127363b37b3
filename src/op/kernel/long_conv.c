/* long_conv: lanes are channels. One item of work is one vector of channels (a group) of one
 * sequence, packed into adjacent rows first. Long calls are transformed (transform.h), short ones
 * summed directly, single tokens straight from the state. */
#include "op/long_conv.h"
#include "op/kernel/transform.h"

enum { PAD = SR_LONG_CONV_PAD };

/* What an item reads and writes, at its channels. Rows of p before 0 are those of the state. */
typedef struct item {
    const sr_call *c;
    int64_t b, column;
    int lanes; /* channels: VL, or fewer in the last group */
    int64_t past;
} item;

static inline vf load(const act *p, int lanes) {
    return lanes == VL ? v_load(p) : v_load_n(p, lanes);
}
static inline vf loadf(const float *p, int lanes) {
    return lanes == VL ? v_loadf(p) : v_loadf_n(p, lanes);
}
static inline vf loadf16(const sr_half *p, int lanes) {
    if (lanes == VL) return v_loadf16(p);
    sr_half t[VL] = {0};
    memcpy(t, p, (size_t)lanes * sizeof *t);
    return v_loadf16(t);
}
static inline void store(act *p, vf v, int lanes) {
    if (lanes == VL)
        v_store(p, v);
    else
        v_store_n(p, v, lanes);
}
static inline void storef(float *p, vf v, int lanes) {
    if (lanes == VL)
        v_storef(p, v);
    else
        v_storef_n(p, v, lanes);
}

/* Packs rows [from, to) of an array of activations or floats, every `step` vectors, times sign. */
static inline void pack(vf *z, int step, const act *x, int64_t stride, int64_t from, int64_t to,
                        float sign, int lanes) {
    for (int64_t i = from; i < to; i++, z += step) *z = load(x + i * stride, lanes) * sign;
}
static inline void packf(vf *z, int step, const float *x, int64_t stride, int64_t from, int64_t to,
                         int lanes) {
    for (int64_t i = from; i < to; i++, z += step) *z = loadf(x + i * stride, lanes);
}
static inline void clear(vf *z, int step, int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++, z += step) *z = (vf){0};
}

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t state_row(const item *m, int64_t position) {
    const sr_state *s = &m->c->state[0];
    return (m->b * s->capacity + position % s->capacity) * s->width + m->column;
}

/* Rows [from, to) of p, state included; zero outside what there is. */
static void pack_p(const item *m, vf *z, int step, int64_t from, int64_t to, float sign) {
    const sr_call *c = m->c;
    int64_t a = least(most(from, -m->past), to), e = most(a, least(to, 0));
    clear(z, step, from, a);
    z += (a - from) * step;
    const sr_state *s = &c->state[0];
    while (a < e) { /* the pieces of the ring */
        int64_t at = state_row(m, c->position + a);
        int64_t end = least(e, a + s->capacity - (c->position + a) % s->capacity);
        for (; a < end; a++, z += step, at += s->width)
            *z = sign * (s->type == SR_F16 ? loadf16((const sr_half *)s->data + at, m->lanes)
                                           : loadf((const float *)s->data + at, m->lanes));
    }
    e = most(a, least(to, c->length));
    pack(z, step, act_row(&c->in[0], m->b * c->length) + m->column, c->in[0].stride, a, e, sign,
         m->lanes);
    clear(z + (e - a) * step, step, e, to);
}

static void write_state(const item *m) {
    const sr_call *c = m->c;
    if (c->state[0].data == NULL) return;
    for (int64_t t = most(0, c->length - c->state[0].capacity); t < c->length; t++) {
        const vf v = load(act_row(&c->in[0], m->b * c->length + t) + m->column, m->lanes);
        int64_t at = state_row(m, c->position + t);
        if (c->state[0].type == SR_F16) {
            sr_half t16[VL];
            v_storef16(t16, v);
            memcpy((sr_half *)c->state[0].data + at, t16, (size_t)m->lanes * sizeof *t16);
        } else {
            storef((float *)c->state[0].data + at, v, m->lanes);
        }
    }
}

static inline item nth_group(const item *m, int k) {
    item next = *m;
    next.column += k * VL;
    next.lanes = (int)least(VL, m->c->in[0].cols - next.column);
    return next;
}

/* Asks for what is needed next of the state (rows from..to of p) and of the filter, line after
 * line: taken group by group it would arrive one line of each row at a time. */
static void fetch_rows(const item *m, int count, int64_t from, int64_t to, int64_t lag,
                       int64_t lag_end) {
    const sr_call *c = m->c;
    const int64_t bytes = c->state[0].type == SR_F16 ? 2 : 4, width = (int64_t)count * VL;
    for (int64_t r = most(from, -m->past); r < least(to, 0); r++) {
        const char *p = (const char *)c->state[0].data + state_row(m, c->position + r) * bytes;
        for (int64_t i = 0; i < width * bytes; i += 64) __builtin_prefetch(p + i, 0, 2);
    }
    for (int64_t r = lag; r < lag_end; r++) {
        const char *p = (const char *)(real_row(&c->in[1], r) + m->column);
        for (int64_t i = 0; i < width * 4; i += 64) __builtin_prefetch(p + i, 0, 2);
    }
}

static inline void put(const sr_grad *g, int64_t r, int64_t column, vf v, int lanes) {
    act *p = act_row(&g->view, r) + column;
    store(p, g->add ? load(p, lanes) + v : v, lanes);
}
static inline void putf(const sr_grad *g, int64_t r, int64_t column, vf v, int lanes) {
    float *p = real_row(&g->view, r) + column;
    storef(p, g->add ? loadf(p, lanes) + v : v, lanes);
}

/* ---- direct sums ---- */

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

/* One token: a dot product over the state, for up to 4 groups at once. The state runs backwards in
 * at most two pieces. */
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

static void token(const item *m, int n) {
    const sr_call *c = m->c;
    const sr_state *s = &c->state[0];
    const int64_t stride = c->in[1].stride;
    const float *h = real_row(&c->in[1], 0) + m->column;
    const act *p = act_row(&c->in[0], m->b) + m->column;
    vf sum[4];
    for (int k = 0; k < n; k++) sum[k] = loadf(h + k * VL, m->lanes) * load(p + k * VL, m->lanes);
    for (int64_t lag = 1; lag <= m->past;) {
        const int64_t position = c->position - lag, at = state_row(m, position);
        const int64_t count = least(m->past - lag + 1, position % s->capacity + 1);
        if (s->type == SR_F16)
            dot16(sum, n, h + lag * stride, stride, (const sr_half *)s->data + at, s->width, count,
                  m->lanes);
        else
            dot(sum, n, h + lag * stride, stride, (const float *)s->data + at, s->width, count,
                m->lanes);
        lag += count;
    }
    act *y = act_row(&c->out, m->b) + m->column;
    for (int k = 0; k < n; k++) store(y + k * VL, sum[k], m->lanes);
}

/* ---- transforms ---- */

/* Rows low..high - 1 of an array, zeros around them. */
typedef struct source {
    const void *data;
    int64_t stride, low, high;
    int lanes;
} source;
SR_ALWAYS vf act_in(const void *rows, int64_t i) {
    const source *s = rows;
    if (i < s->low || i >= s->high) return (vf){0};
    return load((const act *)s->data + i * s->stride, s->lanes);
}
SR_ALWAYS vf float_in(const void *rows, int64_t i) {
    const source *s = rows;
    if (i < s->low || i >= s->high) return (vf){0};
    return loadf((const float *)s->data + i * s->stride, s->lanes);
}
SR_ALWAYS vf re_in(const void *rows, int64_t i) { return ((const cf *)rows)[i].re; }
SR_ALWAYS vf im_in(const void *rows, int64_t i) { return ((const cf *)rows)[i].im; }

static void split_filter(const item *m, const transform *f, cf *z, int64_t from) {
    const sr_view *h = &m->c->in[1];
    const source s = {real_row(h, from) + m->column, h->stride, 0, h->rows - from, m->lanes};
    split_rows(f, z, &s, float_in, NULL);
    parts_forward(f, z);
}

/* The top level of the transform of p from row `at` on. */
static void split_p(const item *m, const transform *f, cf *z, int64_t at) {
    const sr_call *c = m->c;
    if (at <= 0 && m->past == 0) { /* nothing before this block */
        const source s = {act_row(&c->in[0], m->b * c->length + at) + m->column, c->in[0].stride,
                          -at, c->length - at, m->lanes};
        split_rows(f, z, &s, act_in, NULL);
        return;
    }
    pack_p(m, &z->re, 2, at, at + f->size, 1);
    pack_p(m, &z->im, 2, at - f->size, at, -1);
    split_rows(f, z, z, re_in, im_in);
}

typedef struct target {
    const item *m;
    int64_t from;   /* row of the call that row 0 is */
    float *partial; /* of the filter gradient: rows of `width`, `lags` of them */
    int64_t width, lags;
} target;
SR_ALWAYS void y_out(const void *rows, int64_t i, vf v) {
    const target *t = rows;
    const sr_call *c = t->m->c;
    store(act_row(&c->out, t->m->b * c->length + t->from + i) + t->m->column, v, t->m->lanes);
}
static void join_y(const item *m, const transform *f, cf *z, int64_t from) {
    const target t = {m, from, NULL, 0, 0};
    join_rows(f, z, &t, y_out, m->c->length - from);
}

/* The filter fits into one block. */
static void transformed_forward(const item *m, const transform *f, cf *z, cf *h, bool new_filter) {
    if (new_filter) split_filter(m, f, h, 0);
    for (int64_t from = 0; from < m->c->length; from += f->size) {
        split_p(m, f, z, from);
        parts_convolve(f, z, h);
        join_y(m, f, z, from);
    }
}

/* The call fits into one block, the filter does not: its blocks, with the past that each of them
 * meets, are summed as spectra (uniformly partitioned convolution). `count` adjacent groups. */
static void partitioned_forward(const item *first, int count, const sr_long_conv_plan *plan,
                                const transform *f, cf *z) {
    const int64_t size = f->size;
    cf *h = z + size, *sum = h + size;
    for (int64_t lag = 0; lag < plan->lags; lag += size) {
        fetch_rows(first, count, -lag - size, -lag, lag, least(lag + size, plan->lags));
        for (int k = 0; k < count; k++) {
            const item m = nth_group(first, k);
            split_p(&m, f, z, -lag);
            parts_forward(f, z);
            split_filter(&m, f, h, lag);
            multiply(f, sum + k * size, z, h, lag > 0);
        }
    }
    for (int k = 0; k < count; k++) {
        const item m = nth_group(first, k);
        parts_inverse(f, sum + k * size);
        join_y(&m, f, sum + k * size, 0);
    }
}

SR_ALWAYS void dp_out(const void *rows, int64_t i, vf v) {
    const target *t = rows;
    put(&t->m->c->din[0], (t->m->b + 1) * t->m->c->length - 1 - t->from - i, t->m->column, v,
        t->m->lanes);
}

/* As direct_backward(), in blocks from the end; the spectrum of the filter gradient is summed. */
static void transformed_backward(const item *m, const transform *f, cf *z, cf *g, cf *prev,
                                 const cf *h, cf *dh) {
    const sr_call *c = m->c;
    const int64_t size = f->size, n = c->length;
    for (int64_t from = 0; from < n; from += size) {
        const int64_t count = least(size, n - from), last = (m->b + 1) * n - 1 - from;
        const source dy = {act_row(&c->dout, last) + m->column, -c->dout.stride, 0, count,
                           m->lanes};
        split_rows(f, g, &dy, act_in, NULL);
        parts_forward(f, g);
        if (dh != NULL) {
            split_p(m, f, z, n - from - size);
            parts_forward(f, z);
            multiply(f, dh, g, z, true);
        }
        if (h != NULL) {
            if (from > 0)
                for (int64_t i = 0; i < size; i++)
                    z[i] = (cf){g[i].re + prev[i].im, g[i].im - prev[i].re};
            multiply(f, z, from > 0 ? z : g, h, false);
            parts_inverse(f, z);
            const target t = {m, from, NULL, 0, 0};
            join_rows(f, z, &t, dp_out, count);
        }
        cf *swap = prev;
        prev = g;
        g = swap;
    }
}

/* ---- the calls ---- */

static transform begin(const sr_call *c, const sr_long_conv_plan *plan) {
    return plan->transform ? transform_make(plan->size, c->scratch) : (transform){0};
}

void SR_KERNEL(long_conv_forward)(const sr_call *c) {
    const sr_long_conv_plan plan = sr_long_conv_plan_of(c, false);
    const transform f = begin(c, &plan);
    const int64_t d = c->in[0].cols, groups = (d + VL - 1) / VL;
    const int64_t share = sr_long_conv_share(&plan, c, false);
    const bool single = c->length == 1 && c->state[0].data != NULL;
    const bool pieces = plan.transform && plan.lags > plan.size;
    /* Work goes along a row where the past is long, else along the batch, which shares a filter. */
    const bool along = single || pieces || (plan.past > 0 && !plan.transform);
#pragma omp parallel num_threads(c->threads)
    {
        if (plan.transform) {
            transform_fill(&f);
#pragma omp barrier
        }
        float *own = (float *)c->scratch + sr_long_conv_table(&plan) + share * omp_get_thread_num();
        int64_t low, high;
        sr_share(groups * c->batch, 1, &low, &high);
        for (int64_t i = low; i < high;) {
            const int64_t group = along ? i % groups : i / c->batch, column = group * VL;
            const item m = {c, along ? i / groups : i % c->batch, column,
                            (int)least(VL, d - column), plan.past};
            const bool new_filter = i == low || m.b == 0;
            int count = 1;
            if (single)
                count = i + 4 <= high && column + 4 * VL <= d ? 4 : 1;
            else if (along)
                count = (int)least(SR_LONG_CONV_SPAN, least(high - i, groups - group));
            if (single)
                token(&m, count);
            else if (pieces)
                partitioned_forward(&m, count, &plan, &f, (cf *)own);
            else if (plan.transform)
                transformed_forward(&m, &f, (cf *)own, (cf *)own + plan.size, new_filter);
            else
                direct_forward(&m, count, &plan, (vf *)own, new_filter);
            for (int k = 0; k < count; k++) {
                const item w = nth_group(&m, k);
                write_state(&w);
            }
            i += count;
        }
    }
}

static inline void emit_dh(const target *t, int64_t lag, vf v) {
    if (t->partial != NULL)
        v_storef(t->partial + lag * t->width, v);
    else
        putf(&t->m->c->din[1], lag, t->m->column, v, t->m->lanes);
}
SR_ALWAYS void dh_out(const void *rows, int64_t i, vf v) { /* row t->from is lag 0, backwards */
    const target *t = rows;
    const int64_t lag = t->from - i;
    if (lag < t->lags) emit_dh(t, lag, v);
}

/* One group and one part of the batch. `partial`: where this part's filter gradient goes, NULL for
 * the gradient itself. */
static void backward_part(const item *group, const sr_long_conv_plan *plan, const transform *f,
                          vf *own, int64_t low, int64_t high, float *partial, int64_t width) {
    const sr_call *c = group->c;
    const bool want_p = c->din[0].view.data != NULL, want_h = c->din[1].view.data != NULL;
    const int64_t size = plan->size, n = c->length;
    item m = *group;
    cf *z = (cf *)own, *h = z + 3 * size, *dh = z + 4 * size;
    vf *filter = own, *sum = filter + plan->lags, *p = sum + plan->lags;
    if (plan->transform) {
        if (want_p) split_filter(&m, f, h, 0);
        clear(&dh->re, 1, 0, 2 * size);
    } else {
        packf(filter, 1, real_row(&c->in[1], 0) + m.column, c->in[1].stride, 0, plan->lags,
              m.lanes);
        clear(sum, 1, 0, plan->lags);
    }
    for (m.b = low; m.b < high; m.b++) {
        if (plan->transform)
            transformed_backward(&m, f, z, z + size, z + 2 * size, want_p ? h : NULL,
                                 want_h ? dh : NULL);
        else
            direct_backward(&m, plan, p, p + n + 2 * PAD, want_p ? filter : NULL,
                            want_h ? sum : NULL);
    }
    if (!want_h) return;
    target t = {&m, size - 1, partial, width, plan->lags};
    if (plan->transform) {
        parts_inverse(f, dh);
        join_rows(f, dh, &t, dh_out, size);
    } else {
        for (int64_t s = 0; s < plan->lags; s++) emit_dh(&t, s, sum[s]);
    }
    for (int64_t s = plan->lags; s < c->in[1].rows && partial == NULL && !c->din[1].add; s++)
        putf(&c->din[1], s, m.column, (vf){0}, m.lanes);
}

void SR_KERNEL(long_conv_backward)(const sr_call *c) {
    const sr_long_conv_plan plan = sr_long_conv_plan_of(c, true);
    const transform f = begin(c, &plan);
    const int64_t d = c->in[0].cols, groups = (d + VL - 1) / VL, parts = plan.parts;
    const int64_t width = (d + SR_LONG_CONV_LANES - 1) / SR_LONG_CONV_LANES * SR_LONG_CONV_LANES;
    const int64_t share = sr_long_conv_share(&plan, c, true);
    float *shares = (float *)c->scratch + sr_long_conv_table(&plan);
    float *partials = shares + share * c->threads;
    const sr_grad *dh = &c->din[1];
#pragma omp parallel num_threads(c->threads)
    {
        if (plan.transform) {
            transform_fill(&f);
#pragma omp barrier
        }
        int64_t low, high;
        sr_share(groups * parts, 1, &low, &high);
        for (int64_t i = low; i < high; i++) {
            const int64_t column = i / parts * VL, part = i % parts;
            const item m = {c, 0, column, (int)least(VL, d - column), 0};
            float *partial = parts > 1 ? partials + part * plan.lags * width + column : NULL;
            backward_part(&m, &plan, &f, (vf *)(shares + share * omp_get_thread_num()),
                          c->batch * part / parts, c->batch * (part + 1) / parts, partial, width);
        }
#pragma omp barrier
        sr_share(parts > 1 && dh->view.data != NULL ? dh->view.rows : 0, 1, &low, &high);
        for (int64_t s = low; s < high; s++)
            for (int64_t j = 0; j < d; j += VL) {
                vf v = {0};
                for (int64_t k = 0; k < parts && s < plan.lags; k++)
                    v += v_loadf(partials + (k * plan.lags + s) * width + j);
                putf(dh, s, j, v, (int)least(VL, d - j));
            }
    }
}
