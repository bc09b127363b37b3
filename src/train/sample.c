#include "train/sample.h"

#include "base/memory.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>

typedef struct sr_candidate {
    double weight; /* exp((logit - largest) / temperature) */
    int32_t id;
} candidate;

sartor_status sr_sampler_init(sartor_context *ctx, sr_sampler *s) {
    return sr_alloc(ctx, (size_t)s->vocab, sizeof *s->candidate, "sampling",
                    (void **)&s->candidate);
}

void sr_sampler_free(sr_sampler *s) {
    free(s->candidate);
    s->candidate = NULL;
}

static bool before(const candidate *a, const candidate *b) {
    return a->weight > b->weight || (a->weight == b->weight && a->id < b->id);
}

static int by_weight(const void *a, const void *b) { return before(a, b) ? -1 : before(b, a); }

/* Restores the heap below `i`: its root is the least of n candidates. */
static void sift_down(candidate *c, int64_t n, int64_t i) {
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&c[child], &c[child + 1])) child++;
        if (!before(&c[i], &c[child])) return;
        candidate swap = c[i];
        c[i] = c[child];
        c[child] = swap;
    }
}

/* Moves the k best to the front, in any order: a heap of the best so far whose root falls out. */
static int64_t keep_best(candidate *c, int64_t n, int64_t k) {
    if (k >= n) return n;
    for (int64_t i = k / 2 - 1; i >= 0; i--) sift_down(c, k, i);
    for (int64_t i = k; i < n; i++) {
        if (!before(&c[i], &c[0])) continue;
        c[0] = c[i];
        sift_down(c, k, 0);
    }
    return k;
}

static double total(const candidate *c, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += c[i].weight;
    return sum;
}

/* The shortest list of the most likely that reaches `share` of all. Candidates below
 * (1 - share) / n of the whole cannot be in it: together they are less than what may be missing. */
static int64_t keep_share(candidate *c, int64_t n, double share) {
    double sum = total(c, n), least = sum * (1 - share) / (double)n;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (c[i].weight >= least) c[kept++] = c[i];
    qsort(c, (size_t)kept, sizeof *c, by_weight);
    double reached = 0;
    int64_t i = 0;
    while (i < kept && (i == 0 || reached < share * sum)) reached += c[i++].weight;
    return i;
}

static int32_t largest(const float *logits, int64_t n) {
    int32_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > logits[best] || isnan(logits[best])) best = (int32_t)i;
    return best;
}

sartor_status sr_sample(sartor_context *ctx, sr_sampler *s, const float *logits, uint64_t position,
                        int32_t *token) {
    *token = largest(logits, s->vocab);
    const double top = (double)logits[*token];
    if (!isfinite(top)) return sr_fail(ctx, SARTOR_NOT_FINITE, "the model's output is not finite");
    if (s->temperature == 0) return SARTOR_OK;
    candidate *c = s->candidate;
    int64_t n = 0;
    for (int64_t i = 0; i < s->vocab; i++)
        if (!isnan(logits[i]))
            c[n++] = (candidate){exp(((double)logits[i] - top) / s->temperature), (int32_t)i};
    if (s->top_k > 0) n = keep_best(c, n, s->top_k);
    if (s->top_p < 1) n = keep_share(c, n, s->top_p);
    double left = sr_rng_uniform((sr_rng){s->seed, SR_FOR_SAMPLING, 0}, position) * total(c, n);
    int64_t i = 0;
    while (i < n - 1 && (left -= c[i].weight) >= 0) i++;
    *token = c[i].id;
    return SARTOR_OK;
}
