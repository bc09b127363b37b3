#include "op/truth/taps.h"

/* p[t] = B[t] v[t] of a sequence; the ring, or zero, before its first row. */
static real input(const sr_call *c, int64_t sequence, int64_t t, int64_t j) {
    int64_t r = sequence * c->length + t;
    if (t >= 0) return row(&c->in[0], r)[j] * row(&c->in[2], r)[j];
    if (c->state[0].data == NULL) return 0;
    return ring_get(c, sequence, c->position + t + c->state[0].capacity, j);
}
static real sum_at(const sr_call *c, int64_t sequence, int64_t t, int64_t j) {
    int taps = c->attr.conv.taps;
    real s = 0;
    for (int k = 0; k < taps; k++)
        s += row(&c->in[3], j)[k] * input(c, sequence, t - (taps - 1) + k, j);
    return s;
}

void SR_TRUTH(gated_conv_forward)(const sr_call *c) {
    int64_t keep = c->state[0].data != NULL ? c->state[0].capacity : 0;
    for (int64_t q = 0; q < c->batch; q++)
        for (int64_t j = 0; j < c->in[0].cols; j++) {
            for (int64_t t = 0; t < c->length; t++) {
                int64_t r = q * c->length + t;
                row(&c->out, r)[j] = row(&c->in[1], r)[j] * sum_at(c, q, t, j);
            }
            for (int64_t t = c->length > keep ? c->length - keep : 0; t < c->length; t++)
                ring_set(c, q, c->position + t, j, input(c, q, t, j));
        }
}

/* With g = dy C: dw[k] = sum of g[t] p[t - (taps-1) + k], dp[t] = sum over k of w[k] g[t + taps-1 -
 * k], dB = dp v, dv = dp B, dC = dy s. */
void SR_TRUTH(gated_conv_backward)(const sr_call *c) {
    int taps = c->attr.conv.taps;
    for (int i = 0; i < 4; i++) start(&c->din[i]);
    for (int64_t q = 0; q < c->batch; q++)
        for (int64_t t = 0; t < c->length; t++)
            for (int64_t j = 0; j < c->in[0].cols; j++) {
                int64_t r = q * c->length + t;
                real dy = row(&c->dout, r)[j], g = dy * row(&c->in[1], r)[j];
                sum_into(&c->din[1], r, j, dy * sum_at(c, q, t, j));
                for (int k = 0; k < taps; k++) {
                    int64_t from = t - (taps - 1) + k, s = q * c->length + from;
                    sum_into(&c->din[3], j, k, g * input(c, q, from, j));
                    if (from < 0) continue;
                    real dp = g * row(&c->in[3], j)[k];
                    sum_into(&c->din[0], s, j, dp * row(&c->in[2], s)[j]);
                    sum_into(&c->din[2], s, j, dp * row(&c->in[0], s)[j]);
                }
            }
}
