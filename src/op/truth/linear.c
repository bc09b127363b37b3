#include "op/truth/truth.h"

void SR_TRUTH(linear_forward)(const sr_call *c) {
    const real sign = (real)c->attr.linear.sign;
    for (int64_t r = 0; r < c->in[0].rows; r++)
        for (int64_t o = 0; o < c->in[1].rows; o++) {
            const real *x = row(&c->in[0], r), *w = row(&c->in[1], o);
            real sum = 0;
            for (int64_t j = 0; j < c->in[0].cols; j++) sum += x[j] * w[j];
            row(&c->out, r)[o] = sign * sum + (c->in[2].cols > 0 ? row(&c->in[2], r)[o] : 0);
        }
}

void SR_TRUTH(linear_backward)(const sr_call *c) {
    const real sign = (real)c->attr.linear.sign;
    start(&c->din[0]);
    start(&c->din[1]);
    for (int64_t r = 0; r < c->in[0].rows; r++)
        for (int64_t o = 0; o < c->in[1].rows; o++) {
            const real *x = row(&c->in[0], r), *w = row(&c->in[1], o), dy = row(&c->dout, r)[o];
            for (int64_t j = 0; j < c->in[0].cols; j++) {
                sum_into(&c->din[0], r, j, sign * dy * w[j]);
                sum_into(&c->din[1], o, j, sign * dy * x[j]);
            }
            if (c->din[2].view.data != c->dout.data) put(&c->din[2], r, o, dy);
        }
}
