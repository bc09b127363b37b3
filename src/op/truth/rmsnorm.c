#include "op/truth/truth.h"

void SR_TRUTH(rmsnorm_forward)(const sr_call *c) {
    const real *gain = row(&c->in[1], 0);
    const int64_t d = c->in[0].cols, divisor = sr_norm_divisor(c->attr.norm.divisor, d);
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        const real *x = row(&c->in[0], r);
        real *y = row(&c->out, r), sum = 0;
        for (int64_t j = 0; j < d; j++) sum += x[j] * x[j];
        real inverse = 1 / (real)sqrt((double)(sum / (real)divisor) + c->attr.norm.epsilon);
        for (int64_t j = 0; j < d; j++) y[j] = x[j] * inverse * gain[j];
        if (c->saved != NULL) ((real *)c->saved)[r] = inverse;
    }
}

/* With s = 1/rms and u = dy * gain: dx = s u - s^3 x sum(x u) / divisor, dgain = sum over rows of
 * dy x s. */
void SR_TRUTH(rmsnorm_backward)(const sr_call *c) {
    const real *gain = row(&c->in[1], 0);
    const int64_t d = c->in[0].cols, divisor = sr_norm_divisor(c->attr.norm.divisor, d);
    start(&c->din[1]);
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        const real *x = row(&c->in[0], r), *dy = row(&c->dout, r);
        real s = ((const real *)c->saved)[r], dot = 0;
        for (int64_t j = 0; j < d; j++) dot += x[j] * dy[j] * gain[j];
        for (int64_t j = 0; j < d; j++) {
            put(&c->din[0], r, j, s * dy[j] * gain[j] - s * s * s * x[j] * dot / (real)divisor);
            sum_into(&c->din[1], 0, j, dy[j] * x[j] * s);
        }
    }
}
