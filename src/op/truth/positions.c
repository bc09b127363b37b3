#include "op/truth/truth.h"

void SR_TRUTH(positions_forward)(const sr_call *c) {
    const int64_t half = c->in[1].cols;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t t = 0; t < c->length; t++)
            for (int64_t i = 0; i < half; i++) {
                const real *x = row(&c->in[0], b);
                const double angle = (double)t * (double)row(&c->in[1], 0)[i];
                real *y = row(&c->out, b * c->length + t);
                y[i] = x[i] + (real)sin(angle);
                y[half + i] = x[half + i] + (real)cos(angle);
            }
}

void SR_TRUTH(positions_backward)(const sr_call *c) {
    start(&c->din[0]);
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++)
            sum_into(&c->din[0], r / c->length, j, row(&c->dout, r)[j]);
}
