/* One key-value head as the attention kernels see it: its sizes, its keys and values in f32, and a
 * look ahead at the rows that come next. */
#ifndef SR_OP_ATTENTION_HEAD_H
#define SR_OP_ATTENTION_HEAD_H

#include "op/attention.h"
#include "op/kernel/attention_tile.h"

enum { KEYS = SR_ATTENTION_KEYS };

typedef struct head {
    const sr_call *c;
    sr_map_kind map;
    int dim[2];         /* channels of queries and keys, of values and outputs */
    int64_t width[2];   /* padded: row strides of keys and of values */
    int64_t rows[2];    /* padded to ROWS */
    int group;          /* query heads that share keys */
    int64_t past, keys; /* keys before this call; all keys */
    int64_t window;
    float scale;  /* of the queries: with log2(e) for softmax */
    float *k, *v; /* [keys][width] */
    float *work;  /* the rest of the thread's scratch */
} head;

static inline head head_of(const sr_call *c) {
    head a = {.c = c,
              .map = c->attr.attention.map,
              .group = c->attr.attention.heads / c->attr.attention.kv_heads,
              .past = sr_attention_past(c),
              .window = c->attr.attention.window,
              .scale = (float)c->attr.attention.scale};
    if (a.map == SR_MAP_SOFTMAX) a.scale = (float)(c->attr.attention.scale * LOG2E);
    for (int i = 0; i < 2; i++) {
        a.dim[i] = sr_attention_dim(c, i);
        a.width[i] = sr_attention_width(c, i);
        a.rows[i] = (a.dim[i] + ROWS - 1) / ROWS * ROWS;
    }
    a.keys = a.past + c->length;
    return a;
}

/* Lays keys and values out at the start of a region of scratch. */
static inline void place_keys(head *a, float *region) {
    const int64_t rows = sr_attention_padded(a->keys);
    a->k = region;
    a->v = a->k + rows * a->width[0];
    a->work = a->v + rows * a->width[1];
}

static inline void copy_past(const sr_state *s, int64_t row, int col, int n, float *to,
                             int64_t width) {
    const int whole = n / VL * VL;
    const sr_half *half = (const sr_half *)s->data + row * s->width + col;
    const float *full = (const float *)s->data + row * s->width + col;
    int j = 0;
    for (; j < whole; j += VL)
        v_storef(to + j, s->type == SR_F16 ? v_loadf16(half + j) : v_loadf(full + j));
    for (; j < n; j++) to[j] = s->type == SR_F16 ? (float)half[j] : full[j];
    for (; j < width; j++) to[j] = 0;
}

/* Keys (which = 0) or values (1) [low, high) of a key-value head, from the ring and from this call,
 * in rows of their width. */
static inline void load_keys(const head *a, int which, int64_t b, int kv, int64_t low, int64_t high,
                             float *to) {
    const sr_call *c = a->c;
    const sr_state *s = &c->state[which];
    const int dim = a->dim[which];
    const int64_t width = a->width[which];
    int64_t n = low;
    for (; n < high && n < a->past; n++, to += width)
        copy_past(s, b * s->capacity + (c->position - a->past + n) % s->capacity, kv * dim, dim, to,
                  width);
    if (n < high)
        copy_in(act_row(&c->in[1 + which], b * c->length + n - a->past) + kv * dim,
                c->in[1 + which].stride, high - n, dim, 1, to, width, high - n);
}

/* Zero rows after the last key: products read whole ROWS. */
static inline void end_keys(const head *a) {
    const size_t bytes = (size_t)(sr_attention_padded(a->keys) - a->keys) * sizeof(float);
    memset(a->k + a->keys * a->width[0], 0, bytes * (size_t)a->width[0]);
    memset(a->v + a->keys * a->width[1], 0, bytes * (size_t)a->width[1]);
}

/* The first key that a query sees; the query of token t sits on key past + t. */
static inline int64_t first_key(const head *a, int64_t t) {
    int64_t first = a->window > 0 ? a->past + t - a->window + 1 : 0;
    return first > 0 ? first : 0;
}

/* The rows of the head that comes next, brought nearer a few at a time during the work on this one.
 * Heads lie side by side in a row, so the rows of one are far apart and the processor does not see
 * them coming. */
typedef struct ahead {
    const sr_view *view[8];
    int col[8], dim[8]; /* its first column and number of columns */
    int views, written; /* the last `written` views are going to be written */
    int64_t row, end, step;
} ahead;

/* Head h of a view, `dim` columns a head. */
static inline void look_at(ahead *f, const sr_view *v, int h, int dim) {
    if (v->data == NULL) return;
    f->view[f->views] = v;
    f->col[f->views] = h * dim;
    f->dim[f->views++] = dim;
}

static inline ahead look_ahead(const head *a, int64_t b, int h, bool backward) {
    const sr_call *c = a->c;
    ahead f = {.step = 0};
    if (++h == c->attr.attention.heads) h = 0, b++;
    if (b == c->batch) return f;
    const int kv = h / a->group, key = a->dim[0], value = a->dim[1];
    const bool keys = h % a->group == 0;
    look_at(&f, &c->in[0], h, key);
    for (int i = 0; keys && i < 2; i++) look_at(&f, &c->in[1 + i], kv, a->dim[i]);
    if (backward) look_at(&f, &c->out, h, value), look_at(&f, &c->dout, h, value);
    f.written = -f.views;
    if (backward)
        look_at(&f, &c->din[0].view, h, key);
    else
        look_at(&f, &c->out, h, value);
    for (int i = 0; backward && keys && i < 2; i++) look_at(&f, &c->din[1 + i].view, kv, a->dim[i]);
    f.written += f.views;
    int64_t steps = 0;
    for (int64_t t = 0; t < c->length; t += LANES)
        steps += 2 * ((a->past + t + LANES - first_key(a, t)) / KEYS + 1);
    f.row = b * c->length;
    f.end = f.row + c->length;
    f.step = c->length / steps + 1;
    return f;
}

static inline void fetch(ahead *f) {
    const int64_t end = f->end < f->row + f->step ? f->end : f->row + f->step;
    for (; f->row < end; f->row++)
        for (int v = 0; v < f->views; v++) {
            const char *p = (const char *)(act_row(f->view[v], f->row) + f->col[v]);
            for (size_t i = 0; i < (size_t)f->dim[v] * sizeof(act); i += 64)
                if (v < f->views - f->written)
                    __builtin_prefetch(p + i, 0, 2);
                else
                    __builtin_prefetch(p + i, 1, 2);
        }
}

/* Divides a tile of outputs (lanes are queries t0 ...) by the sums of weights or, without a
 * softmax, by position + 1, stores it, and saves log-sum-exps in base 2; `scale` is of the
 * maxima. */
static inline void finish_forward(const head *a, int64_t b, int h, int64_t t0, float *out,
                                  const float *maxima, float *sums, float scale) {
    const sr_call *c = a->c;
    const int64_t n = c->length - t0 < LANES ? c->length - t0 : LANES, row = b * c->length + t0;
    for (int v = 0; v < 2; v++) {
        if (a->map != SR_MAP_SOFTMAX)
            for (int i = v * VL; i < (v + 1) * VL; i++) sums[i] = (float)(c->position + t0 + i + 1);
        const vf factor = 1.0f / v_loadf(sums + v * VL);
        for (int64_t d = 0; d < a->dim[1]; d++) {
            float *p = out + d * LANES + v * VL;
            v_storef(p, v_loadf(p) * factor);
        }
    }
    transpose_out(out, LANES, n, a->dim[1], 1, act_row(&c->out, row) + h * a->dim[1], c->out.stride,
                  false);
    if (c->saved != NULL && a->map == SR_MAP_SOFTMAX)
        for (int64_t i = 0; i < n; i++)
            ((float *)c->saved)[(row + i) * c->attr.attention.heads + h] =
                maxima[i] * scale + log2f(sums[i]);
}

/* What gradient_lanes() wants to know of queries t0 ...: for softmax the log-sum-exp and the
 * product of dout and out, otherwise 1 / (position + 1); zeros after the last. */
static inline void query_statistics(const head *a, int64_t b, int h, int64_t t0, float *statistic,
                                    float *total) {
    const sr_call *c = a->c;
    const int64_t n = c->length - t0 < LANES ? c->length - t0 : LANES, row = b * c->length + t0;
    const int dim = a->dim[1];
    for (int64_t i = 0; i < LANES; i++) {
        statistic[i] = total[i] = 0;
        if (i >= n) continue;
        statistic[i] = 1 / (float)(c->position + t0 + i + 1);
        if (a->map != SR_MAP_SOFTMAX) continue;
        statistic[i] = ((const float *)c->saved)[(row + i) * c->attr.attention.heads + h];
        const act *y = act_row(&c->out, row + i) + h * dim,
                  *dy = act_row(&c->dout, row + i) + h * dim;
        vf sums = {0};
        int d = 0;
        for (; d + VL <= dim; d += VL) sums += v_load(y + d) * v_load(dy + d);
        if (d < dim) sums += v_load_n(y + d, dim - d) * v_load_n(dy + d, dim - d);
        total[i] = v_sum(sums);
    }
}

#endif
