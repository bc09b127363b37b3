/* activate: one pass over rows. All reads of a vector come before its writes, so that outputs may
 * lie in inputs. */
#include "op/kernel/map.h"
#include "op/kernel/wide.h"

SR_INLINE vf argument(const void *x, const float *bias, int64_t j, int n, bool wide) {
    vf v = wide_load(x, j, n, wide);
    return bias != NULL ? v + real_load(bias + j, n) : v;
}

SR_INLINE void forward_rows(const sr_call *c, sr_map_kind map, bool wide) {
    const int64_t cols = c->out.cols, full = cols / VL * VL;
    const float *bias = c->in[1].cols > 0 ? real_row(&c->in[1], 0) : NULL;
    int64_t low, high;
    sr_share(c->out.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        const void *x = wide_row(&c->in[0], r, wide);
        void *y = wide_row(&c->out, r, wide);
        for (int64_t j = 0; j < full; j += VL)
            wide_give(y, j, false, map_value(map, argument(x, bias, j, VL, wide)), VL, wide);
        const int n = (int)(cols - full);
        if (n > 0)
            wide_give(y, full, false, map_value(map, argument(x, bias, full, n, wide)), n, wide);
    }
}

void SR_KERNEL(activate_forward)(const sr_call *c) {
    const bool wide = is_wide(&c->in[0]);
#pragma omp parallel num_threads(c->threads)
    {
#define ROWS(map) (wide ? forward_rows(c, map, true) : forward_rows(c, map, false))
        SR_FOR_MAP(c->attr.activate.map, ROWS)
#undef ROWS
    }
}

/* One row of backward; dx and dbias NULL where not wanted. */
typedef struct rows {
    const void *x, *dy;
    void *dx;
    const float *bias;
    float *dbias;
    bool add;
} rows;

SR_INLINE void backward(sr_map_kind map, const rows *p, int64_t j, int n, bool wide) {
    vf value, slope = map_slope(map, argument(p->x, p->bias, j, n, wide), &value);
    vf g = wide_load(p->dy, j, n, wide) * slope;
    if (p->dx != NULL) wide_give(p->dx, j, p->add, g, n, wide);
    if (p->dbias != NULL) real_give(p->dbias + j, true, g, n);
}

SR_INLINE void backward_rows(const sr_call *c, sr_map_kind map, float *dbias, bool wide) {
    const int64_t cols = c->dout.cols, full = cols / VL * VL;
    const sr_view *dx = &c->din[0].view;
    int64_t low, high;
    sr_share(c->dout.rows, 1, &low, &high);
    for (int64_t r = low; r < high; r++) {
        const rows p = {wide_row(&c->in[0], r, wide),
                        wide_row(&c->dout, r, wide),
                        dx->data != NULL ? wide_row(dx, r, wide) : NULL,
                        c->in[1].cols > 0 ? real_row(&c->in[1], 0) : NULL,
                        dbias,
                        c->din[0].add};
        for (int64_t j = 0; j < full; j += VL) backward(map, &p, j, VL, wide);
        if (full < cols) backward(map, &p, full, (int)(cols - full), wide);
    }
}

void SR_KERNEL(activate_backward)(const sr_call *c) {
    const bool wide = is_wide(&c->in[0]);
    const int64_t cols = c->dout.cols, width = (cols + 15) / 16 * 16;
    const bool want_bias = c->din[1].view.data != NULL;
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        float *dbias = NULL;
        if (want_bias) {
            dbias = (float *)c->scratch + width * omp_get_thread_num();
            memset(dbias, 0, (size_t)width * sizeof(float));
        }
#pragma omp single
        used = omp_get_num_threads();
#define ROWS(map) (wide ? backward_rows(c, map, dbias, true) : backward_rows(c, map, dbias, false))
        SR_FOR_MAP(c->attr.activate.map, ROWS)
#undef ROWS
    }
    if (!want_bias) return;
    float *out = real_row(&c->din[1].view, 0);
    for (int64_t j = 0; j < cols; j++) {
        float sum = c->din[1].add ? out[j] : 0;
        for (int t = 0; t < used; t++) sum += ((const float *)c->scratch)[width * t + j];
        out[j] = sum;
    }
}
