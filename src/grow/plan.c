/* From a request to the larger model: which LIVs, which sizes, which of them are new. */
#define _GNU_SOURCE
#include "grow/free_entries.h"
#include "grow/request.h"

#include "base/memory.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct plan {
    sartor_context *ctx;
    const sr_model *from;
    const sr_growth_request *request;
    sr_genome genome; /* of the larger model */
    sr_sizes sizes;
    sr_unit_sizes unit[SR_MAX_LIVS];
    sr_unit_origin origin[SR_MAX_LIVS];
    bool chosen[SR_MAX_LIVS]; /* LIVs of `from` that the request names */
    sr_sharing old, new;
} plan;

/* ---- which LIVs ---- */

/* A number from 1, or -1. */
static int number(const char *text, size_t n) {
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || value > SR_MAX_LIVS) return -1;
        value = 10 * value + (text[i] - '0');
    }
    return n > 0 ? value : -1;
}

/* One item of a selection: N, N-M, a class name. */
static sartor_status choose(plan *p, const char *item, size_t n) {
    const int livs = p->from->genome.n;
    const char *dash = memchr(item, '-', n);
    const size_t left = dash != NULL ? (size_t)(dash - item) : n;
    const int first = number(item, left),
              last = dash != NULL ? number(dash + 1, n - left - 1) : first;
    if (first >= 1 && last >= first && last <= livs) {
        for (int i = first; i <= last; i++) p->chosen[i - 1] = true;
        return SARTOR_OK;
    }
    if (first >= 0 && (dash == NULL || last >= 0))
        return sr_fail(p->ctx, SARTOR_INVALID, "at: '%.*s' is not within LIVs 1 to %d",
                       n < 40 ? (int)n : 40, item, livs);
    bool found = false;
    for (int i = 0; i < livs; i++) {
        const char *name = p->from->units[i].class_->name;
        if (strlen(name) == n && memcmp(name, item, n) == 0) p->chosen[i] = found = true;
    }
    return found ? SARTOR_OK
                 : sr_fail(p->ctx, SARTOR_INVALID,
                           "at: the model has no LIV '%.*s'; numbers, ranges (3-5) and class "
                           "names choose LIVs",
                           n < 40 ? (int)n : 40, item);
}

/* LIVs that share features or weights grow together. */
static void choose_partners(plan *p) {
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < p->from->genome.n; i++) {
            const sr_liv_sharing *s = &p->old.liv[i];
            const int partner[] = {s->feature_source[0], s->feature_source[1], s->weight_owner[0],
                                   s->weight_owner[1], s->rest_owner};
            for (int k = 0; k < 5; k++) {
                if (partner[k] < 0 || p->chosen[i] == p->chosen[partner[k]]) continue;
                p->chosen[i] = p->chosen[partner[k]] = changed = true;
            }
        }
    }
}

/* Without a size that LIVs have of their own a selection would do nothing. */
static sartor_status selection_is_used(plan *p) {
    for (int k = 0; k < SR_AXIS_KINDS; k++)
        if (k != SR_AXIS_MODEL && p->request->size[k].value > 0) return SARTOR_OK;
    return sr_fail(p->ctx, SARTOR_INVALID,
                   "at: it chooses LIVs for sizes of their own, and none is to grow");
}

static sartor_status select_livs(plan *p) {
    const char *at = p->request->at;
    for (int i = 0; i < p->from->genome.n; i++) p->chosen[i] = at == NULL;
    if (at != NULL) SR_TRY(selection_is_used(p));
    for (const char *item = at; item != NULL && *item != '\0';) {
        item += strspn(item, " ");
        const size_t n = strcspn(item, ",");
        size_t word = n;
        while (word > 0 && item[word - 1] == ' ') word--;
        SR_TRY(choose(p, item, word));
        item += n + (item[n] == ',');
    }
    choose_partners(p);
    return SARTOR_OK;
}

/* ---- the genome ---- */

static sartor_status shares_nothing(const plan *p, sr_genome *added) {
    sr_genome_canonical(added);
    for (int i = 0; i < added->n; i++)
        if (added->liv[i].featurizer_strategy != 1 || added->liv[i].group_strategy != 1)
            return sr_fail(p->ctx, SARTOR_INVALID,
                           "livs: LIVs that are added share nothing; an architecture to grow into "
                           "may have some that do");
    return SARTOR_OK;
}

/* "CLASSES@POSITION": start, end, or the LIV behind which they stand. */
static sartor_status insert_livs(plan *p, const char *text) {
    const char *at = strrchr(text, '@');
    const int n = p->from->genome.n;
    int position = n;
    if (at != NULL && strchr(text, '@') != at)
        return sr_fail(p->ctx, SARTOR_INVALID,
                       "livs: '%.40s' names more than one place; add at one after the other", text);
    if (at != NULL && strcmp(at + 1, "start") == 0)
        position = 0;
    else if (at != NULL && strcmp(at + 1, "end") != 0)
        position = number(at + 1, strlen(at + 1));
    if (position < 0 || position > n)
        return sr_fail(p->ctx, SARTOR_INVALID,
                       "livs: '%.40s' is no place: start, end, or 0 to %d for behind a LIV", at + 1,
                       n);
    char *names = strndup(text, at != NULL ? (size_t)(at - text) : strlen(text));
    sr_genome *added = NULL;
    if (names == NULL) return sr_no_memory(p->ctx);
    for (char *c = names; *c != '\0'; c++)
        if (*c == ',') *c = ' ';
    sartor_status status = sr_alloc(p->ctx, 1, sizeof *added, "a genome", (void **)&added);
    if (status == SARTOR_OK) status = sr_genome_parse(p->ctx, names, strlen(names), added);
    if (status == SARTOR_OK) status = shares_nothing(p, added);
    if (status == SARTOR_OK && n + added->n > SR_MAX_LIVS)
        status = sr_fail(p->ctx, SARTOR_INVALID, "livs: %d and %d LIVs are more than %d", n,
                         added->n, SR_MAX_LIVS);
    if (status == SARTOR_OK) {
        const size_t tail = (size_t)(n - position);
        memmove(&p->genome.liv[position + added->n], &p->genome.liv[position],
                tail * sizeof *p->genome.liv);
        memmove(&p->origin[position + added->n], &p->origin[position], tail * sizeof *p->origin);
        for (int i = 0; i < added->n; i++) {
            p->genome.liv[position + i] = (sr_gene){added->liv[i].liv_class, 1, 1, 1, 1};
            p->origin[position + i] = (sr_unit_origin){-1, 1, 1};
        }
        p->genome.n += added->n;
    }
    free(names);
    free(added);
    return status;
}

/* The model as a part of a larger architecture: each LIV takes the first one of its class behind
 * the LIV before it. */
static sartor_status find_part(plan *p, const char *arch) {
    const sr_genome *from = &p->from->genome;
    SR_TRY(sr_arch_parse(p->ctx, arch, 0, &p->genome));
    sr_genome_canonical(&p->genome);
    int next = 0;
    for (int i = 0; i < p->genome.n; i++) {
        const bool taken =
            next < from->n && sr_class_grows_into(sr_class_get(from->liv[next].liv_class),
                                                  sr_class_get(p->genome.liv[i].liv_class));
        p->origin[i] = (sr_unit_origin){taken ? next++ : -1, 1, 1};
    }
    if (next == from->n) return SARTOR_OK;
    return sr_fail(p->ctx, SARTOR_INVALID,
                   "the model is no part of that architecture: its LIV %d, %s, is not there behind "
                   "the LIVs before it",
                   next + 1, sr_class_get(from->liv[next].liv_class)->name);
}

/* What LIVs of the model share, they share in the larger one, and nothing else. */
static sartor_status check_sharing(plan *p) {
    int place[SR_MAX_LIVS] = {0};
    for (int i = 0; i < p->genome.n; i++)
        if (p->origin[i].unit >= 0) place[p->origin[i].unit] = i;
    sr_genome_resolve(&p->genome, &p->new);
    for (int i = 0; i < p->from->genome.n; i++) {
        const sr_liv_sharing *a = &p->old.liv[i], *b = &p->new.liv[place[i]];
        bool same = place[a->rest_owner] == b->rest_owner;
        const int features = sr_family_features(p->from->units[i].class_->family);
        for (int f = 0; f < features; f++)
            same = same && place[a->feature_source[f]] == b->feature_source[f] &&
                   (a->weight_owner[f] < 0 ? -1 : place[a->weight_owner[f]]) == b->weight_owner[f];
        if (!same)
            return sr_fail(p->ctx, SARTOR_INVALID,
                           "LIV %d of the model shares otherwise than LIV %d of that architecture",
                           i + 1, place[i] + 1);
    }
    return SARTOR_OK;
}

static sartor_status make_genome(plan *p) {
    p->genome = p->from->genome;
    for (int i = 0; i < p->genome.n; i++) p->origin[i] = (sr_unit_origin){i, 1, 1};
    if (p->request->to != NULL && p->request->livs != NULL)
        return sr_fail(p->ctx, SARTOR_INVALID, "an architecture to grow into names its LIVs");
    if (p->request->to != NULL) SR_TRY(find_part(p, p->request->to));
    if (p->request->livs != NULL) SR_TRY(insert_livs(p, p->request->livs));
    sr_genome_canonical(&p->genome);
    return check_sharing(p);
}

/* ---- sizes ---- */

static int64_t wanted(const plan *p, sr_axis_kind kind, int64_t old) {
    return p->request->size[kind].more ? old + p->request->size[kind].value
                                       : p->request->size[kind].value;
}

static sartor_status no_shrinking(const plan *p, const char *where, sr_axis_kind kind, int64_t old,
                                  int64_t size) {
    const char *name = sr_growth_size_name(kind);
    if (size > SR_MAX_WIDTH)
        return sr_fail(p->ctx, SARTOR_INVALID, "%s%s of %" PRId64 ", at most %d", where, name, size,
                       SR_MAX_WIDTH);
    if (size >= old) return SARTOR_OK;
    return sr_fail(p->ctx, SARTOR_INVALID,
                   "%s%s would shrink from %" PRId64 " to %" PRId64 ", and growth only adds", where,
                   name, old, size);
}

static sartor_status grow_axis(plan *p, int i, sr_axis_kind kind, int64_t size) {
    sr_unit_sizes *u = &p->unit[i];
    const sr_class *c = sr_class_get(p->genome.liv[i].liv_class);
    char where[32];
    snprintf(where, sizeof where, "LIV %d: ", p->origin[i].unit + 1);
    SR_TRY(no_shrinking(p, where, kind, u->axis[kind], size));
    const char *why = sr_unit_fixed(c, kind);
    if (size > u->axis[kind] && why != NULL && !p->request->approximate)
        return sr_fail(p->ctx, SARTOR_INVALID,
                       "LIV %d: %s of %s cannot grow without changing what it computes (%s); "
                       "--approximate grows it all the same",
                       p->origin[i].unit + 1, sr_growth_size_name(kind), c->name, why);
    u->axis[kind] = size;
    return SARTOR_OK;
}

/* Heads of keys and values follow where each query head has its own. */
static sartor_status grow_heads(plan *p, int i, const sr_unit_sizes *old) {
    sr_unit_sizes *u = &p->unit[i];
    const int64_t heads = old->axis[SR_AXIS_HEAD], kv = old->axis[SR_AXIS_KV_HEAD];
    if (kv == 0) return SARTOR_OK;
    if (heads == kv && u->axis[SR_AXIS_KV_HEAD] == kv)
        u->axis[SR_AXIS_KV_HEAD] = u->axis[SR_AXIS_HEAD];
    const int64_t copies = sr_heads_fit(heads, kv, u->axis[SR_AXIS_HEAD], u->axis[SR_AXIS_KV_HEAD]);
    if (copies == 0)
        return sr_fail(p->ctx, SARTOR_INVALID,
                       "LIV %d: %" PRId64 " heads over %" PRId64
                       " of keys and values cannot become %" PRId64 " over %" PRId64
                       ": groups stay whole, so that heads are a multiple of kv-heads and no group "
                       "gets smaller unless all are cut into equal ones",
                       p->origin[i].unit + 1, heads, kv, u->axis[SR_AXIS_HEAD],
                       u->axis[SR_AXIS_KV_HEAD]);
    p->origin[i].copies = copies;
    return SARTOR_OK;
}

/* Which pairs of a larger key turn, and how fast. */
static sartor_status grow_rotation(plan *p, int i, const sr_unit_sizes *old) {
    sr_unit_sizes *u = &p->unit[i];
    const int64_t from = old->axis[SR_AXIS_KEY], to = u->axis[SR_AXIS_KEY];
    if (sr_class_get(p->genome.liv[i].liv_class)->family != SR_FAMILY_SA || to == from)
        return SARTOR_OK;
    const bool own = old->pairs > 0; /* its table is no longer that of a new model */
    const bool multiple = from % 2 == 0 && to % from == 0 && !own;
    const bool all_turn = 2 * (own ? old->pairs : from / 2) == from;
    sr_rotation how = p->request->rotation;
    if (how == SR_ROTATION_AUTO)
        how = multiple ? SR_ROTATION_SPREAD : all_turn ? SR_ROTATION_EXTEND : SR_ROTATION_NONE;
    if (how == SR_ROTATION_SPREAD && !multiple)
        return sr_fail(p->ctx, SARTOR_INVALID,
                       "LIV %d: rotated pairs spread to a multiple of their %" PRId64
                       " channels, not to %" PRId64 "; --rotation extend takes any size",
                       p->origin[i].unit + 1, from, to);
    if (how == SR_ROTATION_EXTEND && !all_turn)
        return sr_fail(p->ctx, SARTOR_INVALID,
                       "LIV %d: not all of its %" PRId64
                       " channels are rotated, and pairs behind those would turn them too; "
                       "--rotation none takes any size",
                       p->origin[i].unit + 1, from);
    if (how == SR_ROTATION_SPREAD) {
        p->origin[i].spread = to / from;
        return SARTOR_OK;
    }
    u->pairs = how == SR_ROTATION_EXTEND ? to / 2 : own ? old->pairs : from / 2;
    return SARTOR_OK;
}

/* The sizes of a LIV in a new model of this width, or of the nearest width that its class can have:
 * a stream that grew need not hold whole heads. */
static sartor_status size_usual(plan *p, int i) {
    const sr_class *c = sr_class_get(p->genome.liv[i].liv_class);
    const int64_t width = p->sizes.width;
    sr_sizes near = p->sizes;
    sartor_status status = SARTOR_OK;
    for (int64_t d = 0; d < 8 * near.head_dim || d < width; d++)
        for (int sign = -1; sign <= 1; sign += 2) {
            near.width = width + sign * d;
            if (near.width < 1 || near.width > SR_MAX_WIDTH) continue;
            status = sr_unit_sizes_default(p->ctx, c, &near, &p->unit[i]);
            if (status == SARTOR_OK) return status;
        }
    return sr_fail_in(p->ctx, status, "new LIV %d", i + 1);
}

/* In a larger architecture a LIV has what a new one has there, and keeps what it has more. */
static sartor_status size_as_new(plan *p, int i, const sr_unit_sizes *old) {
    SR_TRY(size_usual(p, i));
    sr_unit_sizes *u = &p->unit[i];
    const sr_unit_sizes usual = *u;
    const int64_t *had = old->axis;
    *u = *old;
    for (int k = 0; k < SR_AXIS_KINDS; k++)
        u->axis[k] = usual.axis[k] > had[k] ? usual.axis[k] : had[k];
    return SARTOR_OK;
}

/* One LIV of the model: what was asked for, or what a new LIV of that architecture has. */
static sartor_status grow_unit(plan *p, int i, bool used[SR_AXIS_KINDS]) {
    const int unit = p->origin[i].unit;
    const sr_unit_sizes old = p->from->units[unit].size;
    p->unit[i] = old;
    if (p->request->to != NULL) SR_TRY(size_as_new(p, i, &old));
    for (int k = 0; k < SR_AXIS_KINDS; k++) {
        if (old.axis[k] == 0) continue;
        const bool asked = p->request->size[k].value > 0 && p->chosen[unit];
        used[k] = used[k] || asked;
        const int64_t size = asked ? wanted(p, (sr_axis_kind)k, old.axis[k]) : p->unit[i].axis[k];
        p->unit[i].axis[k] = old.axis[k];
        SR_TRY(grow_axis(p, i, (sr_axis_kind)k, size));
    }
    SR_TRY(grow_heads(p, i, &old));
    return grow_rotation(p, i, &old);
}

/* A new LIV is as large as the one that it copies has become, unless that is another class now. */
static sartor_status size_new(plan *p, int i) {
    const int alike = sr_unit_alike(p->from, &p->genome, p->origin, i);
    for (int k = 0; alike >= 0 && k < p->genome.n; k++) {
        if (p->origin[k].unit != alike || p->genome.liv[k].liv_class != p->genome.liv[i].liv_class)
            continue;
        p->unit[i] = p->unit[k];
        return SARTOR_OK;
    }
    return size_usual(p, i);
}

static sartor_status grow_width(plan *p) {
    const int64_t old = p->from->sizes.width;
    p->sizes = p->from->sizes;
    if (p->request->size[SR_AXIS_MODEL].value == 0) return SARTOR_OK;
    const int64_t width = wanted(p, SR_AXIS_MODEL, old);
    SR_TRY(no_shrinking(p, "", SR_AXIS_MODEL, old, width));
    if (width > old && p->sizes.divisor == 0) p->sizes.divisor = old;
    p->sizes.width = width;
    return SARTOR_OK;
}

static sartor_status make_sizes(plan *p) {
    bool used[SR_AXIS_KINDS] = {[SR_AXIS_MODEL] = true};
    SR_TRY(grow_width(p));
    for (int i = 0; i < p->genome.n; i++)
        if (p->origin[i].unit >= 0) SR_TRY(grow_unit(p, i, used));
    for (int i = 0; i < p->genome.n; i++)
        if (p->origin[i].unit < 0) SR_TRY(size_new(p, i));
    for (int k = 0; k < SR_AXIS_KINDS; k++)
        if (p->request->size[k].value > 0 && !used[k])
            return sr_fail(p->ctx, SARTOR_INVALID, "no chosen LIV has an axis '%s'",
                           sr_growth_size_name((sr_axis_kind)k));
    return SARTOR_OK;
}

static bool is_larger(const plan *p) {
    if (p->sizes.width != p->from->sizes.width || p->genome.n != p->from->genome.n) return true;
    for (int i = 0; i < p->genome.n; i++)
        if (memcmp(&p->unit[i], &p->from->units[i].size, sizeof p->unit[i]) != 0) return true;
    return false;
}

static sartor_status make(plan *p, sr_growth **growth) {
    sr_genome_resolve(&p->from->genome, &p->old);
    SR_TRY(select_livs(p));
    SR_TRY(make_genome(p));
    SR_TRY(make_sizes(p));
    if (!is_larger(p)) return sr_fail(p->ctx, SARTOR_INVALID, "nothing would grow");
    SR_TRY(sr_growth_create(p->ctx, p->from, &p->genome, &p->sizes, p->unit, p->origin, growth));
    if (p->request->new_livs != SR_NEW_LIVS_STACKED || sr_growth_stack(*growth)) return SARTOR_OK;
    sr_growth_destroy(growth);
    return sr_fail(p->ctx, SARTOR_INVALID,
                   "new-livs: no LIV is added whose class the model has, so none is stacked");
}

sartor_status sr_growth_plan(sartor_context *ctx, const sr_model *from,
                             const sr_growth_request *request, sr_growth **growth) {
    plan *p;
    *growth = NULL;
    SR_TRY(sr_alloc(ctx, 1, sizeof *p, "the growth", (void **)&p));
    p->ctx = ctx;
    p->from = from;
    p->request = request;
    sartor_status status = make(p, growth);
    free(p);
    return status;
}
