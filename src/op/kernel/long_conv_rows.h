/* long_conv: what an item of work reads and writes, and the packing of its rows. Lanes are
 * channels: an item is one vector of channels (a group) of one sequence. */
#ifndef SR_OP_KERNEL_LONG_CONV_ROWS_H
#define SR_OP_KERNEL_LONG_CONV_ROWS_H

#include "op/long_conv.h"
#include "op/vec.h"

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

#endif
