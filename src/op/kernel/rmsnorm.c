/* rmsnorm: two passes over a row that fits the first-level cache. Lane i of a sum has the columns
 * i, i + VL ..., also those behind the last whole vector, so that zeros behind a row change
 * nothing. */
#include "op/kernel/lanes.h"

void SR_KERNEL(rmsnorm_forward)(const sr_call *c) {
    const float *gain = real_row(&c->in[1], 0);
    const int64_t d = c->in[0].cols, dv = d / VL * VL;
    const int rest = (int)(d - dv);
    const float epsilon = (float)c->attr.norm.epsilon,
                divisor = (float)sr_norm_divisor(c->attr.norm.divisor, d);
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->in[0].rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            const float *x = real_row(&c->in[0], r);
            act *y = act_row(&c->out, r);
            vf sums = {0};
            for (int64_t j = 0; j < dv; j += VL) sums += v_loadf(x + j) * v_loadf(x + j);
            if (dv < d) {
                const vf v = v_loadf_n(x + dv, rest);
                sums += v * v;
            }
            float inverse = 1 / sqrtf(v_sum(sums) / divisor + epsilon);
            for (int64_t j = 0; j < dv; j += VL)
                v_store(y + j, v_loadf(x + j) * inverse * v_loadf(gain + j));
            if (dv < d)
                v_store_n(y + dv, v_loadf_n(x + dv, rest) * inverse * v_loadf_n(gain + dv, rest),
                          rest);
            if (c->saved != NULL) ((float *)c->saved)[r] = inverse;
        }
    }
}

void SR_KERNEL(rmsnorm_backward)(const sr_call *c) {
    const float *gain = real_row(&c->in[1], 0);
    const int64_t d = c->in[0].cols, dv = d / VL * VL, width = (d + 15) / 16 * 16;
    const float divisor = (float)sr_norm_divisor(c->attr.norm.divisor, d);
    const int rest = (int)(d - dv);
    const bool want_x = c->din[0].view.data != NULL, add_x = c->din[0].add;
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->in[0].rows, 1, &low, &high);
        float *dgain = (float *)c->scratch + width * omp_get_thread_num();
        memset(dgain, 0, (size_t)width * sizeof(float));
#pragma omp single
        used = omp_get_num_threads();
        for (int64_t r = low; r < high; r++) {
            const float *x = real_row(&c->in[0], r);
            const act *dy = act_row(&c->dout, r);
            const float s = ((const float *)c->saved)[r];
            vf dots = {0};
            for (int64_t j = 0; j < dv; j += VL) {
                vf xs = v_loadf(x + j), g = v_load(dy + j);
                dots += xs * g * v_loadf(gain + j);
                v_storef(dgain + j, v_loadf(dgain + j) + g * xs * s);
            }
            if (dv < d) { /* there is room for a whole vector of dgain */
                const vf xs = v_loadf_n(x + dv, rest), g = v_load_n(dy + dv, rest);
                dots += xs * g * v_loadf_n(gain + dv, rest);
                v_storef(dgain + dv, v_loadf(dgain + dv) + g * xs * s);
            }
            if (!want_x) continue;
            float *dx = real_row(&c->din[0].view, r), k = s * s * s * v_sum(dots) / divisor;
            for (int64_t j = 0; j < dv; j += VL) {
                vf g = v_load(dy + j) * v_loadf(gain + j) * s - v_loadf(x + j) * k;
                v_storef(dx + j, add_x ? v_loadf(dx + j) + g : g);
            }
            if (dv < d) {
                const vf g = v_load_n(dy + dv, rest) * v_loadf_n(gain + dv, rest) * s -
                             v_loadf_n(x + dv, rest) * k;
                real_give(dx + dv, add_x, g, rest);
            }
        }
    }
    if (c->din[1].view.data == NULL) return;
    float *out = real_row(&c->din[1].view, 0);
    for (int64_t j = 0; j < d; j++) {
        float sum = c->din[1].add ? out[j] : 0;
        for (int t = 0; t < used; t++) sum += ((const float *)c->scratch)[width * t + j];
        out[j] = sum;
    }
}
