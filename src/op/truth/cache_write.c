#include "op/truth/truth.h"

void SR_TRUTH(cache_write_forward)(const sr_call *c) {
    const sr_state *s = &c->state[0];
    if (s->data == NULL) return;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t t = 0; t < c->length; t++) {
            const real *x = row(&c->in[0], b * c->length + t);
            int64_t to = (b * s->capacity + (c->position + t) % s->capacity) * s->width;
            for (int64_t j = 0; j < s->width; j++) switch (s->type) {
                case SR_F64:
                    ((double *)s->data)[to + j] = (double)x[j];
                    break;
                case SR_F16:
                    ((sr_half *)s->data)[to + j] = (sr_half)x[j];
                    break;
                default:
                    ((float *)s->data)[to + j] = (float)x[j];
                    break;
                }
        }
}
