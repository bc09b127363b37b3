/* linear_attention in chunks of CHUNK tokens: a masked product inside a chunk, the state
 * S = sum of k^T v before it. A thread owns the key-value heads it works on.
 *
 * Backward has no saved states. It walks over the chunks twice: forwards with S for the gradient of
 * q, then backwards with R = sum of q^T g over later queries, g = dout scale / (position + 1), for
 * those of k and v. */
#include "op/attention.h"
#include "op/kernel/lanes.h"
#include "op/kernel/product.h"

enum { CHUNK = SR_LINEAR_CHUNK };

typedef struct head {
    const sr_call *c;
    int group;
    int dim[2];                /* channels of queries and keys (0), of values and outputs (1) */
    int64_t width[2], rows[2]; /* padded to vectors and to ROWS */
    float *state;              /* [width of keys][width of values]: S or R */
    float *block[6];           /* [CHUNK][width] or [width][CHUNK] */
    float *score[2];           /* [CHUNK][CHUNK] */
    float *factor;             /* [CHUNK]: scale / (position + 1) */
} head;

static head head_of(const sr_call *c, float *region) {
    head a = {
        .c = c, .group = c->attr.attention.heads / c->attr.attention.kv_heads, .state = region};
    for (int i = 0; i < 2; i++) {
        a.dim[i] = sr_attention_dim(c, i);
        a.width[i] = sr_attention_width(c, i);
        a.rows[i] = (a.dim[i] + ROWS - 1) / ROWS * ROWS;
    }
    const int64_t widest = sr_attention_widest(c);
    region += a.width[0] * a.width[1];
    for (int i = 0; i < 6; i++, region += CHUNK * widest) a.block[i] = region;
    for (int i = 0; i < 2; i++, region += CHUNK * CHUNK) a.score[i] = region;
    a.factor = region;
    return a;
}

/* A view whose heads have the channels of keys or those of values. */
typedef struct heads {
    const sr_view *v;
    int which; /* 0: as keys, 1: as values */
} heads;

static heads as_keys(const sr_view *v) { return (heads){v, 0}; }
static heads as_values(const sr_view *v) { return (heads){v, 1}; }

/* Rows of head `h`, from token t0 of sequence b. */
static act *rows_of(const head *a, heads x, int64_t b, int64_t t0, int h) {
    return act_row(x.v, b * a->c->length + t0) + h * a->dim[x.which];
}
static void load_rows(const head *a, heads x, int64_t b, int64_t t0, int64_t n, int h, float *to) {
    copy_in(rows_of(a, x, b, t0, h), x.v->stride, n, a->dim[x.which], 1, to, a->width[x.which],
            CHUNK);
}
static void load_transposed(const head *a, heads x, int64_t b, int64_t t0, int64_t n, int h,
                            float *to) {
    transpose_in(rows_of(a, x, b, t0, h), x.v->stride, n, a->dim[x.which], 1, to, CHUNK);
}
static void store_transposed(const head *a, const float *from, heads x, bool add, int64_t b,
                             int64_t t0, int64_t n, int h) {
    transpose_out(from, CHUNK, n, a->dim[x.which], 1, rows_of(a, x, b, t0, h), x.v->stride, add);
}

/* Brings a head's rows of the chunk at t nearer while another is worked on: they are too far apart
 * for the processor to see them coming. */
static void fetch(const head *a, heads x, int64_t b, int64_t t, int h, bool write) {
    if (t < 0 || x.v->data == NULL) return;
    for (int64_t end = t + CHUNK < a->c->length ? t + CHUNK : a->c->length; t < end; t++) {
        const char *p = (const char *)rows_of(a, x, b, t, h);
        for (size_t i = 0; i < (size_t)a->dim[x.which] * sizeof(act); i += 64)
            if (write)
                __builtin_prefetch(p + i, 1, 2);
            else
                __builtin_prefetch(p + i, 0, 2);
    }
}

static void set_factors(const head *a, int64_t t0) {
    for (int i = 0; i < CHUNK; i++)
        a->factor[i] = (float)(a->c->attr.attention.scale / (double)(a->c->position + t0 + i + 1));
}
/* Rows of outputs or their gradients. */
static void scale_lanes(const head *a, float *x) {
    for (int64_t d = 0; d < a->rows[1]; d++)
        for (int i = 0; i < CHUNK; i += VL)
            v_storef(x + d * CHUNK + i, v_loadf(x + d * CHUNK + i) * v_loadf(a->factor + i));
}

/* Zeroes the pairs whose key is later than the query. */
static void mask_keys_by_queries(float *s) {
    for (int j = 1; j < CHUNK; j++) memset(s + j * CHUNK, 0, (size_t)j * sizeof(float));
}
static void mask_queries_by_keys(float *s) {
    for (int i = 0; i + 1 < CHUNK; i++)
        memset(s + i * CHUNK + i + 1, 0, (size_t)(CHUNK - 1 - i) * sizeof(float));
}

static float *state_row(const head *a, int64_t b, int kv, int64_t row) {
    const sr_state *s = &a->c->state[0];
    return (float *)s->data + (b * s->capacity + row) * s->width + (int64_t)kv * a->dim[1];
}

/* S before the call, and back. */
static void load_state(const head *a, int64_t b, int kv) {
    memset(a->state, 0, (size_t)(a->width[0] * a->width[1]) * sizeof(float));
    for (int64_t d = 0; a->c->state[0].data != NULL && d < a->dim[0]; d++)
        memcpy(a->state + d * a->width[1], state_row(a, b, kv, d),
               (size_t)a->dim[1] * sizeof(float));
}
static void store_state(const head *a, int64_t b, int kv) {
    for (int64_t d = 0; a->c->state[0].data != NULL && d < a->dim[0]; d++)
        memcpy(state_row(a, b, kv, d), a->state + d * a->width[1],
               (size_t)a->dim[1] * sizeof(float));
}

static void forward_head(const head *a, int64_t b, int kv) {
    const sr_call *c = a->c;
    const heads qs = as_keys(&c->in[0]), ks = as_keys(&c->in[1]), vs = as_values(&c->in[2]),
                outs = as_values(&c->out);
    const int64_t kw = a->width[0], vw = a->width[1];
    float *k = a->block[0], *v = a->block[1], *q = a->block[2], *out = a->block[3],
          *s = a->score[0];
    load_state(a, b, kv);
    for (int64_t t0 = 0; t0 < c->length; t0 += CHUNK) {
        const int64_t n = c->length - t0 < CHUNK ? c->length - t0 : CHUNK;
        load_rows(a, ks, b, t0, n, kv, k);
        load_rows(a, vs, b, t0, n, kv, v);
        set_factors(a, t0);
        fetch(a, ks, b, t0 + CHUNK, kv, false);
        fetch(a, vs, b, t0 + CHUNK, kv, false);
        for (int h = kv * a->group; h < (kv + 1) * a->group; h++) {
            load_transposed(a, qs, b, t0, n, h, q);
            fetch(a, qs, b, t0 + CHUNK, h, false);
            product(CHUNK, CHUNK, a->dim[0], k, kw, q, CHUNK, s, CHUNK, false);
            mask_keys_by_queries(s);
            fetch(a, outs, b, t0 + CHUNK, h, true);
            product_t(a->rows[1], CHUNK, a->dim[0], a->state, vw, q, CHUNK, out, CHUNK, false);
            product_t(a->rows[1], CHUNK, CHUNK, v, vw, s, CHUNK, out, CHUNK, true);
            scale_lanes(a, out);
            store_transposed(a, out, outs, false, b, t0, n, h);
        }
        product_t(a->rows[0], vw, CHUNK, k, kw, v, vw, a->state, vw, true);
    }
    store_state(a, b, kv);
}

/* n columns of a head's state: updated with k v where they lie, unless k is NULL, and read by q. */
SR_INLINE vf token_columns(const head *a, float *s, const float *k, const float *v, const float *q,
                           int n) {
    const int64_t width = a->c->state[0].width;
    const int kd = a->dim[0];
    vf sum = {0};
    for (int d = 0; d < kd; d++, s += width) {
        vf x = real_load(s, n);
        if (k != NULL) {
            x += k[d] * v_loadf(v);
            real_store(s, x, n);
        }
        sum += q[d] * x;
    }
    return sum;
}

/* One token: the state is updated where it lies, and read by every query head of the group. */
static void forward_token(const head *a, int64_t b, int kv, int64_t t) {
    const sr_call *c = a->c;
    const float factor = (float)(c->attr.attention.scale / (double)(c->position + t + 1));
    const int kd = a->dim[0], vd = a->dim[1];
    float *k = a->block[0], *v = a->block[1], *q = a->block[2];
    copy_in(rows_of(a, as_keys(&c->in[1]), b, t, kv), 0, 1, kd, 1, k, a->width[0], 1);
    copy_in(rows_of(a, as_values(&c->in[2]), b, t, kv), 0, 1, vd, 1, v, a->width[1], 1);
    for (int g = 0; g < a->group; g++) {
        const int h = kv * a->group + g;
        act *out = rows_of(a, as_values(&c->out), b, t, h);
        copy_in(rows_of(a, as_keys(&c->in[0]), b, t, h), 0, 1, kd, factor, q, a->width[0], 1);
        const float *write = g == 0 ? k : NULL;
        float *s = state_row(a, b, kv, 0);
        int j = 0;
        for (; j + VL <= vd; j += VL)
            v_store(out + j, token_columns(a, s + j, write, v + j, q, VL));
        if (j < vd) v_store_n(out + j, token_columns(a, s + j, write, v + j, q, vd - j), vd - j);
    }
}

void SR_KERNEL(linear_attention_forward)(const sr_call *c) {
    const int KV = c->attr.attention.kv_heads;
    const bool tokens = c->state[0].data != NULL && c->length < 4;
#pragma omp parallel num_threads(c->threads)
    {
        const head a = head_of(c, (float *)c->scratch + omp_get_thread_num() * sr_linear_region(c));
        int64_t low, high;
        sr_share(c->batch * KV, 1, &low, &high);
        for (int64_t item = low; item < high; item++)
            if (!tokens)
                forward_head(&a, item / KV, (int)(item % KV));
            else
                for (int64_t t = 0; t < c->length; t++)
                    forward_token(&a, item / KV, (int)(item % KV), t);
    }
}

/* dq_i = sum over j <= i of (g_i . v_j) k_j = S_i g_i, transposed as everything with lanes. */
static void backward_queries(const head *a, int64_t b, int kv) {
    const sr_call *c = a->c;
    const heads ks = as_keys(&c->in[1]), vs = as_values(&c->in[2]), gs = as_values(&c->dout),
                dqs = as_keys(&c->din[0].view);
    const int64_t kw = a->width[0], vw = a->width[1];
    float *k = a->block[0], *v = a->block[1], *g = a->block[2], *dq = a->block[3], *s = a->score[0];
    memset(a->state, 0, (size_t)(kw * vw) * sizeof(float));
    for (int64_t t0 = 0; t0 < c->length; t0 += CHUNK) {
        const int64_t n = c->length - t0 < CHUNK ? c->length - t0 : CHUNK;
        load_rows(a, ks, b, t0, n, kv, k);
        load_rows(a, vs, b, t0, n, kv, v);
        set_factors(a, t0);
        fetch(a, ks, b, t0 + CHUNK, kv, false);
        fetch(a, vs, b, t0 + CHUNK, kv, false);
        for (int h = kv * a->group; h < (kv + 1) * a->group; h++) {
            load_transposed(a, gs, b, t0, n, h, g);
            scale_lanes(a, g);
            fetch(a, gs, b, t0 + CHUNK, h, false);
            product(CHUNK, CHUNK, a->dim[1], v, vw, g, CHUNK, s, CHUNK, false);
            mask_keys_by_queries(s);
            fetch(a, dqs, b, t0 + CHUNK, h, true);
            product(a->rows[0], CHUNK, a->dim[1], a->state, vw, g, CHUNK, dq, CHUNK, false);
            product_t(a->rows[0], CHUNK, CHUNK, k, kw, s, CHUNK, dq, CHUNK, true);
            store_transposed(a, dq, dqs, c->din[0].add, b, t0, n, h);
        }
        product_t(a->rows[0], vw, CHUNK, k, kw, v, vw, a->state, vw, true);
    }
}

/* dk_j = sum over i >= j of (g_i . v_j) q_i, dv_j = sum over i >= j of (q_i . k_j) g_i; here the
 * lanes are keys. */
static void backward_keys(const head *a, int64_t b, int kv) {
    const sr_call *c = a->c;
    const heads qs = as_keys(&c->in[0]), ks = as_keys(&c->in[1]), vs = as_values(&c->in[2]),
                gs = as_values(&c->dout), dks = as_keys(&c->din[1].view),
                dvs = as_values(&c->din[2].view);
    const int64_t kw = a->width[0], vw = a->width[1];
    float *k = a->block[0], *v = a->block[1], *q = a->block[2], *g = a->block[3], *dk = a->block[4],
          *dv = a->block[5], *s = a->score[0], *ds = a->score[1];
    memset(a->state, 0, (size_t)(kw * vw) * sizeof(float));
    for (int64_t t0 = (c->length - 1) / CHUNK * CHUNK; t0 >= 0; t0 -= CHUNK) {
        const int64_t n = c->length - t0 < CHUNK ? c->length - t0 : CHUNK;
        load_transposed(a, ks, b, t0, n, kv, k);
        load_transposed(a, vs, b, t0, n, kv, v);
        set_factors(a, t0);
        fetch(a, ks, b, t0 - CHUNK, kv, false);
        fetch(a, vs, b, t0 - CHUNK, kv, false);
        product(a->rows[0], CHUNK, a->dim[1], a->state, vw, v, CHUNK, dk, CHUNK, false);
        fetch(a, dks, b, t0 - CHUNK, kv, true);
        fetch(a, dvs, b, t0 - CHUNK, kv, true);
        product_t(a->rows[1], CHUNK, a->dim[0], a->state, vw, k, CHUNK, dv, CHUNK, false);
        for (int h = kv * a->group; h < (kv + 1) * a->group; h++) {
            load_rows(a, qs, b, t0, n, h, q);
            load_rows(a, gs, b, t0, n, h, g);
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < vw; j += VL)
                    v_storef(g + i * vw + j, v_loadf(g + i * vw + j) * a->factor[i]);
            fetch(a, qs, b, t0 - CHUNK, h, false);
            product(CHUNK, CHUNK, a->dim[0], q, kw, k, CHUNK, s, CHUNK, false);
            fetch(a, gs, b, t0 - CHUNK, h, false);
            product(CHUNK, CHUNK, a->dim[1], g, vw, v, CHUNK, ds, CHUNK, false);
            mask_queries_by_keys(s);
            mask_queries_by_keys(ds);
            product_t(a->rows[0], CHUNK, CHUNK, q, kw, ds, CHUNK, dk, CHUNK, true);
            product_t(a->rows[1], CHUNK, CHUNK, g, vw, s, CHUNK, dv, CHUNK, true);
            product_t(a->rows[0], vw, CHUNK, q, kw, g, vw, a->state, vw, true);
        }
        if (dks.v->data != NULL) store_transposed(a, dk, dks, c->din[1].add, b, t0, n, kv);
        if (dvs.v->data != NULL) store_transposed(a, dv, dvs, c->din[2].add, b, t0, n, kv);
    }
}

void SR_KERNEL(linear_attention_backward)(const sr_call *c) {
    const int KV = c->attr.attention.kv_heads;
    const bool queries = c->din[0].view.data != NULL,
               keys = c->din[1].view.data != NULL || c->din[2].view.data != NULL;
#pragma omp parallel num_threads(c->threads)
    {
        const head a = head_of(c, (float *)c->scratch + omp_get_thread_num() * sr_linear_region(c));
        int64_t low, high;
        sr_share(c->batch * KV, 1, &low, &high);
        for (int64_t item = low; item < high; item++) {
            if (queries) backward_queries(&a, item / KV, (int)(item % KV));
            if (keys) backward_keys(&a, item / KV, (int)(item % KV));
        }
    }
}
