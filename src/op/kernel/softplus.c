/* softplus: one pass. */
#include "op/kernel/lanes.h"

/* The scale at column j. */
SR_INLINE vf scale_at(const sr_call *c, int64_t j, int n) {
    const vf factor = v_set((float)c->attr.softplus.factor);
    return c->in[2].cols > 0 ? factor * v_exp(real_load(real_row(&c->in[2], 0) + j, n)) : factor;
}
SR_INLINE vf softplus(const sr_call *c, int64_t r, int64_t j, int n, vf *slope) {
    const float sign = (float)c->attr.softplus.sign;
    vf x = real_load(real_row(&c->in[0], r) + j, n);
    if (c->in[1].cols > 0) x += real_load(real_row(&c->in[1], 0) + j, n);
    const vf y = v_softplus(x * sign, slope);
    *slope *= sign;
    return y;
}

void SR_KERNEL(softplus_forward)(const sr_call *c) {
    const int64_t cols = c->out.cols;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->out.rows, 1, &low, &high);
        for (int64_t j = 0; j < cols; j += VL) {
            const int n = cols - j < VL ? (int)(cols - j) : VL;
            const vf scale = scale_at(c, j, n);
            vf slope;
            for (int64_t r = low; r < high; r++)
                real_store(real_row(&c->out, r) + j, scale * softplus(c, r, j, n, &slope), n);
        }
    }
}

void SR_KERNEL(softplus_backward)(const sr_call *c) {
    const int64_t cols = c->dout.cols, width = (cols + 15) / 16 * 16;
    const sr_grad *dx = &c->din[0];
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->dout.rows, 1, &low, &high);
        float *own = (float *)c->scratch + 2 * width * omp_get_thread_num();
#pragma omp single
        used = omp_get_num_threads();
        for (int64_t j = 0; j < cols; j += VL) {
            const int n = cols - j < VL ? (int)(cols - j) : VL;
            const vf scale = scale_at(c, j, n);
            vf dbias = v_set(0), dscale = v_set(0), slope;
            for (int64_t r = low; r < high; r++) {
                const vf y = softplus(c, r, j, n, &slope),
                         dy = scale * real_load(real_row(&c->dout, r) + j, n);
                dbias += dy * slope;
                dscale += dy * y;
                if (dx->view.data != NULL)
                    real_give(real_row(&dx->view, r) + j, dx->add, dy * slope, n);
            }
            v_storef(own + j, dbias);
            v_storef(own + width + j, dscale);
        }
    }
    for (int i = 1; i < 3; i++) {
        const sr_grad *g = &c->din[i];
        for (int64_t j = 0; j < cols && g->view.data != NULL; j++) {
            float *to = real_row(&g->view, 0) + j, sum = g->add ? *to : 0;
            for (int t = 0; t < used; t++)
                sum += ((const float *)c->scratch)[(2 * t + i - 1) * width + j];
            *to = sum;
        }
    }
}
