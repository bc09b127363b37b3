#include "op/truth/truth.h"

static real share(const sr_call *c, int64_t r, int64_t j) {
    return row(&c->in[2], 0)[j] + (c->in[3].cols > 0 ? row(&c->in[3], r)[j] : 0);
}

void SR_TRUTH(shift_mix_forward)(const sr_call *c) {
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++) {
            const real x = row(&c->in[0], r)[j], past = row(&c->in[1], r)[j];
            row(&c->out, r)[j] = x + (past - x) * share(c, r, j);
        }
}

void SR_TRUTH(shift_mix_backward)(const sr_call *c) {
    start(&c->din[2]);
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++) {
            const real dy = row(&c->dout, r)[j], s = share(c, r, j),
                       difference = row(&c->in[1], r)[j] - row(&c->in[0], r)[j];
            put(&c->din[0], r, j, dy * (1 - s));
            put(&c->din[1], r, j, dy * s);
            sum_into(&c->din[2], 0, j, dy * difference);
            put(&c->din[3], r, j, dy * difference);
        }
}
