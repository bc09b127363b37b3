#include "op/attention.h"
#include "op/truth/truth.h"

/* Key or value (which = 0 or 1) head `kv` of sequence b at absolute position p, element d. */
static real past_or_present(const sr_call *c, int which, int64_t b, int kv, int64_t p, int d) {
    const int hd = sr_attention_dim(c, which);
    if (p >= c->position)
        return row(&c->in[1 + which], b * c->length + p - c->position)[kv * hd + d];
    const sr_state *s = &c->state[which];
    int64_t i = (b * s->capacity + p % s->capacity) * s->width + (int64_t)kv * hd + d;
    return state_get(s, i);
}

static real map_score(sr_map_kind map, real s) {
    switch (map) {
    case SR_MAP_RELU:
        return s > 0 ? s : 0;
    case SR_MAP_SWISH:
        return s * sigmoid(s);
    default:
        return s;
    }
}
static real map_slope(sr_map_kind map, real s) {
    switch (map) {
    case SR_MAP_RELU:
        return s > 0 ? 1 : 0;
    case SR_MAP_SWISH:
        return sigmoid(s) * (1 + s * (1 - sigmoid(s)));
    default:
        return 1;
    }
}

/* What query (b, t, h) sees: its first and last position and the score of one of them. */
static int64_t first_seen(const sr_call *c, int64_t t) {
    const int64_t W = c->attr.attention.window, oldest = c->position - sr_attention_past(c);
    int64_t first = W > 0 ? c->position + t - W + 1 : 0;
    return first > oldest ? first : oldest;
}
static real score(const sr_call *c, int64_t b, int64_t t, int h, int64_t p) {
    const int hd = c->attr.attention.head_dim,
              kv = h / (c->attr.attention.heads / c->attr.attention.kv_heads);
    const real *q = row(&c->in[0], b * c->length + t) + h * hd;
    real sum = 0;
    for (int d = 0; d < hd; d++) sum += q[d] * past_or_present(c, 0, b, kv, p, d);
    return sum * (real)c->attr.attention.scale;
}

void SR_TRUTH(attention_forward)(const sr_call *c) {
    const int H = c->attr.attention.heads, vd = c->attr.attention.value_dim,
              group = H / c->attr.attention.kv_heads;
    const sr_map_kind map = c->attr.attention.map;
    for (int64_t r = 0; r < c->in[0].rows; r++)
        for (int h = 0; h < H; h++) {
            const int64_t b = r / c->length, t = r % c->length, last = c->position + t;
            real *out = row(&c->out, r) + h * vd, most = 0, sum = 0;
            for (int d = 0; d < vd; d++) out[d] = 0;
            if (map == SR_MAP_SOFTMAX) {
                most = score(c, b, t, h, last);
                for (int64_t p = first_seen(c, t); p < last; p++) {
                    real s = score(c, b, t, h, p);
                    if (s > most) most = s;
                }
            }
            for (int64_t p = first_seen(c, t); p <= last; p++) {
                real s = score(c, b, t, h, p), w;
                w = map == SR_MAP_SOFTMAX ? (real)exp((double)(s - most)) : map_score(map, s);
                sum += w;
                for (int d = 0; d < vd; d++)
                    out[d] += w * past_or_present(c, 1, b, h / group, p, d);
            }
            real divisor = map == SR_MAP_SOFTMAX ? sum : (real)(last + 1);
            for (int d = 0; d < vd; d++) out[d] /= divisor;
            if (c->saved != NULL && map == SR_MAP_SOFTMAX)
                ((real *)c->saved)[r * H + h] = most + (real)log((double)sum);
        }
}

/* With weights w, D = dout . out: the score's gradient is w (dout . v - D) for softmax,
 * slope (dout . v) / (position + 1) otherwise. Past tokens of a state have no gradient. */
void SR_TRUTH(attention_backward)(const sr_call *c) {
    const int H = c->attr.attention.heads, hd = c->attr.attention.head_dim,
              vd = c->attr.attention.value_dim, group = H / c->attr.attention.kv_heads;
    const sr_map_kind map = c->attr.attention.map;
    const real scale = (real)c->attr.attention.scale;
    for (int i = 0; i < 3; i++) start(&c->din[i]);
    for (int64_t r = 0; r < c->in[0].rows; r++)
        for (int h = 0; h < H; h++) {
            const int64_t b = r / c->length, t = r % c->length, last = c->position + t;
            const real *q = row(&c->in[0], r) + h * hd, *out = row(&c->out, r) + h * vd,
                       *dout = row(&c->dout, r) + h * vd;
            real total = 0;
            for (int d = 0; d < vd; d++) total += dout[d] * out[d];
            for (int64_t p = first_seen(c, t); p <= last; p++) {
                real s = score(c, b, t, h, p), along = 0, w, ds;
                for (int d = 0; d < vd; d++)
                    along += dout[d] * past_or_present(c, 1, b, h / group, p, d);
                if (map == SR_MAP_SOFTMAX) {
                    w = (real)exp((double)(s - ((const real *)c->saved)[r * H + h]));
                    ds = w * (along - total);
                } else {
                    w = map_score(map, s) / (real)(last + 1);
                    ds = map_slope(map, s) * along / (real)(last + 1);
                }
                ds *= scale;
                for (int d = 0; d < hd; d++)
                    sum_into(&c->din[0], r, h * hd + d,
                             ds * past_or_present(c, 0, b, h / group, p, d));
                if (p < c->position) continue;
                const int64_t key = b * c->length + p - c->position;
                for (int d = 0; d < hd; d++)
                    sum_into(&c->din[1], key, h / group * hd + d, ds * q[d]);
                for (int d = 0; d < vd; d++)
                    sum_into(&c->din[2], key, h / group * vd + d, w * dout[d]);
            }
        }
}
