#include "op/feature_map.h"
#include "op/truth/truth.h"

/* Feature i of the affine map whose weight is input `map`, of a head that begins at x. */
static real affine(const sr_call *c, int map, const real *x, int64_t i) {
    real sum = row(&c->in[map + 1], 0)[i];
    for (int64_t j = 0; j < c->in[map].cols; j++) sum += row(&c->in[map], i)[j] * x[j];
    return sum;
}

void SR_TRUTH(feature_map_forward)(const sr_call *c) {
    const int64_t n = c->in[SR_MAP_A].cols, features = c->in[SR_MAP_A].rows;
    for (int64_t r = 0; r < c->out.rows; r++)
        for (int64_t i = 0; i < c->out.cols; i++) {
            const real *x = row(&c->in[SR_MAP_X], r) + i / features * n;
            const int64_t f = i % features;
            row(&c->out, r)[i] = affine(c, SR_MAP_A, x, f) * affine(c, SR_MAP_B, x, f);
        }
}

void SR_TRUTH(feature_map_backward)(const sr_call *c) {
    const int64_t n = c->in[SR_MAP_A].cols, features = c->in[SR_MAP_A].rows;
    for (int i = 0; i < 5; i++) start(&c->din[i]);
    for (int64_t r = 0; r < c->dout.rows; r++)
        for (int64_t i = 0; i < c->dout.cols; i++) {
            const int64_t head = i / features * n, f = i % features;
            const real *x = row(&c->in[SR_MAP_X], r) + head, dy = row(&c->dout, r)[i];
            for (int map = SR_MAP_A; map <= SR_MAP_B; map += SR_MAP_B - SR_MAP_A) {
                const int other = SR_MAP_A + SR_MAP_B - map;
                const real d = dy * affine(c, other, x, f);
                sum_into(&c->din[map + 1], 0, f, d);
                for (int64_t j = 0; j < n; j++) {
                    sum_into(&c->din[map], f, j, d * x[j]);
                    sum_into(&c->din[SR_MAP_X], r, head + j, d * row(&c->in[map], f)[j]);
                }
            }
        }
}
