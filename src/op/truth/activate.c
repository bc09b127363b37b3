#include "op/truth/map.h"

static real argument(const sr_call *c, int64_t r, int64_t j) {
    return row(&c->in[0], r)[j] + (c->in[1].cols > 0 ? row(&c->in[1], 0)[j] : 0);
}

void SR_TRUTH(activate_forward)(const sr_call *c) {
    real slope;
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++)
            row(&c->out, r)[j] = map(c->attr.activate.map, argument(c, r, j), &slope);
}

void SR_TRUTH(activate_backward)(const sr_call *c) {
    start(&c->din[1]);
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++) {
            real slope;
            map(c->attr.activate.map, argument(c, r, j), &slope);
            slope *= row(&c->dout, r)[j];
            put(&c->din[0], r, j, slope);
            sum_into(&c->din[1], 0, j, slope);
        }
}
