#include "op/truth/truth.h"

/* What is multiplied by softplus, and the softplus and its slope at column j of row r. */
static real scale_at(const sr_call *c, int64_t j) {
    const real factor = (real)c->attr.softplus.factor;
    return c->in[2].cols > 0 ? factor * (real)exp((double)row(&c->in[2], 0)[j]) : factor;
}
static real softplus(const sr_call *c, int64_t r, int64_t j, real *slope) {
    double x = (double)row(&c->in[0], r)[j];
    if (c->in[1].cols > 0) x += (double)row(&c->in[1], 0)[j];
    x *= c->attr.softplus.sign;
    *slope = (real)c->attr.softplus.sign * sigmoid((real)x);
    return (real)(fmax(x, 0) + log1p(exp(-fabs(x))));
}

void SR_TRUTH(softplus_forward)(const sr_call *c) {
    real slope;
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++)
            row(&c->out, r)[j] = scale_at(c, j) * softplus(c, r, j, &slope);
}

void SR_TRUTH(softplus_backward)(const sr_call *c) {
    start(&c->din[1]);
    start(&c->din[2]);
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++) {
            real slope, y = scale_at(c, j) * softplus(c, r, j, &slope), dy = row(&c->dout, r)[j];
            put(&c->din[0], r, j, dy * scale_at(c, j) * slope);
            sum_into(&c->din[1], 0, j, dy * scale_at(c, j) * slope);
            sum_into(&c->din[2], 0, j, dy * y);
        }
}
