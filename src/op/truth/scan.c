#include "op/scan.h"
#include "op/truth/truth.h"

static real in(const sr_call *c, int i, int64_t r, int64_t j) { return row(&c->in[i], r)[j]; }

/* softplus(dt + dt_bias) of one element, and its derivative. */
static real delta_at(const sr_call *c, int64_t r, int64_t j, real *slope) {
    double x = (double)(in(c, SR_SCAN_DT, r, j) + in(c, SR_SCAN_BIAS, 0, j));
    *slope = sigmoid((real)x);
    return (real)(fmax(x, 0) + log1p(exp(-fabs(x))));
}
/* One step of channel j's state. */
static void step(const sr_call *c, int64_t r, int64_t j, const real *before, real *after) {
    real slope, delta = delta_at(c, r, j, &slope);
    for (int n = 0; n < c->attr.scan.states; n++) {
        real a = -(real)exp((double)in(c, SR_SCAN_A, j, n));
        after[n] = (real)exp((double)(delta * a)) * before[n] +
                   delta * in(c, SR_SCAN_B, r, n) * in(c, SR_SCAN_U, r, j);
    }
}
static real readout(const sr_call *c, int64_t r, int64_t j, const real *h) {
    real y = in(c, SR_SCAN_D, 0, j) * in(c, SR_SCAN_U, r, j);
    for (int n = 0; n < c->attr.scan.states; n++) y += in(c, SR_SCAN_C, r, n) * h[n];
    return y;
}
/* The saved state of channel j before step k * SR_SCAN_SEGMENT, k > 0. */
static real *saved_at(const sr_call *c, int64_t sequence, int64_t k, int64_t j) {
    int64_t n = c->attr.scan.states;
    return (real *)c->saved + ((sequence * sr_scan_saves(c) + k - 1) * sr_scan_padded(c) + j) * n;
}

void SR_TRUTH(scan_forward)(const sr_call *c) {
    int states = c->attr.scan.states;
    for (int64_t q = 0; q < c->batch; q++)
        for (int64_t j = 0; j < c->in[0].cols; j++) {
            real own[SR_SCAN_STATES] = {0}, *h = own;
            if (c->state[0].data != NULL)
                h = (real *)c->state[0].data + (q * c->in[0].cols + j) * states;
            for (int64_t t = 0; t < c->length; t++) {
                int64_t r = q * c->length + t;
                if (c->saved != NULL && t > 0 && t % SR_SCAN_SEGMENT == 0)
                    memcpy(saved_at(c, q, t / SR_SCAN_SEGMENT, j), h,
                           (size_t)states * sizeof(real));
                step(c, r, j, h, h);
                real z = in(c, SR_SCAN_Z, r, j);
                row(&c->out, r)[j] = readout(c, r, j, h) * z * sigmoid(z);
            }
        }
}

/* One step back: dh holds the gradient of the state after the step, then that before it. */
static void step_back(const sr_call *c, int64_t r, int64_t j, const real *before, const real *after,
                      real *dh) {
    real u = in(c, SR_SCAN_U, r, j), z = in(c, SR_SCAN_Z, r, j), dy = row(&c->dout, r)[j];
    real s = sigmoid(z), slope, delta = delta_at(c, r, j, &slope);
    put(&c->din[SR_SCAN_Z], r, j, dy * readout(c, r, j, after) * (s + z * s * (1 - s)));
    dy *= z * s;
    sum_into(&c->din[SR_SCAN_D], 0, j, dy * u);
    real du = dy * in(c, SR_SCAN_D, 0, j), ddelta = 0;
    for (int n = 0; n < c->attr.scan.states; n++) {
        real b = in(c, SR_SCAN_B, r, n), a = -(real)exp((double)in(c, SR_SCAN_A, j, n));
        real decay = (real)exp((double)(delta * a));
        sum_into(&c->din[SR_SCAN_C], r, n, dy * after[n]);
        dh[n] += in(c, SR_SCAN_C, r, n) * dy;
        sum_into(&c->din[SR_SCAN_B], r, n, dh[n] * delta * u);
        du += dh[n] * delta * b;
        ddelta += dh[n] * (b * u + before[n] * decay * a);
        sum_into(&c->din[SR_SCAN_A], j, n, dh[n] * before[n] * decay * delta * a);
        dh[n] *= decay;
    }
    put(&c->din[SR_SCAN_U], r, j, du);
    put(&c->din[SR_SCAN_DT], r, j, ddelta * slope);
    sum_into(&c->din[SR_SCAN_BIAS], 0, j, ddelta * slope);
}

void SR_TRUTH(scan_backward)(const sr_call *c) {
    int states = c->attr.scan.states;
    real h[SR_SCAN_SEGMENT + 1][SR_SCAN_STATES];
    for (int i = SR_SCAN_B; i <= SR_SCAN_D; i++) start(&c->din[i]);
    for (int64_t q = 0; q < c->batch; q++)
        for (int64_t j = 0; j < c->in[0].cols; j++) {
            real dh[SR_SCAN_STATES] = {0};
            for (int64_t k = sr_scan_saves(c); k >= 0; k--) {
                int64_t first = k * SR_SCAN_SEGMENT, r = q * c->length + first;
                int steps = (int)(c->length - first);
                if (steps > SR_SCAN_SEGMENT) steps = SR_SCAN_SEGMENT;
                memset(h[0], 0, sizeof h[0]);
                if (k > 0) memcpy(h[0], saved_at(c, q, k, j), (size_t)states * sizeof(real));
                for (int i = 0; i < steps; i++) step(c, r + i, j, h[i], h[i + 1]);
                for (int i = steps - 1; i >= 0; i--) step_back(c, r + i, j, h[i], h[i + 1], dh);
            }
        }
}
