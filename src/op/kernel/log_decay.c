/* log_decay: one pass over rows; the output may lie in x. */
#include "op/kernel/lanes.h"

void SR_KERNEL(log_decay_forward)(const sr_call *c) {
    const int64_t d = c->out.cols;
    const float *bias = real_row(&c->in[1], 0);
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->out.rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++)
            for (int64_t j = 0; j < d; j += VL) {
                const int n = d - j < VL ? (int)(d - j) : VL;
                const vf x = real_load(real_row(&c->in[0], r) + j, n) + real_load(bias + j, n);
                real_store(real_row(&c->out, r) + j, -v_exp(x), n);
            }
    }
}

void SR_KERNEL(log_decay_backward)(const sr_call *c) {
    const int64_t d = c->dout.cols, width = (d + 15) / 16 * 16;
    const sr_grad *dx = &c->din[0], *dbias = &c->din[1];
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->dout.rows, 1, &low, &high);
        float *sum = (float *)c->scratch + width * omp_get_thread_num();
        memset(sum, 0, (size_t)width * sizeof(float));
#pragma omp single
        used = omp_get_num_threads();
        for (int64_t r = low; r < high; r++)
            for (int64_t j = 0; j < d; j += VL) {
                const int n = d - j < VL ? (int)(d - j) : VL;
                const vf g = real_load(real_row(&c->dout, r) + j, n) *
                             real_load(real_row(&c->out, r) + j, n);
                if (dx->view.data != NULL) real_give(real_row(&dx->view, r) + j, dx->add, g, n);
                real_give(sum + j, true, g, n);
            }
    }
    if (dbias->view.data == NULL) return;
    float *out = real_row(&dbias->view, 0);
    for (int64_t j = 0; j < d; j++) {
        float sum = dbias->add ? out[j] : 0;
        for (int t = 0; t < used; t++) sum += ((const float *)c->scratch)[width * t + j];
        out[j] = sum;
    }
}
