#include "grow/free_entries.h"

#include <math.h>

static int64_t elements(const sr_param *p) { return p->rows * p->cols; }

float sr_free_size(const sr_param *to, const sr_param *old, const float *from) {
    double squares = 0;
    for (int64_t i = 0; i < elements(old); i++) squares += (double)from[i] * (double)from[i];
    if (to->init.kind != SR_INIT_NORMAL || !(squares > 0)) return 1;
    return (float)(sqrt(squares / (double)elements(old)) / to->init.a);
}

int sr_unit_alike(const sr_model *from, const sr_genome *genome, const sr_unit_origin *origin,
                  int liv) {
    const int c = genome->liv[liv].liv_class;
    int before = 0, old = 0;
    for (int i = 0; i < liv; i++) before += origin[i].unit < 0 && genome->liv[i].liv_class == c;
    for (int i = 0; i < from->genome.n; i++) old += from->genome.liv[i].liv_class == c;
    int left = old > 0 ? before % old : 0;
    for (int i = 0; i < from->genome.n; i++)
        if (from->genome.liv[i].liv_class == c && left-- == 0) return i;
    return -1;
}

/* The tensor of `alike` that has the place of `param` in `unit`, or -1. */
static int same_place(const sr_unit *unit, const sr_unit *alike, int param) {
    if (param == unit->norm) return alike->norm;
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++)
            if (unit->slot[b][s] == param) return alike->slot[b][s];
    return -1;
}

const sr_grown_tensor *sr_tensor_alike(const sr_growth *g, int param) {
    const sr_param *p = &g->to->schema.param[param];
    const int unit = p->scope - 1;
    const bool new = unit >= 0 && g->origin[unit].unit < 0;
    const int old = new ? sr_unit_alike(g->from, &g->to->genome, g->origin, unit) : -1;
    for (int i = 0; old >= 0 && i < g->to->genome.n; i++) {
        if (g->origin[i].unit != old) continue;
        const int place = same_place(&g->to->units[unit], &g->to->units[i], param);
        const sr_grown_tensor *t = place >= 0 ? &g->tensor[place] : NULL;
        return t != NULL && t->from != NULL && t->to->rows == p->rows && t->to->cols == p->cols
                   ? t
                   : NULL;
    }
    return NULL;
}

void sr_copy_alike(const sr_growth *g, int param, const float *from, float *weights) {
    const sr_param *p = &g->to->schema.param[param];
    const sr_grown_tensor *t = sr_tensor_alike(g, param);
    if (t == NULL) return;
    const float *grown = weights + t->to->offset,
                size = sr_free_size(p, t->from, from + t->from->offset);
    float *to = weights + p->offset;
    for (int64_t i = 0; i < elements(p); i++)
        to[i] = g->stacked || !p->trained || sr_grown_from_old(t, i) ? grown[i] : to[i] * size;
}
