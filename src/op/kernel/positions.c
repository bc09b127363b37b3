/* positions: the table once per call, then rows of sums. */
#include "op/vec.h"

void SR_KERNEL(positions_forward)(const sr_call *c) {
    const int64_t d = c->out.cols, half = d / 2;
    const float *f = real_row(&c->in[1], 0);
    float *table = c->scratch;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->length, 1, &low, &high);
        for (int64_t t = low; t < high; t++)
            for (int64_t i = 0; i < half; i++) {
                const double angle = (double)t * (double)f[i];
                table[t * d + i] = (float)sin(angle);
                table[t * d + half + i] = (float)cos(angle);
            }
#pragma omp barrier
        sr_share(c->out.rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            const float *x = real_row(&c->in[0], r / c->length), *p = table + r % c->length * d;
            float *y = real_row(&c->out, r);
            for (int64_t j = 0; j < d; j++) y[j] = x[j] + p[j];
        }
    }
}

void SR_KERNEL(positions_backward)(const sr_call *c) {
    const int64_t d = c->out.cols;
    if (c->din[0].view.data == NULL) return;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->batch, 1, &low, &high);
        for (int64_t b = low; b < high; b++) {
            float *dx = real_row(&c->din[0].view, b);
            if (!c->din[0].add) memset(dx, 0, (size_t)d * sizeof(float));
            for (int64_t t = 0; t < c->length; t++) {
                const float *dy = real_row(&c->dout, b * c->length + t);
                for (int64_t j = 0; j < d; j++) dx[j] += dy[j];
            }
        }
    }
}
