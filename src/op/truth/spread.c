#include "op/truth/truth.h"

void SR_TRUTH(spread_forward)(const sr_call *c) {
    const int64_t n = c->in[0].cols;
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t e = 0; e < c->in[1].cols; e++)
            for (int64_t j = 0; j < n; j++)
                row(&c->out, r)[e * n + j] = row(&c->in[1], r)[e] * row(&c->in[0], r)[j];
}

void SR_TRUTH(spread_backward)(const sr_call *c) {
    const int64_t n = c->in[0].cols;
    start(&c->din[0]);
    start(&c->din[1]);
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t e = 0; e < c->in[1].cols; e++)
            for (int64_t j = 0; j < n; j++) {
                const real dy = row(&c->dout, r)[e * n + j];
                sum_into(&c->din[0], r, j, dy * row(&c->in[1], r)[e]);
                sum_into(&c->din[1], r, e, dy * row(&c->in[0], r)[j]);
            }
}
