/* What the truths of unembed_loss and unembed_score share. */
#ifndef SR_OP_TRUTH_UNEMBED_H
#define SR_OP_TRUTH_UNEMBED_H

#include "op/truth/truth.h"
#include "op/unembed_loss.h"

/* The logits of one token into p; returns log sum exp. */
static inline real logits(const sr_call *c, int64_t r, real *p) {
    const bool biased = c->in[SR_LOSS_BIAS].cols > 0;
    real most = -INFINITY, sum = 0;
    for (int64_t v = 0; v < c->in[SR_LOSS_W].rows; v++) {
        const real *h = row(&c->in[SR_LOSS_H], r), *w = row(&c->in[SR_LOSS_W], v);
        p[v] = biased ? row(&c->in[SR_LOSS_BIAS], 0)[v] : 0;
        for (int64_t j = 0; j < c->in[SR_LOSS_H].cols; j++) p[v] += h[j] * w[j];
        most = p[v] > most ? p[v] : most;
    }
    for (int64_t v = 0; v < c->in[SR_LOSS_W].rows; v++) sum += (real)exp((double)(p[v] - most));
    return most + (real)log((double)sum);
}

static inline int32_t target(const sr_call *c, int64_t r) {
    const sr_view *t = &c->in[SR_LOSS_TARGET];
    return ((const int32_t *)t->data)[r * t->stride];
}

#endif
