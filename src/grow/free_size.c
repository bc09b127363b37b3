#include "grow/free_size.h"

#include <math.h>

typedef struct sum {
    double squares;
    int64_t n;
} sum;

static void add(sum *s, const sr_param *p, const float *w) {
    const int64_t n = p->rows * p->cols;
    for (int64_t i = 0; i < n; i++) s->squares += (double)w[i] * (double)w[i];
    s->n += n;
}

static float factor(const sr_param *to, const sum *s) {
    if (to->init.kind != SR_INIT_NORMAL || !(s->squares > 0)) return 1;
    return (float)(sqrt(s->squares / (double)s->n) / to->init.a);
}

float sr_free_size(const sr_grown_tensor *t, const float *from) {
    sum s = {0, 0};
    add(&s, t->from, from);
    return factor(t->to, &s);
}

float sr_free_size_of_new(const sr_growth *g, int param, const float *from) {
    const sr_param *p = &g->to->schema.param[param];
    sum s = {0, 0};
    if (p->scope == 0) return 1;
    const sr_unit *u = &g->to->units[p->scope - 1];
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int k = 0; k < SR_SLOTS; k++)
            for (int i = 0; u->slot[b][k] == param && i < g->from->genome.n; i++) {
                const sr_unit *like = &g->from->units[i];
                if (like->class_ != u->class_ || like->slot[b][k] < 0) continue;
                const sr_param *old = &g->from->schema.param[like->slot[b][k]];
                add(&s, old, from + old->offset);
            }
    return factor(p, &s);
}
