#include "grow/free_entries.h"

#include <math.h>

static int64_t elements(const sr_param *p) { return p->rows * p->cols; }

float sr_free_size(const sr_param *to, const sr_param *old, const float *from) {
    double squares = 0;
    for (int64_t i = 0; i < elements(old); i++) squares += (double)from[i] * (double)from[i];
    if (to->init.kind != SR_INIT_NORMAL || !(squares > 0)) return 1;
    return (float)(sqrt(squares / (double)elements(old)) / to->init.a);
}

/* The old unit that a new one copies, or NULL. */
static const sr_unit *unit_alike(const sr_growth *g, int unit) {
    const sr_model *from = g->from;
    const struct sr_class *c = g->to->units[unit].class_;
    int before = 0, old = 0;
    for (int i = 0; i < unit; i++) before += g->origin[i].unit < 0 && g->to->units[i].class_ == c;
    for (int i = 0; i < from->genome.n; i++) old += from->units[i].class_ == c;
    int left = old > 0 ? before % old : 0;
    for (int i = 0; i < from->genome.n; i++)
        if (from->units[i].class_ == c && left-- == 0) return &from->units[i];
    return NULL;
}

/* The tensor of `old` that has the place of `param` in `unit`, or -1. */
static int same_place(const sr_unit *unit, const sr_unit *old, int param) {
    if (param == unit->norm) return old->norm;
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++)
            if (unit->slot[b][s] == param) return old->slot[b][s];
    return -1;
}

/* The entry of `old` at the coordinates of entry `index` of `p`, or -1. */
static int64_t at_same_coordinates(const sr_param *p, const sr_param *old, int64_t index) {
    int64_t found = 0, stride = 1;
    for (int a = p->axes - 1; a >= 0; a--) {
        const int64_t place = index % p->axis[a].size;
        index /= p->axis[a].size;
        if (place >= old->axis[a].size) return -1;
        found += place * stride;
        stride *= old->axis[a].size;
    }
    return found;
}

void sr_copy_alike(const sr_growth *g, int param, const float *from, float *to) {
    const sr_param *p = &g->to->schema.param[param];
    const sr_unit *old = p->scope > 0 && p->trained ? unit_alike(g, p->scope - 1) : NULL;
    const int place = old != NULL ? same_place(&g->to->units[p->scope - 1], old, param) : -1;
    if (place < 0 || g->from->schema.param[place].axes != p->axes) return;
    const sr_param *source = &g->from->schema.param[place];
    const float *weights = from + source->offset, size = sr_free_size(p, source, weights);
    for (int64_t i = 0; i < elements(p); i++) {
        const int64_t k = at_same_coordinates(p, source, i);
        to[i] = k >= 0 ? weights[k] : to[i] * size;
    }
}
