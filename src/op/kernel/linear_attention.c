/* linear_attention in chunks of CHUNK tokens: a masked product inside a chunk, the state
 * S = sum of k^T v before it. A thread owns the key-value heads it works on.
 *
 * Backward has no saved states. It walks over the chunks twice: forwards with S for the gradient of
 * q, then backwards with R = sum of q^T g over later queries, g = dout scale / (position + 1), for
 * those of k and v. */
#include "op/attention.h"
#include "op/kernel/product.h"

enum { CHUNK = SR_LINEAR_CHUNK };

typedef struct head {
    const sr_call *c;
    int hd, group;
    int64_t width, rows; /* head dimension padded to vectors and to ROWS */
    float *state;        /* [width][width]: S or R */
    float *block[6];     /* [CHUNK][width] or [width][CHUNK] */
    float *score[2];     /* [CHUNK][CHUNK] */
    float *factor;       /* [CHUNK]: scale / (position + 1) */
} head;

static head head_of(const sr_call *c, float *region) {
    head a = {.c = c,
              .hd = c->attr.attention.head_dim,
              .group = c->attr.attention.heads / c->attr.attention.kv_heads,
              .width = sr_attention_width(c),
              .state = region};
    a.rows = (a.hd + ROWS - 1) / ROWS * ROWS;
    region += a.width * a.width;
    for (int i = 0; i < 6; i++, region += CHUNK * a.width) a.block[i] = region;
    for (int i = 0; i < 2; i++, region += CHUNK * CHUNK) a.score[i] = region;
    a.factor = region;
    return a;
}

/* Rows of head `h` of a view, from token t0 of sequence b. */
static const act *rows_of(const head *a, const sr_view *v, int64_t b, int64_t t0, int h) {
    return act_row(v, b * a->c->length + t0) + h * a->hd;
}
static void load_rows(const head *a, const sr_view *v, int64_t b, int64_t t0, int64_t n, int h,
                      float *to) {
    copy_in(rows_of(a, v, b, t0, h), v->stride, n, a->hd, 1, to, a->width, CHUNK);
}
static void load_transposed(const head *a, const sr_view *v, int64_t b, int64_t t0, int64_t n,
                            int h, float *to) {
    transpose_in(rows_of(a, v, b, t0, h), v->stride, n, a->hd, 1, to, CHUNK);
}
static void store_transposed(const head *a, const float *from, const sr_grad *to, int64_t b,
                             int64_t t0, int64_t n, int h) {
    transpose_out(from, CHUNK, n, a->hd, 1, (act *)rows_of(a, &to->view, b, t0, h), to->view.stride,
                  to->add);
}

/* Brings a head's rows of the chunk at t nearer while another is worked on: they are too far apart
 * for the processor to see them coming. */
static void fetch(const head *a, const sr_view *v, int64_t b, int64_t t, int h, bool write) {
    if (t < 0 || v->data == NULL) return;
    for (int64_t end = t + CHUNK < a->c->length ? t + CHUNK : a->c->length; t < end; t++) {
        const char *p = (const char *)rows_of(a, v, b, t, h);
        for (size_t i = 0; i < (size_t)a->hd * sizeof(act); i += 64)
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
static void scale_lanes(const head *a, float *x) {
    for (int64_t d = 0; d < a->rows; d++)
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
    return (float *)s->data + (b * s->capacity + row) * s->width + (int64_t)kv * a->hd;
}

static void forward_head(const head *a, int64_t b, int kv) {
    const sr_call *c = a->c;
    const int64_t w = a->width;
    float *k = a->block[0], *v = a->block[1], *q = a->block[2], *out = a->block[3],
          *s = a->score[0];
    memset(a->state, 0, (size_t)(w * w) * sizeof(float));
    for (int64_t d = 0; c->state[0].data != NULL && d < a->hd; d++)
        memcpy(a->state + d * w, state_row(a, b, kv, d), (size_t)a->hd * sizeof(float));
    for (int64_t t0 = 0; t0 < c->length; t0 += CHUNK) {
        const int64_t n = c->length - t0 < CHUNK ? c->length - t0 : CHUNK;
        load_rows(a, &c->in[1], b, t0, n, kv, k);
        load_rows(a, &c->in[2], b, t0, n, kv, v);
        set_factors(a, t0);
        fetch(a, &c->in[1], b, t0 + CHUNK, kv, false);
        fetch(a, &c->in[2], b, t0 + CHUNK, kv, false);
        for (int h = kv * a->group; h < (kv + 1) * a->group; h++) {
            load_transposed(a, &c->in[0], b, t0, n, h, q);
            fetch(a, &c->in[0], b, t0 + CHUNK, h, false);
            product(CHUNK, CHUNK, a->hd, k, w, q, CHUNK, s, CHUNK, false);
            mask_keys_by_queries(s);
            fetch(a, &c->out, b, t0 + CHUNK, h, true);
            product_t(a->rows, CHUNK, a->hd, a->state, w, q, CHUNK, out, CHUNK, false);
            product_t(a->rows, CHUNK, CHUNK, v, w, s, CHUNK, out, CHUNK, true);
            scale_lanes(a, out);
            transpose_out(out, CHUNK, n, a->hd, 1, (act *)rows_of(a, &c->out, b, t0, h),
                          c->out.stride, false);
        }
        product_t(a->rows, w, CHUNK, k, w, v, w, a->state, w, true);
    }
    for (int64_t d = 0; c->state[0].data != NULL && d < a->hd; d++)
        memcpy(state_row(a, b, kv, d), a->state + d * w, (size_t)a->hd * sizeof(float));
}

/* One token: the state is updated where it lies, and read by every query head of the group. */
static void forward_token(const head *a, int64_t b, int kv, int64_t t) {
    const sr_call *c = a->c;
    const float factor = (float)(c->attr.attention.scale / (double)(c->position + t + 1));
    float *k = a->block[0], *v = a->block[1], *q = a->block[2];
    copy_in(rows_of(a, &c->in[1], b, t, kv), 0, 1, a->hd, 1, k, a->width, 1);
    copy_in(rows_of(a, &c->in[2], b, t, kv), 0, 1, a->hd, 1, v, a->width, 1);
    for (int g = 0; g < a->group; g++) {
        const int h = kv * a->group + g;
        act *out = (act *)rows_of(a, &c->out, b, t, h);
        copy_in(rows_of(a, &c->in[0], b, t, h), 0, 1, a->hd, factor, q, a->width, 1);
        for (int j = 0; j < a->hd; j += VL) {
            const int n = a->hd - j < VL ? a->hd - j : VL;
            vf sum = {0};
            for (int d = 0; d < a->hd; d++) {
                float *s = state_row(a, b, kv, d) + j;
                vf x = n == VL ? v_loadf(s) : v_loadf_n(s, n);
                if (g == 0) {
                    x += k[d] * v_loadf(v + j);
                    if (n == VL)
                        v_storef(s, x);
                    else
                        v_storef_n(s, x, n);
                }
                sum += q[d] * x;
            }
            if (n == VL)
                v_store(out + j, sum);
            else
                v_store_n(out + j, sum, n);
        }
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
    const int64_t w = a->width;
    float *k = a->block[0], *v = a->block[1], *g = a->block[2], *dq = a->block[3], *s = a->score[0];
    memset(a->state, 0, (size_t)(w * w) * sizeof(float));
    for (int64_t t0 = 0; t0 < c->length; t0 += CHUNK) {
        const int64_t n = c->length - t0 < CHUNK ? c->length - t0 : CHUNK;
        load_rows(a, &c->in[1], b, t0, n, kv, k);
        load_rows(a, &c->in[2], b, t0, n, kv, v);
        set_factors(a, t0);
        fetch(a, &c->in[1], b, t0 + CHUNK, kv, false);
        fetch(a, &c->in[2], b, t0 + CHUNK, kv, false);
        for (int h = kv * a->group; h < (kv + 1) * a->group; h++) {
            load_transposed(a, &c->dout, b, t0, n, h, g);
            scale_lanes(a, g);
            fetch(a, &c->dout, b, t0 + CHUNK, h, false);
            product(CHUNK, CHUNK, a->hd, v, w, g, CHUNK, s, CHUNK, false);
            mask_keys_by_queries(s);
            fetch(a, &c->din[0].view, b, t0 + CHUNK, h, true);
            product(a->rows, CHUNK, a->hd, a->state, w, g, CHUNK, dq, CHUNK, false);
            product_t(a->rows, CHUNK, CHUNK, k, w, s, CHUNK, dq, CHUNK, true);
            store_transposed(a, dq, &c->din[0], b, t0, n, h);
        }
        product_t(a->rows, w, CHUNK, k, w, v, w, a->state, w, true);
    }
}

/* dk_j = sum over i >= j of (g_i . v_j) q_i, dv_j = sum over i >= j of (q_i . k_j) g_i; here the
 * lanes are keys. */
static void backward_keys(const head *a, int64_t b, int kv) {
    const sr_call *c = a->c;
    const int64_t w = a->width;
    float *k = a->block[0], *v = a->block[1], *q = a->block[2], *g = a->block[3], *dk = a->block[4],
          *dv = a->block[5], *s = a->score[0], *ds = a->score[1];
    memset(a->state, 0, (size_t)(w * w) * sizeof(float));
    for (int64_t t0 = (c->length - 1) / CHUNK * CHUNK; t0 >= 0; t0 -= CHUNK) {
        const int64_t n = c->length - t0 < CHUNK ? c->length - t0 : CHUNK;
        load_transposed(a, &c->in[1], b, t0, n, kv, k);
        load_transposed(a, &c->in[2], b, t0, n, kv, v);
        set_factors(a, t0);
        fetch(a, &c->in[1], b, t0 - CHUNK, kv, false);
        fetch(a, &c->in[2], b, t0 - CHUNK, kv, false);
        product(a->rows, CHUNK, a->hd, a->state, w, v, CHUNK, dk, CHUNK, false);
        fetch(a, &c->din[1].view, b, t0 - CHUNK, kv, true);
        fetch(a, &c->din[2].view, b, t0 - CHUNK, kv, true);
        product_t(a->rows, CHUNK, a->hd, a->state, w, k, CHUNK, dv, CHUNK, false);
        for (int h = kv * a->group; h < (kv + 1) * a->group; h++) {
            load_rows(a, &c->in[0], b, t0, n, h, q);
            load_rows(a, &c->dout, b, t0, n, h, g);
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < w; j += VL)
                    v_storef(g + i * w + j, v_loadf(g + i * w + j) * a->factor[i]);
            fetch(a, &c->in[0], b, t0 - CHUNK, h, false);
            product(CHUNK, CHUNK, a->hd, q, w, k, CHUNK, s, CHUNK, false);
            fetch(a, &c->dout, b, t0 - CHUNK, h, false);
            product(CHUNK, CHUNK, a->hd, g, w, v, CHUNK, ds, CHUNK, false);
            mask_queries_by_keys(s);
            mask_queries_by_keys(ds);
            product_t(a->rows, CHUNK, CHUNK, q, w, ds, CHUNK, dk, CHUNK, true);
            product_t(a->rows, CHUNK, CHUNK, g, w, s, CHUNK, dv, CHUNK, true);
            product_t(a->rows, w, CHUNK, q, w, g, w, a->state, w, true);
        }
        if (c->din[1].view.data != NULL) store_transposed(a, dk, &c->din[1], b, t0, n, kv);
        if (c->din[2].view.data != NULL) store_transposed(a, dv, &c->din[2], b, t0, n, kv);
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
