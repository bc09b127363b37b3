#include "op/truth/truth.h"

/* Element `column` of k (which = 0) or v (1), `lag` tokens before token t of sequence b. */
static real past(const sr_call *c, int which, int64_t b, int64_t t, int64_t lag, int64_t column) {
    const sr_state *s = &c->state[which];
    if (lag <= t) return row(&c->in[1 + which], b * c->length + t - lag)[column];
    const int64_t position = c->position + t - lag;
    if (position < 0 || s->data == NULL || lag - t > s->capacity) return 0;
    return state_get(s, (b * s->capacity + position % s->capacity) * s->width + column);
}

void SR_TRUTH(toeplitz_attention_forward)(const sr_call *c) {
    const int hd = c->attr.attention.head_dim, vd = c->attr.attention.value_dim;
    const real scale = (real)c->attr.attention.scale;
    for (int64_t r = 0; r < c->in[0].rows; r++)
        for (int64_t g = 0; g < c->attr.attention.heads; g++) {
            const int64_t b = r / c->length, t = r % c->length;
            const real *q = row(&c->in[0], r) + g * hd;
            real *y = row(&c->out, r) + g * vd;
            for (int d = 0; d < vd; d++) y[d] = 0;
            for (int64_t lag = 0; lag <= c->position + t && lag < c->in[3].rows; lag++) {
                real score = 0;
                for (int d = 0; d < hd; d++) score += q[d] * past(c, 0, b, t, lag, g * hd + d);
                score *= scale * row(&c->in[3], lag)[g];
                for (int d = 0; d < vd; d++) y[d] += score * past(c, 1, b, t, lag, g * vd + d);
            }
        }
    for (int which = 0; which < 2; which++) {
        const sr_state *s = &c->state[which];
        for (int64_t r = 0; s->data != NULL && r < c->in[0].rows; r++)
            for (int64_t j = 0; j < s->width; j++) {
                const int64_t b = r / c->length, position = c->position + r % c->length;
                state_set(s, (b * s->capacity + position % s->capacity) * s->width + j,
                          row(&c->in[1 + which], r)[j]);
            }
    }
}

/* With s = scale (q_i . k_j) and e = dy_i . v_j, for every pair at lag i - j:
 * dq_i += scale h e k_j, dk_j += scale h e q_i, dv_j += h s dy_i, dh += s e. */
void SR_TRUTH(toeplitz_attention_backward)(const sr_call *c) {
    const int hd = c->attr.attention.head_dim, vd = c->attr.attention.value_dim;
    const real scale = (real)c->attr.attention.scale;
    for (int i = 0; i < 4; i++) start(&c->din[i]);
    for (int64_t r = 0; r < c->in[0].rows; r++)
        for (int64_t g = 0; g < c->attr.attention.heads; g++)
            for (int64_t lag = 0; lag <= r % c->length && lag < c->in[3].rows; lag++) {
                const real *q = row(&c->in[0], r) + g * hd, *k = row(&c->in[1], r - lag) + g * hd,
                           *v = row(&c->in[2], r - lag) + g * vd, *dy = row(&c->dout, r) + g * vd;
                const real h = row(&c->in[3], lag)[g];
                real s = 0, e = 0;
                for (int d = 0; d < hd; d++) s += scale * q[d] * k[d];
                for (int d = 0; d < vd; d++) e += dy[d] * v[d];
                sum_into(&c->din[3], lag, g, s * e);
                for (int d = 0; d < hd; d++) {
                    sum_into(&c->din[0], r, g * hd + d, scale * h * e * k[d]);
                    sum_into(&c->din[1], r - lag, g * hd + d, scale * h * e * q[d]);
                }
                for (int d = 0; d < vd; d++)
                    sum_into(&c->din[2], r - lag, g * vd + d, h * s * dy[d]);
            }
}
