#include "op/truth/truth.h"

/* The logits of one token into p; returns log sum exp. */
static real logits(const sr_call *c, int64_t r, real *p) {
    real most = -INFINITY, sum = 0;
    for (int64_t v = 0; v < c->in[1].rows; v++) {
        const real *h = row(&c->in[0], r), *w = row(&c->in[1], v);
        p[v] = 0;
        for (int64_t j = 0; j < c->in[0].cols; j++) p[v] += h[j] * w[j];
        most = p[v] > most ? p[v] : most;
    }
    for (int64_t v = 0; v < c->in[1].rows; v++) sum += (real)exp((double)(p[v] - most));
    return most + (real)log((double)sum);
}

static int32_t target(const sr_call *c, int64_t r) {
    return ((const int32_t *)c->in[2].data)[r * c->in[2].stride];
}

void SR_TRUTH(unembed_loss_forward)(const sr_call *c) {
    real *p = c->scratch;
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        *row(&c->out, r) = 0;
        if (target(c, r) < 0) continue;
        real lse = logits(c, r, p);
        *row(&c->out, r) = lse - p[target(c, r)];
    }
}

void SR_TRUTH(unembed_loss_backward)(const sr_call *c) {
    real *p = c->scratch;
    start(&c->din[0]);
    start(&c->din[1]);
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        *row(&c->out, r) = 0;
        if (target(c, r) < 0) continue;
        const real *h = row(&c->in[0], r), dy = *row(&c->dout, r);
        real lse = logits(c, r, p);
        *row(&c->out, r) = lse - p[target(c, r)];
        for (int64_t v = 0; v < c->in[1].rows; v++) {
            const real *w = row(&c->in[1], v);
            real g = dy * ((real)exp((double)(p[v] - lse)) - (v == target(c, r) ? 1 : 0));
            for (int64_t j = 0; j < c->in[0].cols; j++) {
                sum_into(&c->din[0], r, j, g * w[j]);
                sum_into(&c->din[1], v, j, g * h[j]);
            }
        }
    }
}
