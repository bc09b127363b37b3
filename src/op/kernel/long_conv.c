/* long_conv: long calls by Fourier transforms (transform.h), short ones by direct sums
 * (long_conv_direct.h), and the choice between them. */
#include "op/kernel/long_conv_direct.h"
#include "op/kernel/transform.h"

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
    const bool few = c->length <= TOKENS && c->state[0].data != NULL;
    const bool pieces = plan.transform && plan.lags > plan.size;
    /* Work goes along a row where the past is long, else along the batch, which shares a filter. */
    const bool along = few || pieces || (plan.past > 0 && !plan.transform);
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
            if (few)
                count = i + 4 <= high && column + 4 * VL <= d ? 4 : 1;
            else if (along)
                count = (int)least(SR_LONG_CONV_SPAN, least(high - i, groups - group));
            if (few)
                tokens(&m, count);
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
