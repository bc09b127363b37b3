/* gate: one pass; memory-bound but for the exponentials of some maps. All reads of a vector come
 * before its writes, so that outputs may lie in inputs. */
#include "op/kernel/map.h"

SR_INLINE void forward(sr_map_kind map, const act *pa, const act *pb, act *y, int n) {
    vf a = act_load(pa, n), b = act_load(pb, n);
    act_store(y, map_value(map, a) * b, n);
}

SR_INLINE void forward_rows(const sr_call *c, sr_map_kind map) {
    const int64_t cols = c->out.cols, full = cols / VL * VL;
    int64_t low, high;
    sr_share(c->out.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        for (int i = 0; i < 2; i++) act_fetch_ahead(&c->in[i], r, high);
        const act *a = act_row(&c->in[0], r), *b = act_row(&c->in[1], r);
        act *y = act_row(&c->out, r);
        for (int64_t j = 0; j < full; j += VL) forward(map, a + j, b + j, y + j, VL);
        if (full < cols) forward(map, a + full, b + full, y + full, (int)(cols - full));
    }
}

void SR_KERNEL(gate_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
#define ROWS(map) forward_rows(c, map)
        SR_FOR_MAP(c->attr.gate.map, ROWS)
#undef ROWS
    }
}

/* The rows of one backward step; da and db NULL where not wanted. */
typedef struct rows {
    const act *a, *b, *dy;
    act *da, *db;
    bool add_a, add_b;
} rows;

SR_INLINE void backward(sr_map_kind map, const rows *p, int64_t j, int n) {
    vf a = act_load(p->a + j, n), b = act_load(p->b + j, n), dy = act_load(p->dy + j, n);
    vf f, da = dy * b * map_slope(map, a, &f);
    if (p->da != NULL) act_give(p->da + j, p->add_a, da, n);
    if (p->db != NULL) act_give(p->db + j, p->add_b, dy * f, n);
}

SR_INLINE void backward_rows(const sr_call *c, sr_map_kind map) {
    const int64_t cols = c->dout.cols, full = cols / VL * VL;
    const sr_view *da = &c->din[0].view, *db = &c->din[1].view;
    int64_t low, high;
    sr_share(c->dout.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        for (int i = 0; i < 2; i++) act_fetch_ahead(&c->in[i], r, high);
        act_fetch_ahead(&c->dout, r, high);
        const rows p = {act_row(&c->in[0], r),
                        act_row(&c->in[1], r),
                        act_row(&c->dout, r),
                        da->data != NULL ? act_row(da, r) : NULL,
                        db->data != NULL ? act_row(db, r) : NULL,
                        c->din[0].add,
                        c->din[1].add};
        for (int64_t j = 0; j < full; j += VL) backward(map, &p, j, VL);
        if (full < cols) backward(map, &p, full, (int)(cols - full));
    }
}

void SR_KERNEL(gate_backward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
#define ROWS(map) backward_rows(c, map)
        SR_FOR_MAP(c->attr.gate.map, ROWS)
#undef ROWS
    }
}
