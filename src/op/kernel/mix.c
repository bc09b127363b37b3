/* mix: one pass over z, 8 experts (the usual number) unrolled. */
#include "op/kernel/lanes.h"

SR_INLINE void forward_rows(const sr_call *c, int64_t experts) {
    int64_t low, high;
    sr_share(c->out.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        const act *z = act_row(&c->in[0], r);
        const float *w = real_row(&c->in[1], r);
        act *y = act_row(&c->out, r);
        for (int64_t j = 0; j < c->out.cols; j++) {
            float sum = 0;
            for (int64_t e = 0; e < experts; e++) sum += w[e] * a_get(z + j * experts + e);
            a_set(y + j, sum);
        }
    }
}

void SR_KERNEL(mix_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
        if (c->in[1].cols == 8)
            forward_rows(c, 8);
        else
            forward_rows(c, c->in[1].cols);
    }
}

SR_INLINE void backward_rows(const sr_call *c, int64_t experts) {
    const sr_grad *dz = &c->din[0], *dw = &c->din[1];
    int64_t low, high;
    sr_share(c->dout.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        const act *z = act_row(&c->in[0], r), *dy = act_row(&c->dout, r);
        const float *w = real_row(&c->in[1], r);
        if (dz->view.data != NULL) {
            act *to = act_row(&dz->view, r);
            for (int64_t j = 0; j < c->dout.cols; j++)
                for (int64_t e = 0; e < experts; e++) {
                    float g = a_get(dy + j) * w[e];
                    a_set(to + j * experts + e, dz->add ? a_get(to + j * experts + e) + g : g);
                }
        }
        if (dw->view.data != NULL) {
            float *to = real_row(&dw->view, r);
            for (int64_t e = 0; e < experts; e++) {
                float sum = dw->add ? to[e] : 0;
                for (int64_t j = 0; j < c->dout.cols; j++)
                    sum += a_get(dy + j) * a_get(z + j * experts + e);
                to[e] = sum;
            }
        }
    }
}

void SR_KERNEL(mix_backward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
        if (c->in[1].cols == 8)
            backward_rows(c, 8);
        else
            backward_rows(c, c->in[1].cols);
    }
}
