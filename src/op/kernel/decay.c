/* decay: entrywise; forward and backward are the same map, but for the skip. */
#include "op/vec.h"

static void map(const sr_call *c, const sr_view *from, const sr_view *to, bool add) {
    const int64_t period = c->attr.filter.period, band = c->attr.filter.band;
    const int64_t d = from->cols, dv = d / VL * VL;
    const float *rate = real_row(&c->in[1], 0);
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(from->rows, 1, &low, &high);
        for (int64_t s = low; s < high; s++) {
            const float *x = real_row(from, s);
            float *y = real_row(to, s);
            if (band > 0 && s >= band) {
                if (!add) memset(y, 0, (size_t)d * sizeof(float));
                continue;
            }
            const float t = period == 1 ? 0 : -(float)((double)s / (double)(period - 1));
            for (int64_t j = 0; j < dv; j += VL) {
                vf magnitude = (vf)((vi)v_loadf(rate + j) & 0x7fffffff);
                vf v = v_loadf(x + j) * v_exp(t * magnitude);
                v_storef(y + j, add ? v_loadf(y + j) + v : v);
            }
            for (int64_t j = dv; j < d; j++) {
                float v = x[j] * expf(t * fabsf(rate[j]));
                y[j] = add ? y[j] + v : v;
            }
        }
    }
}

static void add_row(float *y, const float *x, int64_t n, bool add) {
    for (int64_t j = 0; j < n; j++) y[j] = add ? y[j] + x[j] : x[j];
}

void SR_KERNEL(decay_forward)(const sr_call *c) {
    map(c, &c->in[0], &c->out, false);
    if (c->in[2].data != NULL)
        add_row(real_row(&c->out, 0), real_row(&c->in[2], 0), c->out.cols, true);
}

/* The skip first: the gradient of x may lie where dout does. */
void SR_KERNEL(decay_backward)(const sr_call *c) {
    const sr_grad *skip = &c->din[2];
    if (skip->view.data != NULL)
        add_row(real_row(&skip->view, 0), real_row(&c->dout, 0), c->dout.cols, skip->add);
    if (c->din[0].view.data != NULL) map(c, &c->dout, &c->din[0].view, c->din[0].add);
}
