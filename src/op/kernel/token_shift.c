/* token_shift: copies of rows. A thread owns whole rows; the state is read before, and written
 * after, all of them. */
#include "op/kernel/lanes.h"

static vf state_load(const sr_state *s, int64_t b, int64_t j, int n) {
    const int64_t at = b * s->width + j;
    if (s->type != SR_F16) return real_load((const float *)s->data + at, n);
    float t[VL] = {0};
    for (int i = 0; i < n; i++) t[i] = f16_get(((const f16 *)s->data)[at + i]);
    return v_loadf(t);
}
static void state_store(const sr_state *s, int64_t b, int64_t j, vf x, int n) {
    const int64_t at = b * s->width + j;
    if (s->type != SR_F16) {
        real_store((float *)s->data + at, x, n);
        return;
    }
    float t[VL];
    v_storef(t, x);
    for (int i = 0; i < n; i++) ((f16 *)s->data)[at + i] = f16_set(t[i]);
}

void SR_KERNEL(token_shift_forward)(const sr_call *c) {
    const int64_t d = c->in[0].cols;
    const sr_state *state = &c->state[0];
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->in[0].rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            act *y = act_row(&c->out, r);
            if (r % c->length > 0)
                memcpy(y, act_row(&c->in[0], r - 1), (size_t)d * sizeof(act));
            else if (state->data == NULL)
                memset(y, 0, (size_t)d * sizeof(act));
            else
                for (int64_t j = 0; j < d; j += VL) {
                    const int n = d - j < VL ? (int)(d - j) : VL;
                    act_store(y + j, state_load(state, r / c->length, j, n), n);
                }
        }
#pragma omp barrier
        sr_share(state->data != NULL ? c->batch : 0, 1, &low, &high);
        for (int64_t b = low; b < high; b++)
            for (int64_t j = 0; j < d; j += VL) {
                const int n = d - j < VL ? (int)(d - j) : VL;
                const act *x = act_row(&c->in[0], (b + 1) * c->length - 1) + j;
                state_store(state, b, j, act_load(x, n), n);
            }
    }
}

void SR_KERNEL(token_shift_backward)(const sr_call *c) {
    const int64_t d = c->dout.cols;
    const sr_grad *dx = &c->din[0];
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->dout.rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            const bool last = r % c->length + 1 == c->length;
            for (int64_t j = 0; j < d; j += VL) {
                const int n = d - j < VL ? (int)(d - j) : VL;
                const vf g = last ? v_set(0) : act_load(act_row(&c->dout, r + 1) + j, n);
                act_give(act_row(&dx->view, r) + j, dx->add, g, n);
            }
        }
    }
}
