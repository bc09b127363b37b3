#include "grow/inherit.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Which tensor of which parent a tensor of the child becomes; parent SR_CHANGED: none. */
typedef struct claim {
    int parent, tensor;
} claim;

typedef struct inheriting {
    const sr_model *child;
    const sr_model *const *parent;
    claim *claims; /* by tensor of the child */
    sr_inheritance *told;
} inheriting;

static int64_t size_of(const sr_param *p) { return p->rows * p->cols; }

/* Whether tensor `to` of the child can be tensor `from` of a parent (-1: there is none). */
static bool can_take(const inheriting *h, int to, int parent, int from) {
    if (to < 0 || from < 0) return to == from;
    const sr_param *p = &h->child->schema.param[to];
    const sr_param *q = &h->parent[parent]->schema.param[from];
    const claim *c = &h->claims[to];
    if (p->rows != q->rows || p->cols != q->cols) return false;
    return c->parent == SR_CHANGED || (c->parent == parent && c->tensor == from);
}

static void take(const inheriting *h, int to, int parent, int from) {
    if (to >= 0 && h->child->schema.param[to].trained) h->claims[to] = (claim){parent, from};
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
    const sr_unit *u = &h->child->units[liv], *v = &h->parent[parent]->units[liv];
    if (u->class_ != v->class_ || memcmp(&u->size, &v->size, sizeof u->size) != 0) return false;
    if (!same_features(h, liv, parent)) return false;
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++)
            if (!can_take(h, u->slot[b][s], parent, v->slot[b][s])) return false;
    return can_take(h, u->norm, parent, v->norm);
}

static void take_unit(const inheriting *h, int liv, int parent) {
    const sr_unit *u = &h->child->units[liv], *v = &h->parent[parent]->units[liv];
    take(h, u->norm, parent, v->norm);
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++) take(h, u->slot[b][s], parent, v->slot[b][s]);
}

/* What belongs to no LIV: embedding, final norm, unembedding, the head. */
static void take_frame(const inheriting *h) {
    for (int i = 0; i < h->child->schema.count; i++) {
        const sr_param *p = &h->child->schema.param[i];
        const int from = p->scope == 0 ? sr_schema_find(&h->parent[0]->schema, p->name) : -1;
        if (p->trained && from >= 0 && can_take(h, i, 0, from)) take(h, i, 0, from);
    }
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
        if (parent[i]->sizes.divisor != child->sizes.divisor)
            return sr_fail(ctx, SARTOR_INVALID, "inherit: the width of a parent has grown");
        if (parent[i]->genome.n != child->genome.n)
            return sr_fail(ctx, SARTOR_INVALID, "inherit: the child has %d LIVs, a parent %d",
                           child->genome.n, parent[i]->genome.n);
    }
    return SARTOR_OK;
}

/* Fills in the claims, which the caller frees, and what is told. */
static sartor_status decide(sartor_context *ctx, inheriting *h, int n) {
    const sr_model *child = h->child;
    *h->told = (sr_inheritance){.parameters = 0};
    SR_TRY(check(ctx, child, h->parent, n));
    SR_TRY(sr_alloc(ctx, (size_t)child->schema.count, sizeof *h->claims, "inherited weights",
                    (void **)&h->claims));
    for (int i = 0; i < child->schema.count; i++) h->claims[i].parent = SR_CHANGED;
    for (int i = 0; i < child->genome.n; i++) {
        int p = 0;
        while (p < n && !agrees(h, i, p)) p++;
        h->told->from[i] = p < n ? p : SR_CHANGED;
        if (p < n) take_unit(h, i, p);
    }
    take_frame(h);
    for (int i = 0; i < child->schema.count; i++) {
        const int64_t size = size_of(&child->schema.param[i]);
        if (child->schema.param[i].trained) h->told->parameters += size;
        if (h->claims[i].parent != SR_CHANGED) h->told->inherited += size;
    }
    return SARTOR_OK;
}

sartor_status sr_inherit_plan(sartor_context *ctx, const sr_model *child,
                              const sr_model *const *parent, int n, sr_inheritance *told) {
    inheriting h = {.child = child, .parent = parent, .told = told};
    sartor_status status = decide(ctx, &h, n);
    free(h.claims);
    return status;
}

/* ---- weights ---- */

/* Output projections are never shared. */
static void silence(sr_model *m, int liv) {
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = SR_SLOT_OUT; s <= SR_SLOT_OUT_BIAS; s++) {
            const int tensor = m->units[liv].slot[b][s];
            const sr_param *p = tensor >= 0 ? &m->schema.param[tensor] : NULL;
            if (p != NULL) memset(m->params + p->offset, 0, (size_t)size_of(p) * sizeof *m->params);
        }
}

/* What a LIV's weights were trained with must be there. */
static sartor_status check_constants(sartor_context *ctx, const inheriting *h, int liv) {
    const sr_model *m = h->child, *from = h->parent[h->told->from[liv]];
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++) {
            const int i = m->units[liv].slot[b][s], k = from->units[liv].slot[b][s];
            if (i < 0 || m->schema.param[i].trained) continue;
            const sr_param *p = &m->schema.param[i];
            if (memcmp(m->params + p->offset, from->params + from->schema.param[k].offset,
                       (size_t)size_of(p) * sizeof *m->params) != 0)
                return sr_fail(ctx, SARTOR_INVALID, "inherit: %s of a parent is not the child's",
                               p->name);
        }
    return SARTOR_OK;
}

static sartor_status fill(sartor_context *ctx, const inheriting *h, sr_model *m) {
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        const claim *c = &h->claims[i];
        if (c->parent == SR_CHANGED) continue;
        const sr_model *parent = h->parent[c->parent];
        memcpy(m->params + p->offset, parent->params + parent->schema.param[c->tensor].offset,
               (size_t)size_of(p) * sizeof *m->params);
    }
    for (int i = 0; i < m->genome.n; i++)
        if (h->told->from[i] == SR_CHANGED)
            silence(m, i);
        else
            SR_TRY(check_constants(ctx, h, i));
    return SARTOR_OK;
}

sartor_status sr_inherit(sartor_context *ctx, sr_model *child, const sr_model *const *parent, int n,
                         uint64_t seed, sr_inheritance *told) {
    inheriting h = {.child = child, .parent = parent, .told = told};
    sartor_status status = decide(ctx, &h, n);
    if (status == SARTOR_OK) {
        sr_model_init(child, seed);
        status = fill(ctx, &h, child);
    }
    free(h.claims);
    return status;
}
