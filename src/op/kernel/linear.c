/* linear: oneDNN for many rows, a matrix-vector kernel at memory speed for few. */
#include "op/linear.h"
#include "op/vec.h"

static inline vf load_as(const void *p, int64_t i, bool half) {
    return half ? v_loadh((const bf16 *)p + i) : v_loadf((const float *)p + i);
}
static inline float get_as(const void *p, int64_t i, bool half) {
    return half ? bf16_get(((const bf16 *)p)[i]) : ((const float *)p)[i];
}

/* Four rows of W at a time keep several loads in flight; x stays in the first-level cache. */
static inline void few_rows(const sr_call *c, bool half) {
    const sr_view *x = &c->in[0], *w = &c->in[1], *residual = &c->in[2];
    const int64_t k = x->cols, kv = k / VL * VL, n = w->rows;
    const float sign = (float)c->attr.linear.sign;
    const size_t size = half ? 2 : 4;
#pragma omp parallel num_threads(c->threads) if (n * k > 16384)
    {
        int64_t low, high;
        sr_share(n, 4, &low, &high);
        for (int64_t o = low; o < high; o += 4) {
            int some = high - o < 4 ? (int)(high - o) : 4;
            const char *rows[4];
            for (int i = 0; i < 4; i++)
                rows[i] =
                    (const char *)w->data + (size_t)((o + (i < some ? i : 0)) * w->stride) * size;
            for (int64_t r = 0; r < x->rows; r++) {
                const void *xr = (const char *)x->data + (size_t)(r * x->stride) * size;
                vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
                for (int64_t j = 0; j < kv; j += VL) {
                    vf v = load_as(xr, j, half);
                    s0 += v * load_as(rows[0], j, half);
                    s1 += v * load_as(rows[1], j, half);
                    s2 += v * load_as(rows[2], j, half);
                    s3 += v * load_as(rows[3], j, half);
                }
                float sums[4] = {v_sum(s0), v_sum(s1), v_sum(s2), v_sum(s3)};
                for (int i = 0; i < some; i++) {
                    for (int64_t j = kv; j < k; j++)
                        sums[i] += get_as(xr, j, half) * get_as(rows[i], j, half);
                    float y = sign * sums[i];
                    if (residual->cols > 0) y += real_row(residual, r)[o + i];
                    if (c->out.type == SR_F32)
                        real_row(&c->out, r)[o + i] = y;
                    else
                        ((bf16 *)c->out.data)[r * c->out.stride + o + i] = bf16_set(y);
                }
            }
        }
    }
}

/* to = from (+ to), both f32. */
static void copy_rows(const sr_view *to, const sr_view *from, bool add, int threads) {
#pragma omp parallel num_threads(threads)
    {
        int64_t low, high;
        sr_share(to->rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            float *a = real_row(to, r);
            const float *b = real_row(from, r);
            if (!add)
                memcpy(a, b, (size_t)to->cols * sizeof(float));
            else
                for (int64_t j = 0; j < to->cols; j++) a[j] += b[j];
        }
    }
}

void SR_KERNEL(linear_forward)(const sr_call *c) {
    if (sr_linear_few(c)) {
        if (c->in[0].type == SR_BF16)
            few_rows(c, true);
        else
            few_rows(c, false);
        return;
    }
    if (c->in[2].cols > 0 && c->in[2].data != c->out.data)
        copy_rows(&c->out, &c->in[2], false, c->threads);
    sr_matmul y = sr_linear_y(c);
    sr_matmul_run(&y, c->threads, c->in[0].data, c->in[1].data, c->out.data, c->scratch);
}

/* The output gradient as bf16, packed, at the start of the scratch. */
static const void *round_gradient(const sr_call *c) {
    bf16 *to = c->scratch;
    const int64_t n = c->dout.cols, nv = n / VL * VL;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->dout.rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            const float *from = real_row(&c->dout, r);
            for (int64_t j = 0; j < nv; j += VL) v_storeh(to + r * n + j, v_loadf(from + j));
            for (int64_t j = nv; j < n; j++) to[r * n + j] = bf16_set(from[j]);
        }
    }
    return to;
}

void SR_KERNEL(linear_backward)(const sr_call *c) {
    const sr_grad *dx = &c->din[0], *dw = &c->din[1], *dres = &c->din[2];
    const void *dy = sr_linear_rounds(c) ? round_gradient(c) : c->dout.data;
    void *scratchpad = (char *)c->scratch + sr_linear_rounded_bytes(c);
    if (dx->view.data != NULL) {
        sr_matmul p = sr_linear_dx(c, dx->view.stride, dx->add);
        sr_matmul_run(&p, c->threads, dy, c->in[1].data, dx->view.data, scratchpad);
    }
    if (dw->view.data != NULL) {
        sr_matmul p = sr_linear_dw(c, dw->view.stride, dw->add);
        sr_matmul_run(&p, c->threads, dy, c->in[0].data, dw->view.data, scratchpad);
    }
    if (dres->view.data != NULL && dres->view.data != c->dout.data)
        copy_rows(&dres->view, &c->dout, dres->add, c->threads);
}
