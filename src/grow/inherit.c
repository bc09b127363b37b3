#include "grow/inherit.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct inheriting {
    sr_model *child;
    const sr_model *const *parent;
    const float **claim; /* by tensor of the child: the numbers it takes over; NULL: none yet */
    sr_inheritance *told;
} inheriting;

static int64_t size_of(const sr_param *p) { return p->rows * p->cols; }

static const float *values_of(const sr_model *m, int tensor) {
    return m->params + m->schema.param[tensor].offset;
}

/* Whether tensor `to` of the child can be tensor `from` of the parent (-1: none): it has room for
 * it, and whoever claimed it before meant the same numbers. */
static bool can_take(const inheriting *h, int to, const sr_model *parent, int from) {
    if (to < 0 || from < 0) return to == from;
    const sr_param *p = &h->child->schema.param[to], *q = &parent->schema.param[from];
    if (p->rows != q->rows || p->cols != q->cols) return false;
    const float *values = values_of(parent, from), *claimed = h->claim[to];
    return claimed == NULL || claimed == values ||
           memcmp(claimed, values, (size_t)size_of(p) * sizeof *values) == 0;
}

static void take(inheriting *h, int to, const sr_model *parent, int from) {
    if (to >= 0 && h->claim[to] == NULL) h->claim[to] = values_of(parent, from);
}

/* What the unit reads is what it read in the parent. */
static bool same_features(const inheriting *h, int liv, int parent) {
    const sr_unit *u = &h->child->units[liv], *v = &h->parent[parent]->units[liv];
    for (int f = 0; f < SR_FEATURES; f++) {
        const int source = u->feature_source[f];
        if (source != v->feature_source[f]) return false;
        if (source != liv && h->told->from[source] != parent) return false;
    }
    return true;
}

static bool agrees(const inheriting *h, int liv, int parent) {
    const sr_model *p = h->parent[parent];
    const sr_unit *u = &h->child->units[liv], *v = &p->units[liv];
    if (u->class_ != v->class_ || !same_features(h, liv, parent)) return false;
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++)
            if (!can_take(h, u->slot[b][s], p, v->slot[b][s])) return false;
    return can_take(h, u->norm, p, v->norm);
}

static void take_unit(inheriting *h, int liv, int parent) {
    const sr_model *p = h->parent[parent];
    const sr_unit *u = &h->child->units[liv], *v = &p->units[liv];
    take(h, u->norm, p, v->norm);
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++) take(h, u->slot[b][s], p, v->slot[b][s]);
}

/* What belongs to no LIV: embedding, final norm, unembedding, the head. A table that LIVs refer to
 * (of rotations) comes with them. */
static void take_frame(inheriting *h) {
    const sr_model *p = h->parent[0];
    for (int i = 0; i < h->child->schema.count; i++) {
        const sr_param *param = &h->child->schema.param[i];
        if (param->scope != 0 || !param->trained) continue;
        const int from = sr_schema_find(&p->schema, param->name);
        if (from >= 0 && can_take(h, i, p, from)) take(h, i, p, from);
    }
}

static void zero(sr_model *m, int tensor) {
    if (tensor < 0) return;
    const sr_param *p = &m->schema.param[tensor];
    memset(m->params + p->offset, 0, (size_t)size_of(p) * sizeof *m->params);
}

/* Output projections are never shared. */
static void silence(sr_model *m, int liv) {
    for (int b = 0; b < SR_BRANCHES; b++) {
        zero(m, m->units[liv].slot[b][SR_SLOT_OUT]);
        zero(m, m->units[liv].slot[b][SR_SLOT_OUT_BIAS]);
    }
}

static void fill(inheriting *h) {
    sr_model *m = h->child;
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        if (p->trained) h->told->parameters += size_of(p);
        if (h->claim[i] == NULL) continue;
        memcpy(m->params + p->offset, h->claim[i], (size_t)size_of(p) * sizeof *m->params);
        if (p->trained) h->told->inherited += size_of(p);
    }
    for (int i = 0; i < m->genome.n; i++)
        if (h->told->from[i] == SR_CHANGED) silence(m, i);
}

static sartor_status check(sartor_context *ctx, const sr_model *child,
                           const sr_model *const *parent, int n) {
    char sizes[SR_SIZES_TEXT], other[SR_SIZES_TEXT];
    sr_sizes_print(&child->sizes, sizes);
    for (int i = 0; i < n; i++) {
        sr_sizes_print(&parent[i]->sizes, other);
        if (strcmp(sizes, other) != 0)
            return sr_fail(ctx, SARTOR_INVALID, "inherit: the child has %s, a parent %s", sizes,
                           other);
        if (parent[i]->genome.n != child->genome.n)
            return sr_fail(ctx, SARTOR_INVALID, "inherit: the child has %d LIVs, a parent %d",
                           child->genome.n, parent[i]->genome.n);
    }
    return SARTOR_OK;
}

sartor_status sr_inherit(sartor_context *ctx, sr_model *child, const sr_model *const *parent, int n,
                         uint64_t seed, sr_inheritance *told) {
    inheriting h = {.child = child, .parent = parent, .told = told};
    *told = (sr_inheritance){.parameters = 0};
    SR_TRY(check(ctx, child, parent, n));
    SR_TRY(sr_alloc(ctx, (size_t)child->schema.count, sizeof *h.claim, "inherited weights",
                    (void **)&h.claim));
    for (int i = 0; i < child->genome.n; i++) {
        int p = 0;
        while (p < n && !agrees(&h, i, p)) p++;
        told->from[i] = p < n ? p : SR_CHANGED;
        if (p < n) take_unit(&h, i, p);
    }
    take_frame(&h);
    sr_model_init(child, seed);
    fill(&h);
    free(h.claim);
    return SARTOR_OK;
}
