/* What forward and backward of gated_linear share: a thread's blocks, how the operands of a segment
 * come into them, and which heads a thread works on. */
#ifndef SR_OP_GATED_LINEAR_SEGMENT_H
#define SR_OP_GATED_LINEAR_SEGMENT_H

#include "op/gated_linear.h"
#include "op/kernel/lanes.h"
#include "op/kernel/product.h"

typedef struct work {
    const sr_call *c;
    int64_t K, V, columns, kw, vw; /* key and value channels, state columns; padded */
    int64_t segment, group;
    bool decays, before, normalised;
    float *q, *k, *a, *dq, *dk, *da; /* [segment][kw] */
    float *v, *g, *dv;               /* [segment][vw]; forward: g is the result */
    float *state;                    /* [kw][vw]; backward: see state_gradient() */
    float *states;                   /* a tile's, at every token */
} work;

static inline work work_of(const sr_call *c, float *region, bool backward) {
    work w = {.c = c,
              .K = c->attr.gated_linear.key_dim,
              .V = c->attr.gated_linear.value_dim,
              .columns = sr_gl_columns(c),
              .segment = sr_gl_segment(c),
              .group = sr_gl_group(c),
              .before = c->in[SR_GL_BONUS].cols > 0,
              .normalised = c->attr.gated_linear.epsilon > 0};
    w.decays = w.before || c->attr.gated_linear.decay != SR_DECAY_NONE;
    w.kw = sr_gl_pad(w.K);
    w.vw = sr_gl_pad(w.columns);
    float **keys[] = {&w.q, &w.k, &w.a, &w.dq, &w.dk, &w.da}, **values[] = {&w.v, &w.g, &w.dv};
    for (int i = 0; i < (backward ? 6 : 3); i++, region += w.segment * w.kw) *keys[i] = region;
    for (int i = 0; i < (backward ? 3 : 2); i++, region += w.segment * w.vw) *values[i] = region;
    w.states = region;
    w.state = region + (backward ? w.segment * SR_GL_BLOCK * SR_GL_BLOCK : 0);
    return w;
}

/* Tokens of segment s. */
static inline int64_t tokens_of(const work *w, int64_t s) {
    const int64_t left = w->c->length - s * w->segment;
    return left < w->segment ? left : w->segment;
}

/* Queries, times the scale, and keys of key head `kh` in n rows from r. */
static inline void load_keys(const work *w, int64_t r, int64_t n, int64_t kh) {
    const sr_view *q = &w->c->in[SR_GL_Q], *k = &w->c->in[SR_GL_K];
    copy_in(act_row(q, r) + kh * w->K, q->stride, n, w->K, (float)w->c->attr.gated_linear.scale,
            w->q, w->kw, 0);
    copy_in(act_row(k, r) + kh * w->K, k->stride, n, w->K, 1, w->k, w->kw, 0);
}

static inline void load_decays(const work *w, int64_t r, int64_t n, int64_t h) {
    const sr_view *g = &w->c->in[SR_GL_DECAY];
    const sr_decay kind = w->c->attr.gated_linear.decay;
    for (int64_t i = 0; i < n && w->decays; i++) {
        float *a = w->a + i * w->kw;
        if (kind == SR_DECAY_KEY) {
            const float *x = real_row(g, r + i) + h / w->group * w->K;
            for (int64_t d = 0; d < w->K; d += VL)
                v_storef(a + d, v_exp(real_load(x + d, w->K - d < VL ? (int)(w->K - d) : VL)));
            for (int64_t d = (w->K + VL - 1) / VL * VL; d < w->kw; d += VL)
                v_storef(a + d, v_set(1));
        } else {
            const vf x = kind == SR_DECAY_HEAD ? v_exp(v_set(real_row(g, r + i)[h])) : v_set(1);
            for (int64_t d = 0; d < w->kw; d += VL) v_storef(a + d, x);
        }
    }
}

static inline float step_at(const work *w, int64_t r, int64_t h) {
    return w->c->in[SR_GL_STEP].cols > 0 ? real_row(&w->c->in[SR_GL_STEP], r)[h] : 1;
}
static inline float skip_of(const work *w, int64_t h) {
    return w->c->in[SR_GL_SKIP].cols > 0 ? real_row(&w->c->in[SR_GL_SKIP], 0)[h] : 0;
}

static inline void load_values(const work *w, int64_t r, int64_t n, int64_t h) {
    const sr_view *v = &w->c->in[SR_GL_V];
    for (int64_t i = 0; i < n; i++) {
        copy_in(act_row(v, r + i) + h * w->V, 0, 1, w->V, step_at(w, r + i, h), w->v + i * w->vw,
                w->vw, 1);
        if (w->normalised) w->v[i * w->vw + w->V] = 1;
    }
}

/* Asks for rows of a head that come soon: they are too far apart for the processor to see them
 * coming. */
SR_INLINE void fetch(const sr_view *v, int64_t r, int64_t n, int64_t column, int64_t columns,
                     const bool write) {
    const int64_t size = (int64_t)sr_dtype_bytes(v->type);
    for (int64_t i = 0; i < n && v->data != NULL && v->cols > 0; i++) {
        const char *p = (const char *)v->data + ((r + i) * v->stride + column) * size;
        for (int64_t j = 0; j < columns * size; j += 64)
            if (write)
                __builtin_prefetch(p + j, 1, 2);
            else
                __builtin_prefetch(p + j, 0, 2);
    }
}
static inline void fetch_segment(const work *w, int64_t b, int64_t h, int64_t s, bool backward) {
    const sr_call *c = w->c;
    if (b >= c->batch) return;
    const bool by_key = c->attr.gated_linear.decay == SR_DECAY_KEY;
    const int64_t K = w->K, V = w->V, key = h / w->group * K, value = h * V,
                  r = b * c->length + s * w->segment, n = tokens_of(w, s);
    fetch(&c->in[SR_GL_Q], r, n, key, K, false);
    fetch(&c->in[SR_GL_K], r, n, key, K, false);
    fetch(&c->in[SR_GL_V], r, n, value, V, false);
    fetch(&c->in[SR_GL_DECAY], r, n, by_key ? key : h, by_key ? K : 1, false);
    fetch(backward ? &c->dout : &c->out, r, n, value, V, !backward);
    if (!backward) return;
    fetch(&c->din[SR_GL_Q].view, r, n, key, K, true);
    fetch(&c->din[SR_GL_K].view, r, n, key, K, true);
    fetch(&c->din[SR_GL_V].view, r, n, value, V, true);
    fetch(&c->din[SR_GL_DECAY].view, r, n, by_key ? key : h, by_key ? K : 1, true);
}

/* Heads first..last - 1 of sequence b, which read the same keys: what one thread works on. */
typedef struct part {
    int64_t b, first, last, number;
} part;

static inline part part_of_item(const work *w, int64_t item) {
    const int64_t parts = sr_gl_parts(w->c), KH = w->c->attr.gated_linear.key_heads,
                  number = item % parts, first = item / parts % KH * w->group;
    return (part){item / parts / KH, first + w->group * number / parts,
                  first + w->group * (number + 1) / parts, number};
}

/* Fetches what is worked on after head h and segment s of a part. */
static inline void fetch_next(const work *w, const part *p, int64_t h, int64_t s, bool backward) {
    const int64_t H = w->c->attr.gated_linear.heads, last = sr_gl_saves(w->c);
    if (h + 1 < p->last)
        fetch_segment(w, p->b, h + 1, s, backward);
    else if (backward ? s > 0 : s < last)
        fetch_segment(w, p->b, p->first, backward ? s - 1 : s + 1, backward);
    else
        fetch_segment(w, p->b + (p->last == H), p->last % H, backward ? last : 0, backward);
}

/* q . diag(bonus) k of token i of the segment, 0 without bonus; with `e`, also its gradient e into
 * those of q, k and the bonus. */
SR_INLINE float bonus_at(const work *w, int64_t kh, int64_t i, const float *e, float *dbonus) {
    if (!w->before) return 0;
    const float *u = real_row(&w->c->in[SR_GL_BONUS], 0) + kh * w->K;
    vf sum = {0};
    for (int64_t d = 0; d < w->K; d += VL) {
        const int n = w->K - d < VL ? (int)(w->K - d) : VL;
        const int64_t at = i * w->kw + d;
        const vf uk = real_load(u + d, n) * v_loadf(w->k + at), q = v_loadf(w->q + at);
        sum += q * uk;
        if (e == NULL) continue;
        v_storef(w->dq + at, v_loadf(w->dq + at) + *e * uk);
        v_storef(w->dk + at, v_loadf(w->dk + at) + *e * (q * real_load(u + d, n)));
        real_give(dbonus + kh * w->K + d, true, *e * (q * v_loadf(w->k + at)), n);
    }
    return e == NULL ? v_sum(sum) : 0;
}

/* The saved state of head h before segment s > 0, [K][vw]. */
static inline float *state_before(const work *w, int64_t b, int64_t h, int64_t s) {
    return (float *)w->c->saved +
           ((b * w->c->attr.gated_linear.heads + h) * sr_gl_saves(w->c) + s - 1) * w->K * w->vw;
}

#endif
