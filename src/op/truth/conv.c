#include "op/truth/taps.h"

/* x[t] of a sequence; the ring, or zero, before its first row. */
static real input(const sr_call *c, int64_t sequence, int64_t t, int64_t j) {
    if (t >= 0) return row(&c->in[0], sequence * c->length + t)[j];
    if (c->state[0].data == NULL) return 0;
    return ring_get(c, sequence, c->position + t + c->state[0].capacity, j);
}
/* The sum of channel j of the result, before f. */
static real sum_at(const sr_call *c, int64_t sequence, int64_t t, int64_t j) {
    const int taps = c->attr.conv.taps;
    const int64_t from = j % c->in[0].cols;
    real s = c->in[2].data != NULL ? row(&c->in[2], 0)[j] : 0;
    for (int k = 0; k < taps; k++)
        s += row(&c->in[1], j)[k] * input(c, sequence, t - (taps - 1) + k, from);
    return s;
}

void SR_TRUTH(conv_forward)(const sr_call *c) {
    int64_t keep = c->state[0].data != NULL ? c->state[0].capacity : 0;
    for (int64_t q = 0; q < c->batch; q++)
        for (int64_t t = 0; t < c->length; t++)
            for (int64_t j = 0; j < c->out.cols; j++) {
                real s = sum_at(c, q, t, j);
                row(&c->out, q * c->length + t)[j] = c->attr.conv.silu ? s * sigmoid(s) : s;
            }
    for (int64_t q = 0; q < c->batch; q++)
        for (int64_t t = c->length > keep ? c->length - keep : 0; t < c->length; t++)
            for (int64_t j = 0; j < c->in[0].cols; j++)
                ring_set(c, q, c->position + t, j, input(c, q, t, j));
}

/* With g[t] = dy[t] f'(s[t]): dw[k] = sum of g[t] x[t - (taps-1) + k], dbias = sum of g,
 * dx[t] = sum over tiles and k of w[k] g[t + taps-1 - k]. */
void SR_TRUTH(conv_backward)(const sr_call *c) {
    int taps = c->attr.conv.taps;
    for (int i = 0; i < 3; i++) start(&c->din[i]);
    for (int64_t q = 0; q < c->batch; q++)
        for (int64_t t = 0; t < c->length; t++)
            for (int64_t j = 0; j < c->dout.cols; j++) {
                const int64_t channel = j % c->in[0].cols;
                real g = row(&c->dout, q * c->length + t)[j], s = sum_at(c, q, t, j);
                real e = sigmoid(s);
                if (c->attr.conv.silu) g *= e + s * e * (1 - e);
                sum_into(&c->din[2], 0, j, g);
                for (int k = 0; k < taps; k++) {
                    int64_t from = t - (taps - 1) + k;
                    sum_into(&c->din[1], j, k, g * input(c, q, from, channel));
                    if (from >= 0)
                        sum_into(&c->din[0], q * c->length + from, channel,
                                 g * row(&c->in[1], j)[k]);
                }
            }
}
