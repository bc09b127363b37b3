#include "op/truth/map.h"

void SR_TRUTH(gate_add_forward)(const sr_call *c) {
    real slope;
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++)
            row(&c->out, r)[j] =
                row(&c->in[2], r)[j] +
                map(c->attr.gate.map, row(&c->in[0], r)[j], &slope) * row(&c->in[1], r)[j];
}

void SR_TRUTH(gate_add_backward)(const sr_call *c) {
    const bool same = c->din[2].view.data == c->dout.data; /* nothing to do for the residual */
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++) {
            real dy = row(&c->dout, r)[j], b = row(&c->in[1], r)[j], slope;
            real f = map(c->attr.gate.map, row(&c->in[0], r)[j], &slope);
            put(&c->din[0], r, j, dy * b * slope);
            put(&c->din[1], r, j, dy * f);
            if (!same) put(&c->din[2], r, j, dy);
        }
}
