/* rope: a table of cosines and sines for the positions of the call, then one pass over the rows.
 *
 * The table holds, for every position and channel that is rotated, a cosine (each twice) and a sine
 * with the sign of the rotation, so that a vector of pairs x becomes x * cos + swapped(x) * sin. */
#include "op/vec.h"

static inline vf swap_pairs(vf x) {
    vi order;
    for (int i = 0; i < VL; i++) order[i] = i ^ 1;
    return __builtin_shuffle(x, order);
}

/* Positions [low, high). Angles are reduced in double: right at any position. */
static void fill_table(const sr_call *c, float *table, int64_t low, int64_t high, float sign) {
    const float *freq = real_row(&c->in[1], 0);
    const int64_t n = 2 * c->in[1].cols;
    const double turn = 6.283185307179586476925;
    for (int64_t t = low; t < high; t++) {
        float *co = table + t * n * 2, *si = co + n;
        for (int64_t i = 0; i < n; i += 2) {
            double angle = (double)(c->position + t) * (double)freq[i / 2];
            float small = (float)(angle - turn * rint(angle / turn)), s = sign * sinf(small);
            co[i] = co[i + 1] = cosf(small);
            si[i] = -s;
            si[i + 1] = s;
        }
    }
}

static void rotate(const sr_call *c, const sr_view *from, const sr_view *to, bool add, float sign) {
    const int hd = c->attr.rope.head_dim, n = (int)(2 * c->in[1].cols), whole = n / VL * VL;
    const int64_t length = c->length;
    float *table = c->scratch;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(length, 1, &low, &high);
        fill_table(c, table, low, high, sign);
#pragma omp barrier
        sr_share(from->rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            act_fetch_ahead(from, r, high);
            const float *co = table + r % length * n * 2, *si = co + n;
            for (int64_t h = 0; h < from->cols; h += hd) {
                const act *x = act_row(from, r) + h;
                act *y = act_row(to, r) + h;
                for (int i = 0; i < whole; i += VL) {
                    vf v = v_load(x + i);
                    v = v * v_loadf(co + i) + swap_pairs(v) * v_loadf(si + i);
                    v_store(y + i, add ? v_load(y + i) + v : v);
                }
                for (int i = whole; i < n; i += 2) {
                    float a = a_get(x + i), b = a_get(x + i + 1);
                    float p = a * co[i] + b * si[i], q = b * co[i + 1] + a * si[i + 1];
                    a_set(y + i, add ? a_get(y + i) + p : p);
                    a_set(y + i + 1, add ? a_get(y + i + 1) + q : q);
                }
                for (int i = n; i < hd; i++)
                    a_set(y + i, add ? a_get(y + i) + a_get(x + i) : a_get(x + i));
            }
        }
    }
}

void SR_KERNEL(rope_forward)(const sr_call *c) { rotate(c, &c->in[0], &c->out, false, 1); }

void SR_KERNEL(rope_backward)(const sr_call *c) {
    if (c->din[0].view.data != NULL) rotate(c, &c->dout, &c->din[0].view, c->din[0].add, -1);
}
