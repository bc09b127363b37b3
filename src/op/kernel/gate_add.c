/* gate_add: one pass. All reads of a vector come before its writes, so that the output may lie in
 * the residual. */
#include "op/kernel/map.h"

SR_INLINE void forward_rows(const sr_call *c, sr_map_kind map) {
    const int64_t cols = c->out.cols;
    int64_t low, high;
    sr_share(c->out.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        const act *a = act_row(&c->in[0], r), *b = act_row(&c->in[1], r);
        const float *residual = real_row(&c->in[2], r);
        float *y = real_row(&c->out, r);
        for (int64_t j = 0; j < cols; j += VL) {
            const int n = cols - j < VL ? (int)(cols - j) : VL;
            const vf f = map_value(map, act_load(a + j, n));
            real_store(y + j, real_load(residual + j, n) + f * act_load(b + j, n), n);
        }
    }
}

void SR_KERNEL(gate_add_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
#define ROWS(map) forward_rows(c, map)
        SR_FOR_MAP(c->attr.gate.map, ROWS)
#undef ROWS
    }
}

SR_INLINE void backward_rows(const sr_call *c, sr_map_kind map) {
    const int64_t cols = c->dout.cols;
    const sr_grad *da = &c->din[0], *db = &c->din[1], *dres = &c->din[2];
    const bool give_residual = dres->view.data != NULL && dres->view.data != c->dout.data;
    int64_t low, high;
    sr_share(c->dout.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        const act *a = act_row(&c->in[0], r), *b = act_row(&c->in[1], r);
        const float *dy = real_row(&c->dout, r);
        for (int64_t j = 0; j < cols; j += VL) {
            const int n = cols - j < VL ? (int)(cols - j) : VL;
            const vf g = real_load(dy + j, n);
            vf f, slope = map_slope(map, act_load(a + j, n), &f);
            if (da->view.data != NULL)
                act_give(act_row(&da->view, r) + j, da->add, g * act_load(b + j, n) * slope, n);
            if (db->view.data != NULL) act_give(act_row(&db->view, r) + j, db->add, g * f, n);
            if (give_residual) real_give(real_row(&dres->view, r) + j, dres->add, g, n);
        }
    }
}

void SR_KERNEL(gate_add_backward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
#define ROWS(map) backward_rows(c, map)
        SR_FOR_MAP(c->attr.gate.map, ROWS)
#undef ROWS
    }
}
