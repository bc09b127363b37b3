#include "op/truth/truth.h"

/* (q of head h at row r) . (k that it reads at row s), and likewise for any two views. */
static real dot(const real *a, const real *b, int n) {
    real sum = 0;
    for (int d = 0; d < n; d++) sum += a[d] * b[d];
    return sum;
}

void SR_TRUTH(linear_attention_forward)(const sr_call *c) {
    const int H = c->attr.attention.heads, hd = c->attr.attention.head_dim,
              vd = c->attr.attention.value_dim, group = H / c->attr.attention.kv_heads;
    const real scale = (real)c->attr.attention.scale;
    const sr_state *state = &c->state[0];
    for (int64_t r = 0; r < c->in[0].rows; r++)
        for (int h = 0; h < H; h++) {
            const int64_t b = r / c->length, t = r % c->length;
            const int kv = h / group;
            const real *q = row(&c->in[0], r) + h * hd;
            real *out = row(&c->out, r) + h * vd;
            for (int d = 0; d < vd; d++) out[d] = 0;
            for (int a = 0; state->data != NULL && a < hd; a++)
                for (int d = 0; d < vd; d++) {
                    int64_t i = (b * hd + a) * state->width + kv * vd + d;
                    out[d] += q[a] * (state->type == SR_F64 ? (real)((double *)state->data)[i]
                                                            : (real)((float *)state->data)[i]);
                }
            for (int64_t s = r - t; s <= r; s++) {
                real w = dot(q, row(&c->in[1], s) + kv * hd, hd);
                for (int d = 0; d < vd; d++) out[d] += w * row(&c->in[2], s)[kv * vd + d];
            }
            for (int d = 0; d < vd; d++) out[d] *= scale / (real)(c->position + t + 1);
        }
    for (int64_t r = 0; state->data != NULL && r < c->in[0].rows; r++)
        for (int a = 0; a < hd; a++)
            for (int64_t j = 0; j < state->width; j++) {
                int64_t i = (r / c->length * hd + a) * state->width + j;
                real add = row(&c->in[1], r)[j / vd * hd + a] * row(&c->in[2], r)[j];
                if (state->type == SR_F64)
                    ((double *)state->data)[i] += (double)add;
                else
                    ((float *)state->data)[i] += (float)add;
            }
}

/* Of whole sequences from their start: a backward pass has no state. */
void SR_TRUTH(linear_attention_backward)(const sr_call *c) {
    const int H = c->attr.attention.heads, hd = c->attr.attention.head_dim,
              vd = c->attr.attention.value_dim, group = H / c->attr.attention.kv_heads;
    for (int i = 0; i < 3; i++) start(&c->din[i]);
    for (int64_t r = 0; r < c->in[0].rows; r++)
        for (int h = 0; h < H; h++) {
            const int64_t t = r % c->length;
            const int kv = h / group;
            const real *q = row(&c->in[0], r) + h * hd, *dout = row(&c->dout, r) + h * vd;
            const real factor = (real)c->attr.attention.scale / (real)(c->position + t + 1);
            for (int64_t s = r - t; s <= r; s++) {
                const real *k = row(&c->in[1], s) + kv * hd, *v = row(&c->in[2], s) + kv * vd;
                real w = factor * dot(q, k, hd), ds = factor * dot(dout, v, vd);
                for (int d = 0; d < hd; d++) {
                    sum_into(&c->din[0], r, h * hd + d, ds * k[d]);
                    sum_into(&c->din[1], s, kv * hd + d, ds * q[d]);
                }
                for (int d = 0; d < vd; d++) sum_into(&c->din[2], s, kv * vd + d, w * dout[d]);
            }
        }
}
