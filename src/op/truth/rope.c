#include "op/truth/truth.h"

/* Pair i of the head at position p: (a cos - b sin, a sin + b cos), angle p * freq[i]; channels
 * behind the last pair stay. */
void SR_TRUTH(rope_forward)(const sr_call *c) {
    const real *freq = row(&c->in[1], 0);
    const int64_t hd = c->attr.rope.head_dim, rotated = 2 * c->in[1].cols;
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        const real *x = row(&c->in[0], r);
        real *y = row(&c->out, r);
        for (int64_t h = 0; h < c->in[0].cols; h += hd) {
            for (int64_t j = h; j < h + rotated; j += 2) {
                double angle = (double)(c->position + r % c->length) * (double)freq[(j - h) / 2];
                real co = (real)cos(angle), si = (real)sin(angle), a = x[j], b = x[j + 1];
                y[j] = a * co - b * si;
                y[j + 1] = a * si + b * co;
            }
            for (int64_t j = h + rotated; j < h + hd; j++) y[j] = x[j];
        }
    }
}

/* The rotation the other way. */
void SR_TRUTH(rope_backward)(const sr_call *c) {
    const real *freq = row(&c->in[1], 0);
    const int64_t hd = c->attr.rope.head_dim, rotated = 2 * c->in[1].cols;
    for (int64_t r = 0; r < c->in[0].rows; r++) {
        const real *dy = row(&c->dout, r);
        for (int64_t h = 0; h < c->in[0].cols; h += hd) {
            for (int64_t j = h; j < h + rotated; j += 2) {
                double angle = (double)(c->position + r % c->length) * (double)freq[(j - h) / 2];
                real co = (real)cos(angle), si = (real)sin(angle), a = dy[j], b = dy[j + 1];
                put(&c->din[0], r, j, a * co + b * si);
                put(&c->din[0], r, j + 1, b * co - a * si);
            }
            for (int64_t j = h + rotated; j < h + hd; j++) put(&c->din[0], r, j, dy[j]);
        }
    }
}
