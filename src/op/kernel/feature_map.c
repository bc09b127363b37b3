/* feature_map: products of small blocks whose lanes are tokens, so that heads may be narrower than
 * a vector. */
#include "op/feature_map.h"
#include "op/kernel/lanes.h"
#include "op/kernel/product.h"

enum { TOKENS = SR_MAP_TOKENS };

typedef struct maps {
    const sr_call *c;
    int64_t n, w;      /* channels of a head; padded */
    int64_t f, fw;     /* its features; padded */
    float *weight;     /* A, B: [fw][w], of all threads */
    float *rows;       /* x: [TOKENS][w] */
    float *x, *dx;     /* [w][TOKENS] */
    float *a, *b, *dy; /* [fw][TOKENS] */
    float *dweight;    /* like weight */
    float *dbias;      /* a, b: [fw][SR_MAP_LANES] */
} maps;

static maps maps_of(const sr_call *c, bool backward) {
    maps m = {.c = c,
              .n = c->in[SR_MAP_A].cols,
              .w = sr_map_channels(c),
              .f = c->in[SR_MAP_A].rows,
              .fw = sr_map_features(c),
              .weight = c->scratch};
    float *own = m.weight + sr_map_weights(c) + omp_get_thread_num() * sr_map_region(c, backward);
    float **channels[] = {&m.rows, &m.x, &m.dx}, **features[] = {&m.a, &m.b, &m.dy};
    for (int i = 0; i < 3; i++, own += m.w * TOKENS) *channels[i] = own;
    for (int i = 0; i < 3; i++, own += m.fw * TOKENS) *features[i] = own;
    m.dweight = own;
    m.dbias = own + sr_map_weights(c);
    return m;
}

/* The weights, padded with zeros; by all threads together. */
static void load_weights(const maps *m) {
#pragma omp for
    for (int64_t i = 0; i < 2 * m->fw; i++) {
        float *to = m->weight + i * m->w;
        const sr_view *from = &m->c->in[i < m->fw ? SR_MAP_A : SR_MAP_B];
        memset(to, 0, (size_t)m->w * sizeof(float));
        if (i % m->fw < m->f) memcpy(to, real_row(from, i % m->fw), (size_t)m->n * sizeof(float));
    }
}

/* a = A x + a and b = B x + b of head `head` of `tokens` rows from r. */
static void affine(const maps *m, int64_t r, int64_t tokens, int64_t head) {
    const sr_view *x = &m->c->in[SR_MAP_X];
    transpose_in(act_row(x, r) + head * m->n, x->stride, tokens, m->n, 1, m->x, TOKENS);
    for (int map = 0; map < 2; map++) {
        const float *bias = real_row(&m->c->in[map == 0 ? SR_MAP_A_BIAS : SR_MAP_B_BIAS], 0);
        float *to = map == 0 ? m->a : m->b;
        for (int64_t i = 0; i < m->fw; i++)
            for (int64_t t = 0; t < TOKENS; t += VL)
                v_storef(to + i * TOKENS + t, v_set(i < m->f ? bias[i] : 0));
        product(m->fw, TOKENS, m->n, m->weight + map * m->fw * m->w, m->w, m->x, TOKENS, to, TOKENS,
                true);
    }
}

void SR_KERNEL(feature_map_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
        const maps m = maps_of(c, false);
        int64_t low, high;
        load_weights(&m);
        sr_share(c->out.rows, TOKENS, &low, &high);
        for (int64_t r = low; r < high; r += TOKENS)
            for (int64_t head = 0; head < c->attr.feature_map.heads; head++) {
                const int64_t tokens = high - r < TOKENS ? high - r : TOKENS;
                affine(&m, r, tokens, head);
                for (int64_t i = 0; i < m.fw * TOKENS; i += VL)
                    v_storef(m.a + i, v_loadf(m.a + i) * v_loadf(m.b + i));
                transpose_out(m.a, TOKENS, tokens, m.f, 1, act_row(&c->out, r) + head * m.f,
                              c->out.stride, false);
            }
    }
}

static void backward_block(const maps *m, int64_t r, int64_t tokens, int64_t head) {
    const sr_call *c = m->c;
    const sr_view *x = &c->in[SR_MAP_X];
    const sr_grad *dx = &c->din[SR_MAP_X];
    affine(m, r, tokens, head);
    copy_in(act_row(x, r) + head * m->n, x->stride, tokens, m->n, 1, m->rows, m->w, TOKENS);
    transpose_in(act_row(&c->dout, r) + head * m->f, c->dout.stride, tokens, m->f, 1, m->dy,
                 TOKENS);
    for (int64_t i = 0; i < m->f; i++) {
        vf sums[2] = {v_set(0), v_set(0)};
        for (int64_t at = i * TOKENS; at < (i + 1) * TOKENS; at += VL) {
            const vf a = v_loadf(m->a + at), b = v_loadf(m->b + at), dy = v_loadf(m->dy + at);
            v_storef(m->a + at, dy * b);
            v_storef(m->b + at, dy * a);
            sums[0] += dy * b;
            sums[1] += dy * a;
        }
        for (int map = 0; map < 2; map++) {
            float *to = m->dbias + (map * m->fw + i) * SR_MAP_LANES;
            v_storef(to, v_loadf(to) + sums[map]);
        }
    }
    /* Rows from f on hold what they held: zeros times zero weights. */
    for (int map = 0; map < 2; map++) {
        const float *d = map == 0 ? m->a : m->b;
        const int64_t at = map * m->fw * m->w;
        product(m->fw, m->w, TOKENS, d, TOKENS, m->rows, m->w, m->dweight + at, m->w, true);
        if (dx->view.data != NULL)
            product_t(m->w, TOKENS, m->f, m->weight + at, m->w, d, TOKENS, m->dx, TOKENS, map == 1);
    }
    if (dx->view.data != NULL)
        transpose_out(m->dx, TOKENS, tokens, m->n, 1, act_row(&dx->view, r) + head * m->n,
                      dx->view.stride, dx->add);
}

/* What the threads hold, in their order. */
static void give_parameters(const sr_call *c, int threads) {
    const int64_t w = sr_map_channels(c), fw = sr_map_features(c), n = c->in[SR_MAP_A].cols;
    const float *first = (const float *)c->scratch + sr_map_weights(c) + sr_map_blocks(c);
    for (int map = 0; map < 2; map++) {
        const sr_grad *weight = &c->din[map == 0 ? SR_MAP_A : SR_MAP_B],
                      *bias = &c->din[map == 0 ? SR_MAP_A_BIAS : SR_MAP_B_BIAS];
        for (int64_t i = 0; i < c->in[SR_MAP_A].rows; i++) {
            float *to = weight->view.data != NULL ? real_row(&weight->view, i) : NULL;
            float *to_bias = bias->view.data != NULL ? real_row(&bias->view, 0) + i : NULL;
            if (to != NULL && !weight->add) memset(to, 0, (size_t)n * sizeof(float));
            if (to_bias != NULL && !bias->add) *to_bias = 0;
            for (int t = 0; t < threads; t++) {
                const float *own = first + t * sr_map_region(c, true);
                for (int64_t j = 0; j < n && to != NULL; j++) to[j] += own[(map * fw + i) * w + j];
                if (to_bias != NULL)
                    *to_bias +=
                        v_sum(v_loadf(own + sr_map_weights(c) + (map * fw + i) * SR_MAP_LANES));
            }
        }
    }
}

void SR_KERNEL(feature_map_backward)(const sr_call *c) {
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        const maps m = maps_of(c, true);
        int64_t low, high;
        load_weights(&m);
        memset(m.dweight, 0, (size_t)(sr_map_weights(c) + 2 * m.fw * SR_MAP_LANES) * sizeof(float));
#pragma omp single
        used = omp_get_num_threads();
        sr_share(c->dout.rows, TOKENS, &low, &high);
        for (int64_t r = low; r < high; r += TOKENS)
            for (int64_t head = 0; head < c->attr.feature_map.heads; head++)
                backward_block(&m, r, high - r < TOKENS ? high - r : TOKENS, head);
    }
    give_parameters(c, used);
}
