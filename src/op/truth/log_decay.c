#include "op/truth/truth.h"

void SR_TRUTH(log_decay_forward)(const sr_call *c) {
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++)
            row(&c->out, r)[j] = -(real)exp((double)(row(&c->in[0], r)[j] + row(&c->in[1], 0)[j]));
}

void SR_TRUTH(log_decay_backward)(const sr_call *c) {
    start(&c->din[1]);
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++) {
            const real dx = row(&c->dout, r)[j] * row(&c->out, r)[j];
            put(&c->din[0], r, j, dx);
            sum_into(&c->din[1], 0, j, dx);
        }
}
