#include "op/truth/truth.h"

void SR_TRUTH(sine_forward)(const sr_call *c) {
    const real *bias = row(&c->in[1], 0), *freq = row(&c->in[2], 0);
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++)
            row(&c->out, r)[j] = (real)sin((double)(freq[j] * (row(&c->in[0], r)[j] + bias[j])));
}

void SR_TRUTH(sine_backward)(const sr_call *c) {
    const real *bias = row(&c->in[1], 0), *freq = row(&c->in[2], 0);
    start(&c->din[1]);
    start(&c->din[2]);
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++) {
            real u = row(&c->in[0], r)[j] + bias[j];
            real g = row(&c->dout, r)[j] * (real)cos((double)(freq[j] * u));
            put(&c->din[0], r, j, g * freq[j]);
            sum_into(&c->din[1], 0, j, g * freq[j]);
            sum_into(&c->din[2], 0, j, g * u);
        }
}
