#include "op/truth/unembed.h"

void SR_TRUTH(unembed_loss_forward)(const sr_call *c) {
    real *p = c->scratch;
    for (int64_t r = 0; r < c->in[SR_LOSS_H].rows; r++) {
        *row(&c->out, r) = 0;
        if (target(c, r) < 0) continue;
        real lse = logits(c, r, p);
        *row(&c->out, r) = lse - p[target(c, r)];
    }
}

void SR_TRUTH(unembed_loss_backward)(const sr_call *c) {
    real *p = c->scratch;
    start(&c->din[SR_LOSS_H]);
    start(&c->din[SR_LOSS_W]);
    start(&c->din[SR_LOSS_BIAS]);
    for (int64_t r = 0; r < c->in[SR_LOSS_H].rows; r++) {
        *row(&c->out, r) = 0;
        if (target(c, r) < 0) continue;
        const real *h = row(&c->in[SR_LOSS_H], r), dy = *row(&c->dout, r);
        real lse = logits(c, r, p);
        *row(&c->out, r) = lse - p[target(c, r)];
        for (int64_t v = 0; v < c->in[SR_LOSS_W].rows; v++) {
            const real *w = row(&c->in[SR_LOSS_W], v);
            real g = dy * ((real)exp((double)(p[v] - lse)) - (v == target(c, r) ? 1 : 0));
            for (int64_t j = 0; j < c->in[SR_LOSS_H].cols; j++) {
                sum_into(&c->din[SR_LOSS_H], r, j, g * w[j]);
                sum_into(&c->din[SR_LOSS_W], v, j, g * h[j]);
            }
            sum_into(&c->din[SR_LOSS_BIAS], 0, v, g);
        }
    }
}
