#include "op/truth/truth.h"

void SR_TRUTH(mix_forward)(const sr_call *c) {
    const int64_t experts = c->in[1].cols;
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++) {
            const real *z = row(&c->in[0], r) + j * experts, *w = row(&c->in[1], r);
            real sum = 0;
            for (int64_t e = 0; e < experts; e++) sum += w[e] * z[e];
            row(&c->out, r)[j] = sum;
        }
}

void SR_TRUTH(mix_backward)(const sr_call *c) {
    const int64_t experts = c->in[1].cols;
    start(&c->din[1]);
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++)
            for (int64_t e = 0; e < experts; e++) {
                const real dy = row(&c->dout, r)[j];
                put(&c->din[0], r, j * experts + e, dy * row(&c->in[1], r)[e]);
                sum_into(&c->din[1], r, e, dy * row(&c->in[0], r)[j * experts + e]);
            }
}
