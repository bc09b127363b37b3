/* The one growth routine: every entry of every tensor, by the maps of its axes. */
#include "grow/growth.h"
#include "grow/free_entries.h"

#include "base/memory.h"
#include "base/rng.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- axes ---- */

int64_t sr_heads_fit(int64_t heads, int64_t kv, int64_t new_heads, int64_t new_kv) {
    if (new_heads % new_kv != 0 || new_heads < heads || new_kv < kv) return 0;
    const int64_t group = heads / kv, new_group = new_heads / new_kv;
    if (new_group >= group) return 1;
    if (new_kv % kv != 0) return 0;
    const int64_t copies = new_kv / kv;
    return group % copies == 0 && new_group >= group / copies ? copies : 0;
}

/* The old query head at a new place: head j of group g, where it lies within the groups. */
static int64_t head_origin(const sr_unit *from, const sr_unit *to, int64_t copies, int64_t i) {
    const int64_t heads = from->size.axis[SR_AXIS_HEAD], kv = from->size.axis[SR_AXIS_KV_HEAD];
    if (kv == 0) return i < heads ? i : -1;
    const int64_t part = heads / kv / copies,
                  group = to->size.axis[SR_AXIS_HEAD] / to->size.axis[SR_AXIS_KV_HEAD];
    const int64_t g = i / group, j = i % group;
    return g < kv * copies && j < part ? g * part + j : -1;
}

/* The old channel of a rotated key at a new place; a channel without a partner moves to the end. */
static int64_t key_origin(int64_t old, int64_t spread, int64_t i) {
    if (spread == 1) return i < old ? i : -1;
    const int64_t pair = i / 2;
    return pair % spread == 0 && pair / spread < old / 2 ? pair / spread * 2 + i % 2 : -1;
}

/* The old coordinate at place `i` of an axis, or -1. */
static int64_t origin_of(const sr_growth *g, int scope, sr_axis_kind kind, int64_t old,
                         int64_t size, int64_t i) {
    if (scope > 0) {
        const sr_unit_origin *o = &g->origin[scope - 1];
        const sr_unit *to = &g->to->units[scope - 1], *from = &g->from->units[o->unit];
        if (kind == SR_AXIS_HEAD) return head_origin(from, to, o->copies, i);
        if (kind == SR_AXIS_KV_HEAD && o->copies > 1)
            return i / o->copies < old ? i / o->copies : -1;
        if (kind == SR_AXIS_KEY) return key_origin(old, o->spread, i);
        if (kind == SR_AXIS_TAP)
            return i - (size - old) >= 0 ? i - (size - old) : -1; /* oldest first */
    }
    return i < old ? i : -1;
}

/* ---- entries ---- */

static int64_t elements(const sr_param *p) { return p->rows * p->cols; }

/* What becomes of an entry; of several sides a free one decides, else the one named last. Where one
 * coordinate becomes several equal ones, the first is the old one, the others are its twins. */
typedef enum fill { COPY, TWIN, FREE, MEAN, AVERAGE, ZERO } fill;

/* What a tensor holds at new coordinates of one of its axes: R1 to R5 of docs/growth.md. */
static fill fill_of(const sr_param *p, const sr_axis *a) {
    switch (a->role) {
    case SR_WRITES: /* readers are zero, unless a norm would see what is written, or writers start
                     * at zero in new models too */
        return a->between == SR_BETWEEN_NORM || a->between == SR_BETWEEN_ASLEEP ? ZERO
               : a->between == SR_BETWEEN_CENTRED                               ? AVERAGE
                                                                                : FREE;
    case SR_SILENCES:
        return ZERO;
    case SR_READS:
        return a->between == SR_BETWEEN_NORM || a->between == SR_BETWEEN_CENTRED ||
                       a->between == SR_BETWEEN_ASLEEP
                   ? FREE
                   : ZERO;
    case SR_ALONG:
        break;
    }
    return p->init.kind == SR_INIT_CONSTANT ? MEAN : FREE;
}

/* Axes of one side form one coordinate (a channel of a head), of which the outermost axis that is
 * new decides: a new head is silent as a whole. A side that is free lies on a coordinate that other
 * tensors keep silent, so that nothing of the entry is seen, whatever the other sides say. */
static int side_of(sr_axis_role role) { return role == SR_READS ? 0 : role == SR_ALONG ? 1 : 2; }

/* The element of `from` that entry `index` of `to` comes from, and what becomes of the entry. */
static fill entry(const sr_grown_tensor *t, int64_t index, int64_t *old, int *averaged) {
    int64_t place[SR_MAX_AXES] = {0};
    for (int a = t->to->axes - 1; a >= 0; a--) {
        place[a] = index % t->to->axis[a].size;
        index /= t->to->axis[a].size;
    }
    bool decided[3] = {false, false, false};
    bool free_side = false;
    fill result = COPY;
    *old = 0;
    for (int a = 0; a < t->to->axes; a++) {
        const int64_t from = t->map[a][place[a]];
        *old = *old * t->old[a] + (from >= 0 ? from : 0);
        if (from >= 0 && place[a] > 0 && t->map[a][place[a] - 1] == from && result < TWIN)
            result = TWIN;
        const int side = side_of(t->to->axis[a].role);
        if (from >= 0 || decided[side]) continue;
        decided[side] = true;
        free_side = free_side || t->fill[a] == FREE;
        if (t->fill[a] == AVERAGE) *averaged = a;
        if ((fill)t->fill[a] > result) result = (fill)t->fill[a];
    }
    return free_side ? FREE : result;
}

/* Mean of the old entries along one axis, at the coordinates of old element `at` (0 there). */
static float average(const sr_grown_tensor *t, const float *from, int axis, int64_t at) {
    int64_t stride = 1;
    for (int a = axis + 1; a < t->to->axes; a++) stride *= t->old[a];
    double sum = 0;
    const int64_t n = t->old[axis];
    for (int64_t i = 0; i < n; i++) sum += (double)from[at + i * stride];
    return (float)(sum / (double)n);
}

static float mean(const sr_param *p, const float *from) {
    double sum = 0;
    for (int64_t i = 0; i < elements(p); i++) sum += (double)from[i];
    return (float)(sum / (double)elements(p));
}

/* ---- parameters ---- */

/* The model's own table of frequencies is that of a new model; a unit's own continues the old one.
 */
static bool is_rotation(const sr_param *p) { return p->init.kind == SR_INIT_FREQUENCIES; }

/* Sizes that a tensor's axes had. An axis that the old tensor lacks (experts, where there was one
 * dense matrix) had one coordinate, of which every new one is a copy. */
static sartor_status align_axes(sartor_context *ctx, sr_grown_tensor *t) {
    int next = 0;
    for (int a = 0; a < t->to->axes; a++) {
        const bool there = next < t->from->axes && t->from->axis[next].kind == t->to->axis[a].kind;
        t->old[a] = there ? t->from->axis[next++].size : 1;
        t->copied[a] = !there;
    }
    return next == t->from->axes ? SARTOR_OK
                                 : sr_fail(ctx, SARTOR_INVALID, "%s has other axes than %s",
                                           t->to->name, t->from->name);
}

/* The axes of one tensor. */
static sartor_status map_axes(sartor_context *ctx, const sr_growth *g, sr_grown_tensor *t) {
    SR_TRY(align_axes(ctx, t));
    for (int a = 0; a < t->to->axes; a++) {
        const sr_axis *axis = &t->to->axis[a];
        const int64_t old = t->old[a];
        if (axis->size < old)
            return sr_fail(ctx, SARTOR_INVALID,
                           "%s: %s would shrink from %" PRId64 " to %" PRId64
                           ", and growth only adds",
                           t->to->name, sr_axis_name(axis->kind), old, axis->size);
        SR_TRY(sr_alloc(ctx, (size_t)axis->size, sizeof(int64_t), "an axis", (void **)&t->map[a]));
        for (int64_t i = 0; i < axis->size; i++)
            t->map[a][i] = t->copied[a] ? 0
                           : is_rotation(t->to)
                               ? (i < old ? i : -1)
                               : origin_of(g, t->to->scope, axis->kind, old, axis->size, i);
        t->fill[a] = fill_of(t->to, axis);
    }
    return SARTOR_OK;
}

/* The old parameter that a parameter of the larger model comes from. */
static int source_of(const sr_growth *g, int param) {
    const sr_param *p = &g->to->schema.param[param];
    if (p->scope == 0) return sr_schema_find(&g->from->schema, p->name);
    const int old = g->origin[p->scope - 1].unit;
    if (old < 0) return -1;
    const sr_unit *to = &g->to->units[p->scope - 1], *from = &g->from->units[old];
    if (param == to->norm) return from->norm;
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++)
            if (to->slot[b][s] == param) return from->slot[b][s];
    return -1;
}

static sartor_status map_tensors(sartor_context *ctx, sr_growth *g) {
    const sr_schema *to = &g->to->schema;
    SR_TRY(sr_alloc(ctx, (size_t)to->count, sizeof *g->tensor, "the growth", (void **)&g->tensor));
    g->tensors = to->count;
    for (int i = 0; i < to->count; i++) {
        const int source = source_of(g, i);
        g->tensor[i].to = &to->param[i];
        if (source < 0) continue;
        g->tensor[i].from = &g->from->schema.param[source];
        SR_TRY(map_axes(ctx, g, &g->tensor[i]));
    }
    return SARTOR_OK;
}

/* ---- whole models ---- */

/* What no growth changes. */
static bool same_but_width(const sr_sizes *a, const sr_sizes *b) {
    return a->head_dim == b->head_dim && a->window == b->window && a->vocab == b->vocab &&
           a->context == b->context && a->filter_length == b->filter_length && a->tied == b->tied &&
           a->head == b->head;
}

static sartor_status check(sartor_context *ctx, const sr_model *from, const sr_genome *genome,
                           const sr_sizes *sizes, const sr_unit_sizes *units,
                           const sr_unit_origin *origin) {
    const int n = genome->n;
    if (!same_but_width(&from->sizes, sizes))
        return sr_fail(ctx, SARTOR_INVALID, "of a model's sizes only the width grows");
    if (from->sizes.head != SR_HEAD_LANGUAGE && sizes->width != from->sizes.width)
        return sr_fail(ctx, SARTOR_INVALID,
                       "a model with a sequence head adds fixed positions to every channel of its "
                       "stream: its width cannot grow");
    int next = 0;
    for (int i = 0; i < n; i++) {
        const sr_unit_origin *o = &origin[i];
        if (o->unit < 0) continue;
        if (o->unit != next++ || o->unit >= from->genome.n)
            return sr_fail(ctx, SARTOR_INVALID, "LIVs of the model are out of order");
        if (!sr_class_grows_into(from->units[o->unit].class_,
                                 sr_class_get(genome->liv[i].liv_class)))
            return sr_fail(ctx, SARTOR_INVALID, "LIV %d: %s cannot become %s", i + 1,
                           from->units[o->unit].class_->name,
                           sr_class_get(genome->liv[i].liv_class)->name);
        const int64_t *old = from->units[o->unit].size.axis, *new = units[i].axis;
        if (old[SR_AXIS_KV_HEAD] > 0 && sr_heads_fit(old[SR_AXIS_HEAD], old[SR_AXIS_KV_HEAD],
                                                     new[SR_AXIS_HEAD], new[SR_AXIS_KV_HEAD]) == 0)
            return sr_fail(ctx, SARTOR_INVALID,
                           "LIV %d: %" PRId64 " heads over %" PRId64
                           " of keys and values cannot become %" PRId64 " over %" PRId64,
                           i + 1, old[SR_AXIS_HEAD], old[SR_AXIS_KV_HEAD], new[SR_AXIS_HEAD],
                           new[SR_AXIS_KV_HEAD]);
    }
    return next == from->genome.n
               ? SARTOR_OK
               : sr_fail(ctx, SARTOR_INVALID, "%d of the model's %d LIVs are left out",
                         from->genome.n - next, from->genome.n);
}

/* What a family says cannot grow (liv/internal.h). */
static bool is_exact(const sr_growth *g) {
    for (int i = 0; i < g->to->genome.n; i++) {
        if (g->origin[i].unit < 0) continue;
        const sr_unit *to = &g->to->units[i], *from = &g->from->units[g->origin[i].unit];
        for (int k = 0; k < SR_AXIS_KINDS; k++)
            if (from->size.axis[k] > 0 && to->size.axis[k] != from->size.axis[k] &&
                sr_unit_fixed(to->class_, (sr_axis_kind)k) != NULL)
                return false;
    }
    return true;
}

sartor_status sr_growth_create(sartor_context *ctx, const sr_model *from, const sr_genome *genome,
                               const sr_sizes *sizes, const sr_unit_sizes *units,
                               const sr_unit_origin *origin, sr_growth **growth) {
    *growth = NULL;
    SR_TRY(check(ctx, from, genome, sizes, units, origin));
    sr_growth *g;
    SR_TRY(sr_alloc(ctx, 1, sizeof *g, "the growth", (void **)&g));
    g->from = from;
    const size_t n = (size_t)genome->n;
    sartor_status status = sr_alloc(ctx, n, sizeof *g->origin, "the growth", (void **)&g->origin);
    if (status == SARTOR_OK) {
        memcpy(g->origin, origin, n * sizeof *origin);
        status = sr_model_create_sized(ctx, genome, sizes, units, &g->to);
    }
    if (status == SARTOR_OK) status = map_tensors(ctx, g);
    if (status != SARTOR_OK) {
        sr_growth_destroy(&g);
        return status;
    }
    g->exact = is_exact(g);
    *growth = g;
    return SARTOR_OK;
}

void sr_growth_destroy(sr_growth **growth) {
    sr_growth *g = *growth;
    if (g == NULL) return;
    for (int i = 0; g->tensor != NULL && i < g->tensors; i++)
        for (int a = 0; a < SR_MAX_AXES; a++) free(g->tensor[i].map[a]);
    free(g->tensor);
    free(g->origin);
    sr_model_destroy(&g->to);
    free(g);
    *growth = NULL;
}

bool sr_growth_stack(sr_growth *g) {
    for (int i = 0; i < g->to->genome.n && !g->stacked; i++)
        g->stacked =
            g->origin[i].unit < 0 && sr_unit_alike(g->from, &g->to->genome, g->origin, i) >= 0;
    if (g->stacked) g->exact = false;
    return g->stacked;
}

/* A new unit, or new experts beside a dense one, add nothing to the stream until their output
 * projection has learned something, unless the unit is stacked. */
static bool is_silent(const sr_growth *g, int param) {
    const sr_param *p = &g->to->schema.param[param];
    if (p->scope == 0 || g->tensor[param].from != NULL) return false;
    if (g->stacked && sr_tensor_alike(g, param) != NULL) return false;
    const sr_unit *u = &g->to->units[p->scope - 1];
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = SR_SLOT_OUT; s <= SR_SLOT_OUT_BIAS; s++)
            if (u->slot[b][s] == param) return true;
    return false;
}

/* New pairs turn ever more slowly, by the ratio of the last two. */
static void continue_rotation(int64_t old, int64_t n, float *frequency) {
    const double ratio =
        old > 1 ? (double)frequency[old - 1] / (double)frequency[old - 2] : 1 / SR_ROPE_BASE;
    for (int64_t i = old; i < n; i++) frequency[i] = (float)((double)frequency[i - 1] * ratio);
}

static void grow_weights(const sr_grown_tensor *t, const float *from, float *to) {
    const float typical = mean(t->from, from), size = sr_free_size(t->to, t->from, from);
    for (int64_t i = 0; i < elements(t->to); i++) {
        int64_t old;
        int axis = 0;
        switch (entry(t, i, &old, &axis)) {
        case COPY:
        case TWIN:
            to[i] = from[old];
            break;
        case MEAN:
            to[i] = typical;
            break;
        case AVERAGE:
            to[i] = average(t, from, axis, old);
            break;
        case ZERO:
            to[i] = 0;
            break;
        case FREE:
            to[i] *= size;
            break;
        }
    }
    if (is_rotation(t->to)) continue_rotation(elements(t->from), elements(t->to), to);
}

void sr_growth_weights(const sr_growth *g, const float *from, float *to) {
    for (int i = 0; i < g->to->schema.count; i++) {
        const sr_grown_tensor *t = &g->tensor[i];
        if (t->from != NULL)
            grow_weights(t, from + t->from->offset, to + t->to->offset);
        else if (is_silent(g, i))
            memset(to + t->to->offset, 0, (size_t)elements(t->to) * sizeof *to);
    }
    for (int i = 0; i < g->to->schema.count; i++)
        if (g->tensor[i].from == NULL && !is_silent(g, i)) sr_copy_alike(g, i, from, to);
}

void sr_growth_fill(const sr_growth *g, uint64_t seed) {
    const sr_rng own = {seed, SR_FOR_GROWTH, 0};
    sr_model_init(g->to, sr_rng_u64(own, 0));
    sr_growth_weights(g, g->from->params, g->to->params);
}

bool sr_grown_from_old(const sr_grown_tensor *t, int64_t index) {
    int64_t old;
    int axis = 0;
    const fill f = entry(t, index, &old, &axis);
    return f == COPY || f == TWIN || f == MEAN;
}

void sr_growth_moments(const sr_growth *g, const float *from, float *to) {
    for (int i = 0; i < g->to->schema.count; i++) {
        const sr_grown_tensor *t = &g->tensor[i];
        int64_t old;
        int axis = 0;
        for (int64_t k = 0; k < elements(t->to); k++)
            to[t->to->offset + k] = t->from != NULL && entry(t, k, &old, &axis) == COPY
                                        ? from[t->from->offset + old]
                                        : 0;
    }
}

void sr_growth_generations(const sr_growth *g, const uint8_t *from, uint8_t generation,
                           uint8_t *to) {
    for (int i = 0; i < g->to->schema.count; i++) {
        const sr_grown_tensor *t = &g->tensor[i];
        for (int64_t k = 0; k < elements(t->to); k++) {
            int64_t old;
            int axis = 0;
            const bool copied = t->from != NULL && entry(t, k, &old, &axis) == COPY;
            to[t->to->offset + k] = !copied        ? generation
                                    : from == NULL ? 0
                                                   : from[t->from->offset + old];
        }
    }
}

/* Calls `copy` for every entry that was there before. */
static void for_copies(const sr_growth *g, void (*copy)(void *, int64_t, int64_t), void *user) {
    for (int i = 0; i < g->to->schema.count; i++) {
        const sr_grown_tensor *t = &g->tensor[i];
        int64_t old;
        int axis = 0;
        for (int64_t k = 0; t->from != NULL && k < elements(t->to); k++)
            if (entry(t, k, &old, &axis) == COPY)
                copy(user, t->to->offset + k, t->from->offset + old);
    }
}

/* Two flat buffers, of the larger and of the smaller model. */
typedef struct flats {
    const void *to;
    void *from;
} flats;

static void take_number(void *user, int64_t to, int64_t from) {
    const flats *f = user;
    ((float *)f->from)[from] = ((const float *)f->to)[to];
}

static void take_byte(void *user, int64_t to, int64_t from) {
    const flats *f = user;
    ((uint8_t *)f->from)[from] = ((const uint8_t *)f->to)[to];
}

void sr_growth_shrink(const sr_growth *g, const float *to, float *from) {
    for_copies(g, take_number, &(flats){to, from});
}

void sr_growth_shrink_generations(const sr_growth *g, const uint8_t *to, uint8_t *from) {
    for_copies(g, take_byte, &(flats){to, from});
}

sr_growth_change sr_growth_of(const sr_growth *g, int param) {
    const sr_grown_tensor *t = &g->tensor[param], *alike = t;
    const bool new = t->from == NULL;
    if (new) alike = g->stacked ? sr_tensor_alike(g, param) : NULL;
    const fill whole = is_silent(g, param) ? ZERO : FREE;
    sr_growth_change c = {elements(t->to), 0, 0};
    for (int64_t k = 0; k < c.entries; k++) {
        int64_t old;
        int axis = 0;
        const fill f = alike != NULL ? entry(alike, k, &old, &axis) : whole;
        c.fresh += new || f != COPY;
        c.zero += f == ZERO;
    }
    return c;
}
