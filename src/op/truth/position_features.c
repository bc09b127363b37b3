#include "op/truth/truth.h"

void SR_TRUTH(position_features_forward)(const sr_call *c) {
    const int64_t period = c->attr.filter.period, waves = (c->out.cols - 1) / 2;
    const double pi = 3.14159265358979323846;
    for (int64_t s = 0; s < c->out.rows; s++) {
        real *y = row(&c->out, s);
        y[0] = period == 1 ? 0 : (real)((double)s / (double)(period - 1));
        for (int64_t k = 1; k <= waves; k++) {
            double angle = 2 * pi * (double)k * (double)s / (double)period;
            y[k] = (real)cos(angle);
            y[waves + k] = (real)-sin(angle);
        }
    }
}
