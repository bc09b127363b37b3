#include "op/truth/truth.h"

void SR_TRUTH(long_conv_forward)(const sr_call *c) {
    const sr_state *s = &c->state[0];
    const int64_t d = c->in[0].cols;
    for (int64_t b = 0; b < c->batch; b++) {
        for (int64_t t = 0; t < c->length; t++)
            for (int64_t j = 0; j < d; j++) {
                real sum = 0;
                for (int64_t lag = 0; lag < c->in[1].rows; lag++) {
                    int64_t q = c->position + t - lag; /* position that this lag reads */
                    if (q < 0 || (q < c->position && (s->data == NULL || lag > s->capacity))) break;
                    real p = lag <= t ? row(&c->in[0], b * c->length + t - lag)[j]
                                      : state_get(s, (b * s->capacity + q % s->capacity) * d + j);
                    sum += row(&c->in[1], lag)[j] * p;
                }
                row(&c->out, b * c->length + t)[j] = sum;
            }
        for (int64_t t = 0; s->data != NULL && t < c->length; t++)
            for (int64_t j = 0; j < d; j++)
                state_set(s, (b * s->capacity + (c->position + t) % s->capacity) * d + j,
                          row(&c->in[0], b * c->length + t)[j]);
    }
}

/* dp[t] = sum over s of h[s] dy[t + s], dh[s] = sum over t of dy[t] p[t - s]. */
void SR_TRUTH(long_conv_backward)(const sr_call *c) {
    start(&c->din[0]);
    start(&c->din[1]);
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t t = 0; t < c->length; t++)
            for (int64_t lag = 0; lag <= t && lag < c->in[1].rows; lag++) {
                int64_t from = b * c->length + t - lag;
                const real *dy = row(&c->dout, b * c->length + t);
                for (int64_t j = 0; j < c->in[0].cols; j++) {
                    sum_into(&c->din[0], from, j, dy[j] * row(&c->in[1], lag)[j]);
                    sum_into(&c->din[1], lag, j, dy[j] * row(&c->in[0], from)[j]);
                }
            }
}
