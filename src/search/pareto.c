/* Domination, non-dominated sorting and crowding of populations; the front of large sets is in
 * pareto_front.c. */
#include "search/pareto.h"

#include "base/memory.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

bool sr_dominates(const double *a, const double *b, int m) {
    bool smaller = false;
    for (int k = 0; k < m; k++) {
        if (a[k] > b[k]) return false;
        smaller |= a[k] < b[k];
    }
    return smaller;
}

static int compare_double(double a, double b) { return (a > b) - (a < b); }

/* ---- sorting ---- */

typedef struct sort_key {
    const double *values;
    double violation;
    int m, index;
} sort_key;

static int by_violation_then_values(const void *pa, const void *pb) {
    const sort_key *a = pa, *b = pb;
    int c = compare_double(a->violation, b->violation);
    for (int k = 0; c == 0 && k < a->m; k++) c = compare_double(a->values[k], b->values[k]);
    return c != 0 ? c : (a->index > b->index) - (a->index < b->index);
}

/* The fronts so far, each a chain of its members, the newest first. */
typedef struct sort_fronts {
    const sort_key *keys;
    int *head, *next;
} sort_fronts;

static bool front_dominates(const sort_fronts *f, int front, const sort_key *key) {
    for (int i = f->head[front]; i >= 0; i = f->next[i])
        if (sr_dominates(f->keys[i].values, key->values, key->m)) return true;
    return false;
}

/* Points in lexicographic order: only earlier ones dominate. What dominates a member of a front is
 * dominated by every front before it, so that the first front that does not is found by bisection
 * (Zhang et al., "An efficient approach to nondominated sorting", 2015: ENS-BS). */
static void sort_into_fronts(sort_fronts *f, size_t n, int *rank) {
    int start = 0, end = 0; /* the fronts of one violation */
    for (size_t i = 0; i < n; i++) {
        const sort_key *key = &f->keys[i];
        if (i > 0 && key->violation > key[-1].violation) start = end;
        int low = start, high = end;
        while (low < high) {
            int middle = low + (high - low) / 2;
            if (front_dominates(f, middle, key))
                low = middle + 1;
            else
                high = middle;
        }
        f->next[i] = low == end ? -1 : f->head[low];
        f->head[low] = (int)i;
        if (low == end) end++;
        rank[key->index] = low;
    }
}

static sartor_status check_sizes(sartor_context *ctx, size_t n, int m) {
    if (m < 1 || m > SR_MAX_OBJECTIVES)
        return sr_fail(ctx, SARTOR_INVALID, "pareto order: %d objectives are not in 1..%d", m,
                       SR_MAX_OBJECTIVES);
    if (n > INT32_MAX) return sr_fail(ctx, SARTOR_INVALID, "pareto order: %zu points", n);
    return SARTOR_OK;
}

sartor_status sr_nondominated_sort(sartor_context *ctx, const double *values,
                                   const double *violation, size_t n, int m, int *rank) {
    SR_TRY(check_sizes(ctx, n, m));
    void *keys_memory = NULL, *chains = NULL;
    sartor_status status = sr_alloc(ctx, n, sizeof(sort_key), "sorting", &keys_memory);
    if (status == SARTOR_OK) status = sr_alloc(ctx, n, 2 * sizeof(int), "sorting", &chains);
    if (status == SARTOR_OK) {
        sort_key *keys = keys_memory;
        for (size_t i = 0; i < n; i++)
            keys[i] = (sort_key){values + i * (size_t)m, violation ? violation[i] : 0, m, (int)i};
        qsort(keys, n, sizeof *keys, by_violation_then_values);
        sort_fronts fronts = {keys, chains, (int *)chains + n};
        sort_into_fronts(&fronts, n, rank);
    }
    free(keys_memory);
    free(chains);
    return status;
}

/* ---- crowding ---- */

typedef struct crowd_key {
    double value;
    int index;
    size_t place; /* in `index` and `distance` */
} crowd_key;

static int by_value(const void *pa, const void *pb) {
    const crowd_key *a = pa, *b = pb;
    int c = compare_double(a->value, b->value);
    return c != 0 ? c : (a->index > b->index) - (a->index < b->index);
}

sartor_status sr_crowding(sartor_context *ctx, const double *values, int m, const int *index,
                          size_t count, double *distance) {
    SR_TRY(check_sizes(ctx, count, m));
    void *memory = NULL;
    SR_TRY(sr_alloc(ctx, count, sizeof(crowd_key), "crowding", &memory));
    crowd_key *keys = memory;
    for (size_t i = 0; i < count; i++) distance[i] = count == 1 ? INFINITY : 0;
    for (int k = 0; k < m && count > 1; k++) {
        for (size_t i = 0; i < count; i++)
            keys[i] = (crowd_key){values[(size_t)index[i] * (size_t)m + (size_t)k], index[i], i};
        qsort(keys, count, sizeof *keys, by_value);
        double range = keys[count - 1].value - keys[0].value;
        if (!(range > 0) || isinf(range)) continue;
        distance[keys[0].place] = distance[keys[count - 1].place] = INFINITY;
        for (size_t i = 1; i + 1 < count; i++)
            distance[keys[i].place] += (keys[i + 1].value - keys[i - 1].value) / range;
    }
    free(memory);
    return SARTOR_OK;
}
