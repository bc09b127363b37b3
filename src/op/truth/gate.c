#include "op/truth/map.h"

void SR_TRUTH(gate_forward)(const sr_call *c) {
    real slope;
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t j = 0; j < c->out.cols; j++)
            row(&c->out, r)[j] =
                map(c->attr.gate.map, row(&c->in[0], r)[j], &slope) * row(&c->in[1], r)[j];
}

void SR_TRUTH(gate_backward)(const sr_call *c) {
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t j = 0; j < c->dout.cols; j++) {
            real dy = row(&c->dout, r)[j], b = row(&c->in[1], r)[j], slope;
            real f = map(c->attr.gate.map, row(&c->in[0], r)[j], &slope);
            put(&c->din[0], r, j, dy * b * slope);
            put(&c->din[1], r, j, dy * f);
        }
}
