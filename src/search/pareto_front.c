/* The front of large sets.
 *
 * Values are replaced by their ranks, equal points are merged, and the points are taken in
 * lexicographic order: then only an earlier point can dominate, and it does when it is nowhere
 * larger in objectives 1, 2 ... (objective 0 holds by the order). Up to 3 objectives that is one
 * sweep over a tree of minima. With more, halves of the order are solved and the later half is
 * filtered by the front of the earlier, splitting on one objective after another until three are
 * left (Kung, Luccio and Preparata, "On finding the maxima of a set of vectors", 1975; Jensen,
 * "Reducing the run-time complexity of multiobjective EAs", 2003): n log^(m-2) n. */
#include "base/memory.h"
#include "search/pareto.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEW = 16,          /* points that are compared in pairs */
    FEW_PAIRS = 2048,  /* pairs that are compared one by one */
    MEDIAN_SAMPLE = 31 /* ranks that a split looks at */
};

typedef struct front_work {
    size_t n;         /* different points, in lexicographic order */
    int dims;         /* objectives, at least 3 (missing ones are 0) */
    uint32_t *ranks;  /* n x dims */
    uint32_t *lowest; /* tree of prefix minima over a rank; UINT32_MAX: empty */
    uint32_t *buffer; /* n ids */
    uint32_t *ids;    /* n */
    bool *dominated;  /* n */
} front_work;

static uint32_t rank_of(const front_work *w, uint32_t id, int k) {
    return w->ranks[(size_t)id * (size_t)w->dims + (size_t)k];
}

/* ---- minima over prefixes (Fenwick tree) ---- */

static uint32_t tree_lowest(const front_work *w, uint32_t rank) {
    uint32_t lowest = UINT32_MAX;
    for (size_t i = (size_t)rank + 1; i > 0; i &= i - 1)
        if (w->lowest[i] < lowest) lowest = w->lowest[i];
    return lowest;
}

static void tree_put(front_work *w, uint32_t rank, uint32_t value) {
    for (size_t i = (size_t)rank + 1; i <= w->n; i += i & (0 - i))
        if (value < w->lowest[i]) w->lowest[i] = value;
}

static void tree_clear(front_work *w, uint32_t rank) {
    for (size_t i = (size_t)rank + 1; i <= w->n; i += i & (0 - i)) w->lowest[i] = UINT32_MAX;
}

/* ---- three objectives ---- */

static void sweep_all(front_work *w) {
    for (uint32_t id = 0; id < w->n; id++) {
        uint32_t y = rank_of(w, id, 1), z = rank_of(w, id, 2);
        w->dominated[id] = tree_lowest(w, y) <= z;
        if (!w->dominated[id]) tree_put(w, y, z);
    }
}

/* As filter(), objectives 1 to 3. */
static void filter_three(front_work *w, const uint32_t *left, size_t nl, const uint32_t *right,
                         size_t nr) {
    size_t in = 0;
    for (size_t j = 0; j < nr; j++) {
        uint32_t x = rank_of(w, right[j], 1);
        for (; in < nl && rank_of(w, left[in], 1) <= x; in++)
            tree_put(w, rank_of(w, left[in], 2), rank_of(w, left[in], 3));
        if (tree_lowest(w, rank_of(w, right[j], 2)) <= rank_of(w, right[j], 3))
            w->dominated[right[j]] = true;
    }
    while (in > 0) tree_clear(w, rank_of(w, left[--in], 2));
}

/* ---- more objectives ---- */

/* Whether a is nowhere larger in objectives 1 to k. */
static bool covers(const front_work *w, uint32_t a, uint32_t b, int k) {
    const uint32_t *ra = w->ranks + (size_t)a * (size_t)w->dims;
    const uint32_t *rb = w->ranks + (size_t)b * (size_t)w->dims;
    for (int i = 1; i <= k; i++)
        if (ra[i] > rb[i]) return false;
    return true;
}

static void filter_pairs(front_work *w, const uint32_t *left, size_t nl, const uint32_t *right,
                         size_t nr, int k) {
    for (size_t j = 0; j < nr; j++)
        for (size_t i = 0; i < nl && !w->dominated[right[j]]; i++)
            w->dominated[right[j]] = covers(w, left[i], right[j], k);
}

/* Puts those of rank <= split in objective k first; both parts keep their order. */
static size_t split_by(front_work *w, uint32_t *ids, size_t n, int k, uint32_t split) {
    size_t low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        if (rank_of(w, ids[i], k) <= split)
            ids[low++] = ids[i];
        else
            w->buffer[high++] = ids[i];
    }
    memcpy(ids + low, w->buffer, high * sizeof *ids);
    return low;
}

/* Merges two runs that lie in order of objective 1 into `out`, which is the first run's place or
 * elsewhere. */
static void merge(front_work *w, const uint32_t *a, size_t na, const uint32_t *b, size_t nb,
                  uint32_t *out) {
    size_t i = 0, j = 0, n = 0;
    while (i < na && j < nb)
        w->buffer[n++] = rank_of(w, a[i], 1) <= rank_of(w, b[j], 1) ? a[i++] : b[j++];
    while (i < na) w->buffer[n++] = a[i++];
    while (j < nb) w->buffer[n++] = b[j++];
    memcpy(out, w->buffer, n * sizeof *out);
}

typedef struct rank_range {
    uint32_t least, most;
} rank_range;

static rank_range range_of(const front_work *w, const uint32_t *ids, size_t n, int k) {
    rank_range r = {UINT32_MAX, 0};
    for (size_t i = 0; i < n; i++) {
        uint32_t rank = rank_of(w, ids[i], k);
        if (rank < r.least) r.least = rank;
        if (rank > r.most) r.most = rank;
    }
    return r;
}

/* About the median of objective k over both sets, and below `most`: both parts get something. */
static uint32_t split_rank(const front_work *w, const uint32_t *left, size_t nl,
                           const uint32_t *right, size_t nr, int k, uint32_t most) {
    uint32_t sample[MEDIAN_SAMPLE] = {0};
    for (int s = 0; s < MEDIAN_SAMPLE; s++) {
        size_t at = (nl + nr) * (size_t)s / MEDIAN_SAMPLE;
        uint32_t rank = rank_of(w, at < nl ? left[at] : right[at - nl], k);
        int i = s;
        for (; i > 0 && sample[i - 1] > rank; i--) sample[i] = sample[i - 1];
        sample[i] = rank;
    }
    uint32_t middle = sample[MEDIAN_SAMPLE / 2];
    return middle < most ? middle : most - 1;
}

/* Marks those of `right` that a point of `left` covers in objectives 1 to k; in the other
 * objectives it is known to. Both sets lie in order of objective 1, on return again. */
static void filter(front_work *w, uint32_t *left, size_t nl, uint32_t *right, size_t nr, int k) {
    if (nl == 0 || nr == 0) return;
    if (nl <= FEW_PAIRS / nr) {
        filter_pairs(w, left, nl, right, nr, k);
        return;
    }
    if (k == 3) {
        filter_three(w, left, nl, right, nr);
        return;
    }
    rank_range l = range_of(w, left, nl, k), r = range_of(w, right, nr, k);
    if (l.least > r.most) return;
    if (l.most <= r.least) {
        filter(w, left, nl, right, nr, k - 1);
        return;
    }
    uint32_t most = l.most > r.most ? l.most : r.most;
    uint32_t split = split_rank(w, left, nl, right, nr, k, most);
    size_t low_l = split_by(w, left, nl, k, split), low_r = split_by(w, right, nr, k, split);
    filter(w, left, low_l, right, low_r, k);
    filter(w, left + low_l, nl - low_l, right + low_r, nr - low_r, k);
    filter(w, left, low_l, right + low_r, nr - low_r, k - 1);
    merge(w, left, low_l, left + low_l, nl - low_l, left);
    merge(w, right, low_r, right + low_r, nr - low_r, right);
}

static size_t front_of_few(front_work *w, uint32_t *ids, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < kept && !w->dominated[ids[i]]; j++)
            w->dominated[ids[i]] = covers(w, ids[j], ids[i], w->dims - 1);
        if (!w->dominated[ids[i]]) ids[kept++] = ids[i];
    }
    for (size_t i = 1; i < kept; i++) {
        uint32_t id = ids[i];
        size_t j = i;
        for (; j > 0 && rank_of(w, ids[j - 1], 1) > rank_of(w, id, 1); j--) ids[j] = ids[j - 1];
        ids[j] = id;
    }
    return kept;
}

/* `ids` in lexicographic order; on return the front comes first, in order of objective 1. */
static size_t front_of(front_work *w, uint32_t *ids, size_t n) {
    if (n <= FEW) return front_of_few(w, ids, n);
    size_t half = n / 2;
    size_t a = front_of(w, ids, half), b = front_of(w, ids + half, n - half), kept = 0;
    filter(w, ids, a, ids + half, b, w->dims - 1);
    for (size_t i = half; i < half + b; i++)
        if (!w->dominated[ids[i]]) ids[half + kept++] = ids[i];
    merge(w, ids, a, ids + half, kept, ids);
    return a + kept;
}

/* ---- ranks ---- */

typedef struct value_key {
    double value;
    uint32_t index;
} value_key;

static int by_value(const void *pa, const void *pb) {
    const value_key *a = pa, *b = pb;
    return (a->value > b->value) - (a->value < b->value);
}

/* A point and its ranks, for sorting: rank[SR_MAX_OBJECTIVES - 1] stays 0 where m is smaller. */
typedef struct rank_key {
    uint32_t rank[SR_MAX_OBJECTIVES];
    uint32_t index;
} rank_key;

static int by_ranks(const void *pa, const void *pb) {
    const rank_key *a = pa, *b = pb;
    for (int k = 0; k < SR_MAX_OBJECTIVES; k++)
        if (a->rank[k] != b->rank[k]) return a->rank[k] < b->rank[k] ? -1 : 1;
    return 0; /* equal points share their fate: their order does not matter */
}

static void rank_values(const double *values, size_t n, int m, value_key *sorted, rank_key *keys) {
    for (size_t i = 0; i < n; i++) keys[i] = (rank_key){.index = (uint32_t)i};
    for (int k = 0; k < m; k++) {
        for (size_t i = 0; i < n; i++)
            sorted[i] = (value_key){values[i * (size_t)m + (size_t)k], (uint32_t)i};
        qsort(sorted, n, sizeof *sorted, by_value);
        uint32_t rank = 0;
        for (size_t i = 0; i < n; i++) {
            if (i > 0 && sorted[i].value > sorted[i - 1].value) rank++;
            keys[sorted[i].index].rank[k] = rank;
        }
    }
    qsort(keys, n, sizeof *keys, by_ranks);
}

static void fill_work(front_work *w, const rank_key *keys, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && by_ranks(&keys[i], &keys[i - 1]) == 0) continue;
        memcpy(w->ranks + w->n * (size_t)w->dims, keys[i].rank, (size_t)w->dims * sizeof *w->ranks);
        w->ids[w->n] = (uint32_t)w->n;
        w->n++;
    }
    memset(w->lowest, 0xff, (w->n + 1) * sizeof *w->lowest);
}

sartor_status sr_pareto_front(sartor_context *ctx, const double *values, size_t n, int m,
                              bool *in_front) {
    if (m < 1 || m > SR_MAX_OBJECTIVES)
        return sr_fail(ctx, SARTOR_INVALID, "pareto front: %d objectives are not in 1..%d", m,
                       SR_MAX_OBJECTIVES);
    if (n > INT32_MAX) return sr_fail(ctx, SARTOR_INVALID, "pareto front: %zu points", n);
    front_work w = {.dims = m < 3 ? 3 : m};
    void *sorted = NULL, *keys = NULL, *numbers = NULL, *marks = NULL;
    sartor_status status = sr_alloc(ctx, n, sizeof(value_key), "pareto front", &sorted);
    if (status == SARTOR_OK) status = sr_alloc(ctx, n, sizeof(rank_key), "pareto front", &keys);
    if (status == SARTOR_OK)
        status =
            sr_alloc(ctx, (size_t)(w.dims + 3) * n + 1, sizeof(uint32_t), "pareto front", &numbers);
    if (status == SARTOR_OK) status = sr_alloc(ctx, n, sizeof(bool), "pareto front", &marks);
    if (status == SARTOR_OK) {
        w.ranks = numbers;
        w.buffer = w.ranks + (size_t)w.dims * n;
        w.ids = w.buffer + n;
        w.lowest = w.ids + n;
        w.dominated = marks;
        rank_values(values, n, m, sorted, keys);
        fill_work(&w, keys, n);
        if (w.dims == 3)
            sweep_all(&w);
        else
            front_of(&w, w.ids, w.n);
        const rank_key *key = keys;
        for (size_t i = 0, id = 0; i < n; i++) {
            if (i > 0 && by_ranks(&key[i], &key[i - 1]) != 0) id++;
            in_front[key[i].index] = !w.dominated[id];
        }
    }
    free(sorted);
    free(keys);
    free(numbers);
    free(marks);
    return status;
}
