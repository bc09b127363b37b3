/* cache_write: a copy, converted to the type of the cache. */
#include "op/vec.h"

void SR_KERNEL(cache_write_forward)(const sr_call *c) {
    const sr_state *s = &c->state[0];
    if (s->data == NULL) return;
    const int64_t d = s->width, dv = d / VL * VL;
    const int64_t n = c->length < s->capacity ? c->length : s->capacity, skip = c->length - n;
    const int threads = c->batch * n < 64 ? 1 : c->threads;
#pragma omp parallel num_threads(threads)
    {
        int64_t low, high;
        sr_share(c->batch * n, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            int64_t b = r / n, t = skip + r % n;
            int64_t to = (b * s->capacity + (c->position + t) % s->capacity) * d;
            const act *x = act_row(&c->in[0], b * c->length + t);
            if (s->type == SR_F16) {
                sr_half *y = (sr_half *)s->data + to;
                for (int64_t j = 0; j < dv; j += VL) v_storef16(y + j, v_load(x + j));
                for (int64_t j = dv; j < d; j++) y[j] = (sr_half)a_get(x + j);
            } else {
                float *y = (float *)s->data + to;
                for (int64_t j = 0; j < dv; j += VL) v_storef(y + j, v_load(x + j));
                for (int64_t j = dv; j < d; j++) y[j] = a_get(x + j);
            }
        }
    }
}
