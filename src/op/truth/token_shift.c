#include "op/truth/taps.h"

void SR_TRUTH(token_shift_forward)(const sr_call *c) {
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        const int64_t b = r / c->length, t = r % c->length;
        for (int64_t j = 0; j < c->in[0].cols; j++)
            row(&c->out, r)[j] = t > 0                      ? row(&c->in[0], r - 1)[j]
                                 : c->state[0].data != NULL ? ring_get(c, b, 0, j)
                                                            : 0;
    }
    for (int64_t b = 0; c->state[0].data != NULL && b < c->batch; b++)
        for (int64_t j = 0; j < c->in[0].cols; j++)
            ring_set(c, b, 0, j, row(&c->in[0], (b + 1) * c->length - 1)[j]);
}

void SR_TRUTH(token_shift_backward)(const sr_call *c) {
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++)
            put(&c->din[0], r, j, r % c->length + 1 < c->length ? row(&c->dout, r + 1)[j] : 0);
}
