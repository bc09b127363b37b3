/* spread: one pass over y. Backward keeps the gradient of a vector of h in a register while it goes
 * through the experts, and sums those of w in lanes. */
#include "op/kernel/lanes.h"
#include "op/route.h"

void SR_KERNEL(spread_forward)(const sr_call *c) {
    const int64_t n = c->in[0].cols, full = n / VL * VL;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->out.rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            const act *h = act_row(&c->in[0], r);
            for (int64_t e = 0; e < c->in[1].cols; e++) {
                const float w = real_row(&c->in[1], r)[e];
                act *y = act_row(&c->out, r) + e * n;
                for (int64_t j = 0; j < full; j += VL) v_store(y + j, w * v_load(h + j));
                for (int64_t j = full; j < n; j++) a_set(y + j, w * a_get(h + j));
            }
        }
    }
}

/* n lanes of one token from channel j on: gives dh, adds to the lanes of dw. */
SR_INLINE void backward(const sr_call *c, int64_t r, int64_t j, int n, vf *dw) {
    const int64_t channels = c->in[0].cols, experts = c->in[1].cols;
    const act *dy = act_row(&c->dout, r) + j;
    const float *w = real_row(&c->in[1], r);
    const vf h = act_load(act_row(&c->in[0], r) + j, n);
    vf dh = {0};
    for (int64_t e = 0; e < experts; e++) {
        vf g = act_load(dy + e * channels, n);
        dh += w[e] * g;
        dw[e] += g * h;
    }
    if (c->din[0].view.data != NULL)
        act_give(act_row(&c->din[0].view, r) + j, c->din[0].add, dh, n);
}

void SR_KERNEL(spread_backward)(const sr_call *c) {
    const int64_t n = c->in[0].cols, full = n / VL * VL, experts = c->in[1].cols;
    const sr_grad *give = &c->din[1];
#pragma omp parallel num_threads(c->threads)
    {
        vf dw[SR_ROUTE_EXPERTS];
        float sums[SR_ROUTE_EXPERTS];
        int64_t low, high;
        sr_share(c->dout.rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            for (int64_t e = 0; e < experts; e++) dw[e] = (vf){0};
            for (int64_t j = 0; j < full; j += VL) backward(c, r, j, VL, dw);
            if (full < n) backward(c, r, full, (int)(n - full), dw);
            if (give->view.data == NULL) continue;
            float *to = real_row(&give->view, r);
            lane_sums(dw, (int)experts, sums);
            for (int64_t e = 0; e < experts; e++) to[e] = give->add ? to[e] + sums[e] : sums[e];
        }
    }
}
