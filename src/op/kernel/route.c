/* route: a few numbers a token; choosing is scalar, the softmax is not. */
#include "op/route.h"
#include "op/kernel/lanes.h"

enum { ROOM = SR_ROUTE_EXPERTS }; /* a multiple of every vector's lanes */

/* Which experts are chosen: the largest `active` times over, then all that tie with the last. */
static void choose(const sr_call *c, const float *s, bool *chosen) {
    const int experts = c->attr.route.experts;
    int last = 0;
    memset(chosen, 0, (size_t)experts * sizeof *chosen);
    for (int k = 0; k < c->attr.route.active; k++) {
        last = -1;
        for (int e = 0; e < experts; e++)
            if (!chosen[e] && (last < 0 || s[e] > s[last])) last = e;
        chosen[last] = true;
    }
    if (c->attr.route.top) return;
    for (int e = 0; e < experts; e++) chosen[e] = chosen[e] || s[e] >= s[last];
}

void SR_KERNEL(route_forward)(const sr_call *c) {
    const int experts = c->attr.route.experts;
    const float absent = c->attr.route.top ? -INFINITY : 0;
#pragma omp parallel num_threads(c->threads)
    {
        float t[ROOM];
        bool chosen[ROOM];
        int64_t low, high;
        sr_share(c->out.rows, 1, &low, &high);
        for (int e = 0; e < ROOM; e++) t[e] = -INFINITY;
        for (int64_t r = low; r < high; r++) {
            const float *s = real_row(&c->in[0], r);
            float *w = real_row(&c->out, r), most = -INFINITY;
            choose(c, s, chosen);
            for (int e = 0; e < experts; e++) {
                t[e] = chosen[e] ? s[e] : absent;
                most = t[e] > most ? t[e] : most;
            }
            vf sums = {0};
            for (int e = 0; e < experts; e += VL) {
                vf v = v_exp(v_loadf(t + e) - most);
                v_storef(t + e, v);
                sums += v;
            }
            const float inverse = 1 / v_sum(sums);
            for (int e = 0; e < experts; e++) w[e] = t[e] * inverse;
            for (int e = experts; e < ROOM && e < experts + VL; e++) t[e] = -INFINITY;
        }
    }
}

void SR_KERNEL(route_backward)(const sr_call *c) {
    if (c->din[0].view.data == NULL) return;
    const int experts = c->attr.route.experts;
    const bool add = c->din[0].add;
#pragma omp parallel num_threads(c->threads)
    {
        bool chosen[ROOM];
        int64_t low, high;
        sr_share(c->dout.rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            const float *w = real_row(&c->out, r), *dw = real_row(&c->dout, r);
            float *ds = real_row(&c->din[0].view, r), mean = 0;
            choose(c, real_row(&c->in[0], r), chosen);
            for (int e = 0; e < experts; e++) mean += w[e] * dw[e];
            for (int e = 0; e < experts; e++) {
                float g = chosen[e] ? w[e] * (dw[e] - mean) : 0;
                ds[e] = add ? ds[e] + g : g;
            }
        }
    }
}
