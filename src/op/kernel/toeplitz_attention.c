/* toeplitz_attention in tiles of CHUNK x CHUNK scores, each weighted by a stretch of the filter.
 *
 * A table has every head's filter with zeros on both sides, so that lags before 0 (keys after the
 * query) and past its end need no test. Work is cut into (sequence, head) pairs. In a tile the
 * lanes are queries forward, keys backward; backward the table is reversed, so that lags still
 * change along the lanes by one. */
#include "op/toeplitz_attention.h"
#include "op/kernel/lanes.h"
#include "op/kernel/product.h"

enum { CHUNK = SR_TOEPLITZ_CHUNK, PAD = SR_TOEPLITZ_PAD };

typedef struct head {
    const sr_call *c;
    int dim[2];                /* channels of queries and keys (0), of values and outputs (1) */
    int64_t width[2], rows[2]; /* padded to vectors, and to ROWS */
    int64_t past, lags, span;
    const float *h; /* the table's row of this head */
    int64_t b, column[2];
} head;

/* Where lag 0 lies in a row of the table, which runs backwards in time when reversed. */
static inline int64_t origin(int64_t span, bool reversed) {
    return reversed ? span - 1 - PAD : PAD;
}

/* The table, by all threads together; inside a parallel region. */
static void fill_table(const sr_call *c, bool reversed) {
    const int64_t span = sr_toeplitz_span(c), lags = sr_toeplitz_lags(c);
    float *table = c->scratch;
#pragma omp for
    for (int64_t g = 0; g < c->attr.attention.heads; g++) {
        float *zero = table + g * span + origin(span, reversed);
        memset(table + g * span, 0, (size_t)span * sizeof(float));
        for (int64_t s = 0; s < lags; s++) zero[reversed ? -s : s] = real_row(&c->in[3], s)[g];
    }
}

/* Pair `item` of batch x heads. */
static head head_of(const sr_call *c, int64_t item) {
    const int H = c->attr.attention.heads;
    const int64_t span = sr_toeplitz_span(c);
    head a = {.c = c,
              .past = sr_toeplitz_past(c),
              .lags = sr_toeplitz_lags(c),
              .span = span,
              .h = (const float *)c->scratch + item % H * span,
              .b = item / H};
    for (int i = 0; i < 2; i++) {
        a.dim[i] = sr_toeplitz_dim(c, i);
        a.width[i] = sr_toeplitz_width(c, i);
        a.rows[i] = (a.dim[i] + ROWS - 1) / ROWS * ROWS;
        a.column[i] = item % H * a.dim[i];
    }
    return a;
}
static float *region_of(const sr_call *c, bool backward) {
    return (float *)c->scratch + c->attr.attention.heads * sr_toeplitz_span(c) +
           sr_toeplitz_region(c, backward) * omp_get_thread_num();
}

/* The head's columns of a view like keys (which = 0) or like values (1), from token t on. */
static act *rows_of(const head *a, const sr_view *v, int which, int64_t t) {
    return act_row(v, a->b * a->c->length + t) + a->column[which];
}
/* Tokens of a chunk that exist. */
static int64_t count(const head *a, int64_t t0) {
    return a->c->length - t0 < CHUNK ? a->c->length - t0 : CHUNK;
}
static int64_t ring_at(const head *a, int which, int64_t t) {
    const sr_state *s = &a->c->state[which];
    return (a->b * s->capacity + (a->c->position + t) % s->capacity) * s->width + a->column[which];
}

/* Keys (which = 0) or values (1) of tokens j0 .. j0 + CHUNK, from the ring before token 0; zeros
 * where there are none. */
static void load_keys(const head *a, int which, int64_t j0, float *to) {
    const sr_call *c = a->c;
    const sr_state *s = &c->state[which];
    const sr_view *x = &c->in[1 + which];
    const int dim = a->dim[which], whole = dim / VL * VL;
    const int64_t width = a->width[which];
    int64_t j = j0;
    for (; j < 0 && j < j0 + CHUNK; j++, to += width) {
        memset(to, 0, (size_t)width * sizeof(float));
        if (j < -a->past) continue;
        const int64_t at = ring_at(a, which, j + s->capacity);
        const sr_half *half = (const sr_half *)s->data + at;
        const float *full = (const float *)s->data + at;
        for (int d = 0; d < whole; d += VL)
            v_storef(to + d, s->type == SR_F16 ? v_loadf16(half + d) : v_loadf(full + d));
        for (int d = whole; d < dim; d++) to[d] = s->type == SR_F16 ? (float)half[d] : full[d];
    }
    if (j == j0 + CHUNK) return;
    const int64_t end = j0 + CHUNK < c->length ? j0 + CHUNK : c->length;
    copy_in(rows_of(a, x, which, j), x->stride, end - j, dim, 1, to, width, j0 + CHUNK - j);
}

/* The call's last keys and values into the rings. */
static void write_rings(const head *a) {
    for (int which = 0; which < 2; which++) {
        const sr_state *s = &a->c->state[which];
        if (s->data == NULL) continue;
        for (int64_t t = a->c->length > s->capacity ? a->c->length - s->capacity : 0;
             t < a->c->length; t++) {
            const act *x = rows_of(a, &a->c->in[1 + which], which, t);
            const int64_t at = ring_at(a, which, t);
            for (int d = 0; d < a->dim[which]; d += VL) {
                const int n = a->dim[which] - d < VL ? a->dim[which] - d : VL;
                const vf v = act_load(x + d, n);
                sr_half half[VL];
                v_storef16(half, v);
                if (s->type == SR_F16)
                    memcpy((sr_half *)s->data + at + d, half, (size_t)n * sizeof *half);
                else
                    real_store((float *)s->data + at + d, v, n);
            }
        }
    }
}

/* The first tile of keys that a query at token t reaches; tiles begin at multiples of CHUNK. */
static int64_t first_keys(const head *a, int64_t t) {
    int64_t first = t - a->lags + 1 > -a->past ? t - a->lags + 1 : -a->past;
    first = first >= 0 ? first / CHUNK : -((CHUNK - 1 - first) / CHUNK);
    return first * CHUNK;
}

static void forward_head(const head *a, float *region) {
    const sr_call *c = a->c;
    const int64_t kw = a->width[0], vw = a->width[1];
    float *k = region, *v = k + CHUNK * kw, *q = v + CHUNK * vw, *out = q + CHUNK * kw,
          *s = out + CHUNK * vw;
    for (int64_t t0 = 0; t0 < c->length; t0 += CHUNK) {
        const int64_t n = count(a, t0), first = first_keys(a, t0);
        transpose_in(rows_of(a, &c->in[0], 0, t0), c->in[0].stride, n, a->dim[0],
                     (float)c->attr.attention.scale, q, CHUNK);
        for (int64_t j0 = first; j0 <= t0; j0 += CHUNK) {
            load_keys(a, 0, j0, k);
            load_keys(a, 1, j0, v);
            product(CHUNK, CHUNK, a->dim[0], k, kw, q, CHUNK, s, CHUNK, false);
            for (int j = 0; j < CHUNK; j++) {
                const float *h = a->h + origin(a->span, false) + t0 - j0 - j;
                for (int i = 0; i < CHUNK; i += VL)
                    v_storef(s + j * CHUNK + i, v_loadf(s + j * CHUNK + i) * v_loadf(h + i));
            }
            product_t(a->rows[1], CHUNK, CHUNK, v, vw, s, CHUNK, out, CHUNK, j0 > first);
        }
        transpose_out(out, CHUNK, n, a->dim[1], 1, rows_of(a, &c->out, 1, t0), c->out.stride,
                      false);
    }
}

/* One token: scores of VL keys at a time, then the elements of the head as lanes. */
static void forward_token(const head *a, int64_t t, float *region) {
    const sr_call *c = a->c;
    const int64_t kw = a->width[0], vw = a->width[1];
    float *k = region, *v = k + CHUNK * kw, *q = v + CHUNK * vw, *out = q + kw;
    copy_in(rows_of(a, &c->in[0], 0, t), 0, 1, a->dim[0], (float)c->attr.attention.scale, q, kw, 1);
    memset(out, 0, (size_t)vw * sizeof(float));
    for (int64_t j0 = first_keys(a, t); j0 <= t; j0 += CHUNK) {
        load_keys(a, 0, j0, k);
        load_keys(a, 1, j0, v);
        const float *h = a->h + origin(a->span, false) + t - j0;
        vf x[CHUNK];
        float s[CHUNK];
        for (int j = 0; j < CHUNK; j++) {
            x[j] = (vf){0};
            for (int64_t d = 0; d < kw; d += VL) x[j] += v_loadf(k + j * kw + d) * v_loadf(q + d);
        }
        lane_sums(x, CHUNK, s);
        for (int64_t d = 0; d < vw; d += VL) {
            vf even = v_loadf(out + d), odd = {0};
            for (int j = 0; j < CHUNK; j += 2) {
                even += s[j] * h[-j] * v_loadf(v + j * vw + d);
                odd += s[j + 1] * h[-j - 1] * v_loadf(v + (j + 1) * vw + d);
            }
            v_storef(out + d, even + odd);
        }
    }
    copy_out(out, vw, 1, a->dim[1], 1, rows_of(a, &c->out, 1, t), c->out.stride, false);
}

void SR_KERNEL(toeplitz_attention_forward)(const sr_call *c) {
    const bool tokens = c->state[0].data != NULL && c->length < 4;
#pragma omp parallel num_threads(c->threads)
    {
        fill_table(c, false);
        float *region = region_of(c, false);
        int64_t low, high;
        sr_share(c->batch * c->attr.attention.heads, 1, &low, &high);
        for (int64_t item = low; item < high; item++) {
            const head a = head_of(c, item);
            if (!tokens) forward_head(&a, region);
            for (int64_t t = 0; tokens && t < c->length; t++) forward_token(&a, t, region);
            write_rings(&a);
        }
    }
}

/* A thread's region in the backward pass. */
typedef struct room {
    float *q, *dq, *g;            /* [length padded][width]: scaled queries, output gradients */
    float *k, *kt, *vt, *dk, *dv; /* [CHUNK][width], and transposed */
    float *s, *e;                 /* [CHUNK queries][CHUNK keys] */
    float *dh;                    /* [heads][span], as the table */
} room;

static room room_of(const sr_call *c, float *p) {
    const int64_t kw = sr_toeplitz_width(c, 0), vw = sr_toeplitz_width(c, 1),
                  all = sr_toeplitz_rounded(c->length, CHUNK);
    room r = {.q = p, .dq = p + all * kw, .g = p + 2 * all * kw};
    p += all * (2 * kw + vw);
    float **of_keys[] = {&r.k, &r.kt, &r.dk}, **of_values[] = {&r.vt, &r.dv};
    for (int i = 0; i < 3; i++, p += CHUNK * kw) *of_keys[i] = p;
    for (int i = 0; i < 2; i++, p += CHUNK * vw) *of_values[i] = p;
    r.s = p;
    r.e = p + CHUNK * CHUNK;
    r.dh = p + 2 * CHUNK * CHUNK;
    return r;
}

/* With s = scale q_i . k_j and e = g_i . v_j in one tile: dh[i - j] += s e; then both are weighted
 * with h[i - j]. */
static void weigh(const float *h, float *dh, float *s, float *e) {
    for (int i = 0; i < CHUNK; i++, h--, dh--)
        for (int j = 0; j < CHUNK; j += VL, s += VL, e += VL) {
            const vf x = v_loadf(s), y = v_loadf(e), f = v_loadf(h + j);
            v_storef(dh + j, v_loadf(dh + j) + x * y);
            v_storef(s, x * f);
            v_storef(e, y * f);
        }
}

/* Gradients of keys (which = 0) or values (1). */
static void give_transposed(const head *a, const float *from, int which, int64_t t0) {
    const sr_grad *to = &a->c->din[1 + which];
    if (to->view.data == NULL) return;
    transpose_out(from, CHUNK, count(a, t0), a->dim[which], 1, rows_of(a, &to->view, which, t0),
                  to->view.stride, to->add);
}

/* dq_i = scale sum of h e k_j, dk_j = scale sum of h e q_i, dv_j = sum of h s g_i. */
static void backward_head(const head *a, const room *r) {
    const sr_call *c = a->c;
    const int64_t kw = a->width[0], vw = a->width[1], all = sr_toeplitz_rounded(c->length, CHUNK);
    const float scale = (float)c->attr.attention.scale;
    const sr_grad *dq = &c->din[0];
    float *dh = r->dh + (a->h - (const float *)c->scratch);
    copy_in(rows_of(a, &c->in[0], 0, 0), c->in[0].stride, c->length, a->dim[0], scale, r->q, kw,
            all);
    copy_in(rows_of(a, &c->dout, 1, 0), c->dout.stride, c->length, a->dim[1], 1, r->g, vw, all);
    memset(r->dq, 0, (size_t)(all * kw) * sizeof(float));
    for (int64_t j0 = 0; j0 < c->length; j0 += CHUNK) {
        const int64_t n = count(a, j0);
        load_keys(a, 0, j0, r->k);
        transpose_in(rows_of(a, &c->in[1], 0, j0), c->in[1].stride, n, a->dim[0], 1, r->kt, CHUNK);
        transpose_in(rows_of(a, &c->in[2], 1, j0), c->in[2].stride, n, a->dim[1], 1, r->vt, CHUNK);
        for (int64_t t0 = j0; t0 < c->length && t0 - j0 - (CHUNK - 1) < a->lags; t0 += CHUNK) {
            const int64_t lag0 = origin(a->span, true) - (t0 - j0);
            const float *q = r->q + t0 * kw, *g = r->g + t0 * vw;
            product(CHUNK, CHUNK, a->dim[0], q, kw, r->kt, CHUNK, r->s, CHUNK, false);
            product(CHUNK, CHUNK, a->dim[1], g, vw, r->vt, CHUNK, r->e, CHUNK, false);
            weigh(a->h + lag0, dh + lag0, r->s, r->e);
            product_t(a->rows[0], CHUNK, CHUNK, q, kw, r->e, CHUNK, r->dk, CHUNK, t0 > j0);
            product_t(a->rows[1], CHUNK, CHUNK, g, vw, r->s, CHUNK, r->dv, CHUNK, t0 > j0);
            product(CHUNK, kw, CHUNK, r->e, CHUNK, r->k, kw, r->dq + t0 * kw, kw, true);
        }
        give_transposed(a, r->dk, 0, j0);
        give_transposed(a, r->dv, 1, j0);
    }
    if (dq->view.data != NULL)
        copy_out(r->dq, kw, c->length, a->dim[0], scale, rows_of(a, &dq->view, 0, 0),
                 dq->view.stride, dq->add);
}

void SR_KERNEL(toeplitz_attention_backward)(const sr_call *c) {
    const int64_t H = c->attr.attention.heads, span = sr_toeplitz_span(c);
    const int64_t lags = sr_toeplitz_lags(c), region = sr_toeplitz_region(c, true);
    const sr_grad *dh = &c->din[3];
    float *regions = (float *)c->scratch + H * span;
#pragma omp parallel num_threads(c->threads)
    {
        fill_table(c, true);
        const room r = room_of(c, region_of(c, true));
        memset(r.dh, 0, (size_t)(H * span) * sizeof(float));
        int64_t low, high;
        sr_share(c->batch * H, 1, &low, &high);
        for (int64_t item = low; item < high; item++) {
            const head a = head_of(c, item);
            backward_head(&a, &r);
        }
#pragma omp barrier
        /* The filter gradient: the threads' sums, in order of thread. */
        const int used = omp_get_num_threads();
        sr_share(dh->view.data != NULL ? dh->view.rows : 0, 1, &low, &high);
        for (int64_t s = low; s < high; s++)
            for (int64_t g = 0; g < H; g++) {
                float sum = 0, *to = real_row(&dh->view, s) + g;
                for (int t = 0; t < used && s < lags; t++)
                    sum += room_of(c, regions + t * region).dh[g * span + origin(span, true) - s];
                *to = dh->add ? *to + sum : sum;
            }
    }
}
