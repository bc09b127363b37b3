#include "op/truth/truth.h"

static real factor(const sr_call *c, int64_t s, int64_t j) {
    const int64_t period = c->attr.filter.period, band = c->attr.filter.band;
    if (band > 0 && s >= band) return 0;
    if (period == 1) return 1;
    return (real)exp(-(double)s / (double)(period - 1) * fabs((double)row(&c->in[1], 0)[j]));
}

void SR_TRUTH(decay_forward)(const sr_call *c) {
    for (int64_t s = 0; s < c->out.rows; s++)
        for (int64_t j = 0; j < c->out.cols; j++)
            row(&c->out, s)[j] = row(&c->in[0], s)[j] * factor(c, s, j) +
                                 (s == 0 && c->in[2].data != NULL ? row(&c->in[2], 0)[j] : 0);
}

/* The skip first: the gradient of x may lie where dout does. */
void SR_TRUTH(decay_backward)(const sr_call *c) {
    for (int64_t j = 0; j < c->dout.cols; j++) put(&c->din[2], 0, j, row(&c->dout, 0)[j]);
    for (int64_t s = 0; s < c->dout.rows; s++)
        for (int64_t j = 0; j < c->dout.cols; j++)
            put(&c->din[0], s, j, row(&c->dout, s)[j] * factor(c, s, j));
}
