/* head_norm: heads in groups of VL, whose sums over lanes are made together. */
#include "op/head_norm.h"
#include "op/kernel/lanes.h"

/* One token's heads [first, first + count), count <= VL. */
typedef struct group {
    int64_t n, first;
    float divisor;
    int count;
    bool per_channel;
} group;

static group group_of(const sr_call *c, int64_t first) {
    const int64_t heads = c->attr.head_norm.heads;
    return (group){.n = sr_head_norm_width(c),
                   .first = first,
                   .divisor = (float)sr_head_norm_divisor(c),
                   .count = heads - first < VL ? (int)(heads - first) : VL,
                   .per_channel = c->in[1].cols == c->in[0].cols};
}
static int64_t from_of(const group *g, int i) { return (g->first + i) * g->n; }
static int64_t gain_from(const group *g, int i) { return g->per_channel ? from_of(g, i) : 0; }
SR_INLINE int lanes_at(const group *g, int64_t j) { return g->n - j < VL ? (int)(g->n - j) : VL; }
/* Lanes behind the n-th are 0, not -mean. */
SR_INLINE vf centred(const act *x, float mean, int n) {
    if (n == VL) return v_load(x) - mean;
    vf v = v_load_n(x, n);
    for (int i = 0; i < n; i++) v[i] -= mean;
    return v;
}

static void moments(const group *g, bool centre, float epsilon, const act *x, float *inverse,
                    float *mean) {
    const float per = 1 / (float)g->n, per_square = 1 / g->divisor;
    vf sums[VL];
    for (int i = 0; i < g->count; i++) {
        sums[i] = v_set(0);
        for (int64_t j = 0; centre && j < g->n; j += VL)
            sums[i] += act_load(x + from_of(g, i) + j, lanes_at(g, j));
    }
    lane_sums(sums, g->count, mean);
    for (int i = 0; i < g->count; i++) {
        mean[i] *= per;
        sums[i] = v_set(0);
        for (int64_t j = 0; j < g->n; j += VL) {
            const vf z = centred(x + from_of(g, i) + j, mean[i], lanes_at(g, j));
            sums[i] += z * z;
        }
    }
    lane_sums(sums, g->count, inverse);
    for (int i = 0; i < g->count; i++) inverse[i] = 1 / sqrtf(inverse[i] * per_square + epsilon);
}

void SR_KERNEL(head_norm_forward)(const sr_call *c) {
    const int64_t heads = c->attr.head_norm.heads, n = sr_head_norm_width(c);
    const float *gain = real_row(&c->in[1], 0), *bias = c->in[2].data;
    const float epsilon = (float)c->attr.head_norm.epsilon;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->in[0].rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++)
            for (int64_t first = 0; first < heads; first += VL) {
                const group g = group_of(c, first);
                const act *x = act_row(&c->in[0], r);
                act *y = act_row(&c->out, r);
                float inverse[VL], mean[VL];
                moments(&g, c->attr.head_norm.centre, epsilon, x, inverse, mean);
                for (int i = 0; i < g.count; i++)
                    for (int64_t j = 0; j < n; j += VL) {
                        const int m = lanes_at(&g, j);
                        const int64_t at = from_of(&g, i) + j, to = gain_from(&g, i) + j;
                        vf v = centred(x + at, mean[i], m) * inverse[i] * real_load(gain + to, m);
                        if (bias != NULL) v += real_load(bias + to, m);
                        act_store(y + at, v, m);
                    }
                float *kept = (float *)c->saved + (r * heads + first) * SR_HEAD_NORM_SAVES;
                for (int i = 0; c->saved != NULL && i < g.count; i++) {
                    kept[i * SR_HEAD_NORM_SAVES] = inverse[i];
                    kept[i * SR_HEAD_NORM_SAVES + 1] = mean[i];
                }
            }
    }
}

/* Adds to the partial gradients of gain and bias, and writes dx unless it is NULL. */
static void backward_group(const sr_call *c, const group *g, int64_t r, const float *kept,
                           float *dgain, float *dbias) {
    const float *gain = real_row(&c->in[1], 0);
    const act *x = act_row(&c->in[0], r), *dy = act_row(&c->dout, r);
    const float per = 1 / (float)g->n, per_square = 1 / g->divisor;
    vf sums[2][VL];
    float sum_u[VL], sum_zu[VL];
    for (int i = 0; i < g->count; i++) {
        const float inverse = kept[i * SR_HEAD_NORM_SAVES], mean = kept[i * SR_HEAD_NORM_SAVES + 1];
        sums[0][i] = sums[1][i] = v_set(0);
        for (int64_t j = 0; j < g->n; j += VL) {
            const int m = lanes_at(g, j);
            const int64_t at = from_of(g, i) + j, to = gain_from(g, i) + j;
            const vf d = act_load(dy + at, m), z = centred(x + at, mean, m) * inverse,
                     u = d * real_load(gain + to, m);
            sums[0][i] += u;
            sums[1][i] += u * z;
            real_give(dgain + to, true, d * z, m);
            real_give(dbias + to, true, d, m);
        }
    }
    if (c->din[0].view.data == NULL) return;
    act *dx = act_row(&c->din[0].view, r);
    lane_sums(sums[0], g->count, sum_u);
    lane_sums(sums[1], g->count, sum_zu);
    for (int i = 0; i < g->count; i++) {
        const float inverse = kept[i * SR_HEAD_NORM_SAVES], mean = kept[i * SR_HEAD_NORM_SAVES + 1],
                    shift = c->attr.head_norm.centre ? sum_u[i] * per : 0,
                    along = sum_zu[i] * per_square;
        for (int64_t j = 0; j < g->n; j += VL) {
            const int m = lanes_at(g, j);
            const int64_t at = from_of(g, i) + j;
            const vf z = centred(x + at, mean, m) * inverse,
                     u = act_load(dy + at, m) * real_load(gain + gain_from(g, i) + j, m);
            act_give(dx + at, c->din[0].add, (u - shift - z * along) * inverse, m);
        }
    }
}

void SR_KERNEL(head_norm_backward)(const sr_call *c) {
    const int64_t heads = c->attr.head_norm.heads, cols = c->in[1].cols;
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->in[0].rows, 1, &low, &high);
        float *partial = (float *)c->scratch + 2 * cols * omp_get_thread_num();
        memset(partial, 0, (size_t)(2 * cols) * sizeof(float));
#pragma omp single
        used = omp_get_num_threads();
        for (int64_t r = low; r < high; r++)
            for (int64_t first = 0; first < heads; first += VL) {
                const group g = group_of(c, first);
                backward_group(c, &g, r,
                               (const float *)c->saved + (r * heads + first) * SR_HEAD_NORM_SAVES,
                               partial, partial + cols);
            }
    }
    for (int i = 0; i < 2; i++) {
        const sr_grad *to = &c->din[1 + i];
        if (to->view.data == NULL) continue;
        float *out = real_row(&to->view, 0);
        for (int64_t j = 0; j < cols; j++) {
            float sum = to->add ? out[j] : 0;
            for (int t = 0; t < used; t++)
                sum += ((const float *)c->scratch)[(2 * t + i) * cols + j];
            out[j] = sum;
        }
    }
}
