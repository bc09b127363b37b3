/* bias: memory-bound. The gradient of the bias sums a strip of columns down the rows in registers.
 * All reads of a vector come before its writes, so that outputs may lie in inputs. */
#include "op/kernel/wide.h"

SR_INLINE void forward_rows(const sr_call *c, bool wide) {
    const int64_t cols = c->out.cols, full = cols / VL * VL;
    const float *bias = real_row(&c->in[1], 0);
    const int n = (int)(cols - full);
    int64_t low, high;
    sr_share(c->out.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        const void *x = wide_row(&c->in[0], r, wide);
        void *y = wide_row(&c->out, r, wide);
        for (int64_t j = 0; j < full; j += VL)
            wide_give(y, j, false, wide_load(x, j, VL, wide) + v_loadf(bias + j), VL, wide);
        if (n > 0)
            wide_give(y, full, false, wide_load(x, full, n, wide) + v_loadf_n(bias + full, n), n,
                      wide);
    }
}

void SR_KERNEL(bias_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
        if (is_wide(&c->in[0]))
            forward_rows(c, true);
        else
            forward_rows(c, false);
    }
}

enum { STRIP = 8 }; /* vectors */

/* `count` vectors of columns from j on, the last of n lanes, down this thread's rows. */
SR_INLINE void strip(const sr_call *c, int64_t j, int count, int n, float *dbias, bool wide) {
    const sr_grad *dx = &c->din[0];
    const bool copy = dx->view.data != NULL && dx->view.data != c->dout.data;
    vf sum[STRIP] = {{0}};
    int64_t low, high;
    sr_share(c->dout.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        const void *dy = wide_row(&c->dout, r, wide);
        for (int k = 0; k < count; k++) {
            const int lanes = k == count - 1 ? n : VL;
            const vf g = wide_load(dy, j + k * VL, lanes, wide);
            sum[k] += g;
            if (copy) wide_give(wide_row(&dx->view, r, wide), j + k * VL, dx->add, g, lanes, wide);
        }
    }
    for (int k = 0; k < count; k++) v_storef(dbias + j + k * VL, sum[k]);
}

SR_INLINE void backward_rows(const sr_call *c, float *dbias, bool wide) {
    const int64_t cols = c->dout.cols, full = cols / VL * VL;
    int64_t j = 0;
    for (; j + STRIP * VL <= full; j += STRIP * VL) strip(c, j, STRIP, VL, dbias, wide);
    for (; j < full; j += VL) strip(c, j, 1, VL, dbias, wide);
    if (full < cols) strip(c, full, 1, (int)(cols - full), dbias, wide);
}

void SR_KERNEL(bias_backward)(const sr_call *c) {
    const int64_t cols = c->dout.cols, width = (cols + 15) / 16 * 16;
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        float *dbias = (float *)c->scratch + width * omp_get_thread_num();
#pragma omp single
        used = omp_get_num_threads();
        if (is_wide(&c->dout))
            backward_rows(c, dbias, true);
        else
            backward_rows(c, dbias, false);
    }
    if (c->din[1].view.data == NULL) return;
    float *out = real_row(&c->din[1].view, 0);
    for (int64_t j = 0; j < cols; j++) {
        float sum = c->din[1].add ? out[j] : 0;
        for (int t = 0; t < used; t++) sum += ((const float *)c->scratch)[width * t + j];
        out[j] = sum;
    }
}
