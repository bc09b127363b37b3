/* position_features: one sine and cosine per row; the multiples of the angle follow by complex
 * products in double. */
#include "op/vec.h"

void SR_KERNEL(position_features_forward)(const sr_call *c) {
    const int64_t period = c->attr.filter.period, waves = (c->out.cols - 1) / 2;
    const double unit = 2 * 3.14159265358979323846 / (double)period;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->out.rows, 1, &low, &high);
        for (int64_t s = low; s < high; s++) {
            float *y = real_row(&c->out, s);
            y[0] = period == 1 ? 0 : (float)((double)s / (double)(period - 1));
            double angle = unit * (double)(s % period);
            double u = cos(angle), v = -sin(angle), a = 1, b = 0;
            for (int64_t k = 1; k <= waves; k++) {
                double t = a * u - b * v;
                b = a * v + b * u;
                a = t;
                y[k] = (float)a;
                y[waves + k] = (float)b;
            }
        }
    }
}
