#include "op/truth/truth.h"

/* Pair i of the head at position p: (a cos - b sin, a sin + b cos), angle p * freq[i]. */
void SR_TRUTH(rope_forward)(const sr_call *c) {
    const real *freq = row(&c->in[1], 0);
    const int hd = c->attr.rope.head_dim;
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        const real *x = row(&c->in[0], r);
        real *y = row(&c->out, r);
        for (int64_t j = 0; j < c->in[0].cols; j += 2) {
            double angle = (double)(c->position + r % c->length) * (double)freq[j % hd / 2];
            real co = (real)cos(angle), si = (real)sin(angle), a = x[j], b = x[j + 1];
            y[j] = a * co - b * si;
            y[j + 1] = a * si + b * co;
        }
    }
}

/* The rotation the other way. */
void SR_TRUTH(rope_backward)(const sr_call *c) {
    const real *freq = row(&c->in[1], 0);
    const int hd = c->attr.rope.head_dim;
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        const real *dy = row(&c->dout, r);
        for (int64_t j = 0; j < c->in[0].cols; j += 2) {
            double angle = (double)(c->position + r % c->length) * (double)freq[j % hd / 2];
            real co = (real)cos(angle), si = (real)sin(angle), a = dy[j], b = dy[j + 1];
            put(&c->din[0], r, j, a * co + b * si);
            put(&c->din[0], r, j + 1, b * co - a * si);
        }
    }
}
