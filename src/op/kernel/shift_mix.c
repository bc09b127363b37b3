/* shift_mix: one pass over rows. */
#include "op/kernel/lanes.h"

void SR_KERNEL(shift_mix_forward)(const sr_call *c) {
    const int64_t d = c->out.cols;
    const float *mu = real_row(&c->in[2], 0);
    const bool moving = c->in[3].cols > 0;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->out.rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            const act *x = act_row(&c->in[0], r), *past = act_row(&c->in[1], r),
                      *m = moving ? act_row(&c->in[3], r) : NULL;
            act *y = act_row(&c->out, r);
            for (int64_t j = 0; j < d; j += VL) {
                const int n = d - j < VL ? (int)(d - j) : VL;
                vf share = real_load(mu + j, n), now = act_load(x + j, n);
                if (moving) share += act_load(m + j, n);
                act_store(y + j, now + (act_load(past + j, n) - now) * share, n);
            }
        }
    }
}

/* One row of backward; the gradients of mu are added up in `sum`. */
static void backward_row(const sr_call *c, int64_t r, float *sum) {
    const int64_t d = c->dout.cols;
    const float *mu = real_row(&c->in[2], 0);
    const act *x = act_row(&c->in[0], r), *past = act_row(&c->in[1], r), *dy = act_row(&c->dout, r),
              *m = c->in[3].cols > 0 ? act_row(&c->in[3], r) : NULL;
    act *dx = c->din[0].view.data != NULL ? act_row(&c->din[0].view, r) : NULL,
        *dpast = c->din[1].view.data != NULL ? act_row(&c->din[1].view, r) : NULL,
        *dm = c->din[3].view.data != NULL ? act_row(&c->din[3].view, r) : NULL;
    for (int64_t j = 0; j < d; j += VL) {
        const int n = d - j < VL ? (int)(d - j) : VL;
        const vf g = act_load(dy + j, n), difference = act_load(past + j, n) - act_load(x + j, n);
        vf share = real_load(mu + j, n);
        if (m != NULL) share += act_load(m + j, n);
        if (dx != NULL) act_give(dx + j, c->din[0].add, g * (1.0f - share), n);
        if (dpast != NULL) act_give(dpast + j, c->din[1].add, g * share, n);
        if (dm != NULL) act_give(dm + j, c->din[3].add, g * difference, n);
        real_give(sum + j, true, g * difference, n);
    }
}

void SR_KERNEL(shift_mix_backward)(const sr_call *c) {
    const int64_t d = c->dout.cols, width = (d + 15) / 16 * 16;
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->dout.rows, 1, &low, &high);
        float *sum = (float *)c->scratch + width * omp_get_thread_num();
        memset(sum, 0, (size_t)width * sizeof(float));
#pragma omp single
        used = omp_get_num_threads();
        for (int64_t r = low; r < high; r++) backward_row(c, r, sum);
    }
    if (c->din[2].view.data == NULL) return;
    float *out = real_row(&c->din[2].view, 0);
    for (int64_t j = 0; j < d; j++) {
        float sum = c->din[2].add ? out[j] : 0;
        for (int t = 0; t < used; t++) sum += ((const float *)c->scratch)[width * t + j];
        out[j] = sum;
    }
}
