#include "search/breeding.h"

#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MUTATIONS = 64 }; /* tries to make a copy different */

static int population_of(const sr_evolution *e) { return e->population < 1 ? 1 : e->population; }

static int elites_of(const sr_evolution *e) {
    if (e->elites < 0) return 0;
    return e->elites < population_of(e) ? e->elites : population_of(e);
}

int sr_children(const sr_evolution *e, int generation) {
    if (generation <= 0 || e->survival == SR_SURVIVAL_MU_PLUS_LAMBDA) return population_of(e);
    int children = population_of(e) - elites_of(e);
    return children < 1 ? 1 : children;
}

/* ---- children ---- */

void sr_propose_sample(const sr_evolution *e, int generation, int slot, int attempt, void *child,
                       sr_birth *birth) {
    sr_first_candidate(e, generation, slot, attempt, child);
    *birth = (sr_birth){"sample", {-1, -1}, 0, 0};
}

bool sr_same_candidate(const sr_space *space, const void *a, const void *b) {
    char id_a[SR_HASH_TEXT], id_b[SR_HASH_TEXT];
    space->identity(space, a, id_a);
    space->identity(space, b, id_b);
    return strcmp(id_a, id_b) == 0;
}

int sr_mutate(const sr_evolution *e, sr_draw *draw, bool again, void *candidate) {
    int changed = e->space->mutate(e->space, draw, e->mutation_rate, candidate);
    for (int i = 1; again && changed == 0 && i < MUTATIONS; i++)
        changed = e->space->mutate(e->space, draw, e->mutation_rate, candidate);
    return changed;
}

/* The first of `size` draws among n places. */
static int tournament(sr_draw *draw, int n, int size) {
    int winner = n - 1;
    for (int i = 0; i < size; i++) {
        int drawn = (int)sr_draw_below(draw, (uint64_t)n);
        if (drawn < winner) winner = drawn;
    }
    return winner;
}

void sr_breed(const sr_evolution *e, const sr_member *parents, int n, int size, sr_draw *draw,
              void *child, sr_birth *birth) {
    const sr_space *space = e->space;
    if (e->tournament > 0) size = e->tournament;
    int a = tournament(draw, n, size), b = -1;
    bool from_a = true, from_b = false;
    if (n > 1) {
        b = tournament(draw, n - 1, size);
        b += b >= a;
        space->cross(space, draw, parents[a].candidate, parents[b].candidate, child);
        from_a = sr_same_candidate(space, child, parents[a].candidate);
        from_b = sr_same_candidate(space, child, parents[b].candidate);
    } else {
        memcpy(child, parents[a].candidate, space->bytes);
    }
    int mutations = sr_mutate(e, draw, from_a || from_b, child);
    if (from_a)
        *birth = (sr_birth){mutations > 0 ? "mutation" : "copy", {a, -1}, mutations, 0};
    else if (from_b)
        *birth = (sr_birth){mutations > 0 ? "mutation" : "copy", {b, -1}, mutations, 0};
    else
        *birth = (sr_birth){
            mutations > 0 ? "crossover+mutation" : "crossover", {a, b}, mutations, draw->repaired};
}

/* ---- order ---- */

typedef struct rank_key {
    int rank, index;
    double crowding;
} rank_key;

static int by_rank(const void *pa, const void *pb) {
    const rank_key *a = pa, *b = pb;
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    if (a->crowding != b->crowding) return a->crowding > b->crowding ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Copies of what the order looks at: places are those in `index`. */
typedef struct rank_work {
    double *values, *violation, *crowding;
    int *rank, *front;
    rank_key *keys;
} rank_work;

static sartor_status order_work(sartor_context *ctx, rank_work *w, int m, int count, int *index) {
    SR_TRY(sr_nondominated_sort(ctx, w->values, w->violation, (size_t)count, m, w->rank));
    for (int rank = 0, done = 0; done < count; rank++) {
        int n = 0;
        for (int i = 0; i < count; i++)
            if (w->rank[i] == rank) w->front[n++] = i;
        SR_TRY(sr_crowding(ctx, w->values, m, w->front, (size_t)n, w->crowding));
        for (int i = 0; i < n; i++)
            w->keys[done++] = (rank_key){rank, index[w->front[i]], w->crowding[i]};
    }
    qsort(w->keys, (size_t)count, sizeof *w->keys, by_rank);
    for (int i = 0; i < count; i++) index[i] = w->keys[i].index;
    return SARTOR_OK;
}

sartor_status sr_order_by_rank(sartor_context *ctx, const sr_evolution *e, const sr_member *members,
                               int *index, int count) {
    size_t n = (size_t)count, m = (size_t)e->objectives;
    void *numbers = NULL, *integers = NULL, *keys = NULL;
    sartor_status status = sr_alloc(ctx, n, (m + 2) * sizeof(double), "ranking", &numbers);
    if (status == SARTOR_OK) status = sr_alloc(ctx, n, 2 * sizeof(int), "ranking", &integers);
    if (status == SARTOR_OK) status = sr_alloc(ctx, n, sizeof(rank_key), "ranking", &keys);
    if (status == SARTOR_OK) {
        rank_work w = {.values = numbers, .rank = integers, .keys = keys};
        w.violation = w.values + n * m;
        w.crowding = w.violation + n;
        w.front = w.rank + n;
        for (size_t i = 0; i < n; i++) {
            const sr_member *member = &members[index[i]];
            memcpy(w.values + i * m, member->values, m * sizeof *w.values);
            w.violation[i] = member->violation;
        }
        status = order_work(ctx, &w, e->objectives, count, index);
    }
    free(numbers);
    free(integers);
    free(keys);
    return status;
}

/* ---- survival ---- */

/* Appends those of members[from, to) that did not fail, or all of them. */
static int collect(const sr_member *members, int from, int to, bool failed, int *list, int n) {
    for (int i = from; i < to; i++)
        if (failed || members[i].violation < INFINITY) list[n++] = i;
    return n;
}

sartor_status sr_survivors(sartor_context *ctx, const sr_evolution *e, sr_survival survival,
                           sr_member_order order, const sr_member *members, int n_parents,
                           int n_children, int *chosen, int *n_chosen) {
    int all = n_parents + n_children;
    *n_chosen = 0;
    int children = collect(members, n_parents, all, false, chosen, 0);
    int n = collect(members, 0, n_parents, false, chosen, 0);
    bool failed = children + n == 0;
    if (failed) n = collect(members, 0, n_parents, true, chosen, 0);
    if (survival == SR_SURVIVAL_ELITIST && n > 0) {
        SR_TRY(order(ctx, e, members, chosen, n));
        int places = population_of(e) - children; /* more than the elites where children failed */
        if (places < elites_of(e)) places = elites_of(e);
        if (n > places) n = places;
    }
    n = collect(members, n_parents, all, failed, chosen, n);
    if (n == 0) return SARTOR_OK;
    SR_TRY(order(ctx, e, members, chosen, n));
    *n_chosen = n < population_of(e) ? n : population_of(e);
    return SARTOR_OK;
}
