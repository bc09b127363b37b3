#include "op/truth/truth.h"

void SR_TRUTH(bias_forward)(const sr_call *c) {
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++)
            row(&c->out, r)[j] = row(&c->in[0], r)[j] + row(&c->in[1], 0)[j];
}

void SR_TRUTH(bias_backward)(const sr_call *c) {
    start(&c->din[1]);
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++) {
            const real dy = row(&c->dout, r)[j];
            if (c->din[0].view.data != c->dout.data) put(&c->din[0], r, j, dy);
            sum_into(&c->din[1], 0, j, dy);
        }
}
