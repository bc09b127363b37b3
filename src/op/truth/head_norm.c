#include "op/head_norm.h"
#include "op/truth/truth.h"

void SR_TRUTH(head_norm_forward)(const sr_call *c) {
    const int64_t heads = c->attr.head_norm.heads, n = sr_head_norm_width(c),
                  divisor = sr_head_norm_divisor(c);
    const bool per_channel = c->in[1].cols == c->in[0].cols;
    const real *gain = row(&c->in[1], 0), *bias = c->in[2].data;
    for (int64_t i = 0; i < c->in[0].rows * heads; i++) {
        const int64_t r = i / heads, h = i % heads, from = per_channel ? h * n : 0;
        const real *x = row(&c->in[0], r) + h * n;
        real *y = row(&c->out, r) + h * n, mean = 0, sum = 0;
        for (int64_t j = 0; c->attr.head_norm.centre && j < n; j++) mean += x[j] / (real)n;
        for (int64_t j = 0; j < n; j++) sum += (x[j] - mean) * (x[j] - mean);
        real inverse = 1 / (real)sqrt((double)(sum / (real)divisor) + c->attr.head_norm.epsilon);
        for (int64_t j = 0; j < n; j++)
            y[j] = (x[j] - mean) * inverse * gain[from + j] + (bias != NULL ? bias[from + j] : 0);
        if (c->saved == NULL) continue;
        ((real *)c->saved)[i * SR_HEAD_NORM_SAVES] = inverse;
        ((real *)c->saved)[i * SR_HEAD_NORM_SAVES + 1] = mean;
    }
}

/* With z = (x - mean) / rms and u = dy * gain: dx = (u - mean(u) - z sum(z u) / divisor) / rms,
 * without mean(u) where nothing was centred. */
void SR_TRUTH(head_norm_backward)(const sr_call *c) {
    const int64_t heads = c->attr.head_norm.heads, n = sr_head_norm_width(c),
                  divisor = sr_head_norm_divisor(c);
    const bool per_channel = c->in[1].cols == c->in[0].cols;
    const real *gain = row(&c->in[1], 0);
    start(&c->din[1]);
    start(&c->din[2]);
    for (int64_t i = 0; i < c->in[0].rows * heads; i++) {
        const int64_t r = i / heads, h = i % heads, from = per_channel ? h * n : 0;
        const real *x = row(&c->in[0], r) + h * n, *dy = row(&c->dout, r) + h * n;
        const real inverse = ((const real *)c->saved)[i * SR_HEAD_NORM_SAVES],
                   mean = ((const real *)c->saved)[i * SR_HEAD_NORM_SAVES + 1];
        real mean_u = 0, along = 0;
        for (int64_t j = 0; j < n; j++) {
            const real z = (x[j] - mean) * inverse, u = dy[j] * gain[from + j];
            if (c->attr.head_norm.centre) mean_u += u / (real)n;
            along += z * u / (real)divisor;
            sum_into(&c->din[1], 0, from + j, dy[j] * z);
            sum_into(&c->din[2], 0, from + j, dy[j]);
        }
        for (int64_t j = 0; j < n; j++) {
            const real z = (x[j] - mean) * inverse, u = dy[j] * gain[from + j];
            put(&c->din[0], r, h * n + j, inverse * (u - mean_u - z * along));
        }
    }
}
