/* Every integer drawn here is legal, so that repair has nothing to do but to make the result
 * canonical; it still runs, because a parent may come from another pool.
 *
 * The canonical form forgets what an unshared LIV would share if it had a partner. A spelling of
 * the genome remembers, as STAR's genomes do: there a lone label and strategy drift unseen until
 * one more change makes a pair of them. Mutation therefore acts on a random spelling (respell()):
 * without it both sides of a new pair would have to change in one step, and sharing that is lost
 * would hardly ever come back. */
#include "genome/variation.h"

#include <string.h>

typedef struct draws {
    sr_rng rng;
    uint64_t *next;
} draws;

static int below(draws d, int bound) {
    return (int)sr_rng_below(d.rng, (*d.next)++, (uint64_t)bound);
}
static bool chance(draws d, double p) { return sr_rng_uniform(d.rng, (*d.next)++) < p; }

/* Uniform over 1..last. */
static int up_to(draws d, int last) { return 1 + below(d, last); }

static int labels_of(int livs) { return livs >= 2 ? livs / 2 : 1; }

static int group_strategies(int liv_class) {
    return 1 << sr_family_features(sr_class_get(liv_class)->family);
}

static int draw_class(draws d, const sr_pool *pool) {
    int classes = 0, c = 0;
    for (int i = 1; i <= sr_class_count() && i < SR_POOL_CLASSES; i++) classes += pool->has[i];
    for (int left = below(d, classes) + 1; left > 0; left -= pool->has[c]) c++;
    return c;
}

/* The four integers that belong to a class. */
static void draw_sharing(draws d, int livs, sr_gene *g) {
    g->featurizer_label = up_to(d, labels_of(livs));
    g->featurizer_strategy = up_to(d, 2);
    g->group_label = up_to(d, labels_of(livs));
    g->group_strategy = up_to(d, group_strategies(g->liv_class));
}

/* Returns how many integers repair set. */
static int finish(draws d, sr_genome *genome, const sr_pool *pool) {
    sr_repairs r = {0};
    uint64_t seed = sr_rng_u64(d.rng, (*d.next)++);
    (void)sr_genome_repair(NULL, genome, pool, seed, &r); /* fails for an empty pool only */
    return r.classes + r.labels + r.strategies + r.dissolved;
}

void sr_genome_sample(const sr_pool *pool, int livs, sr_rng rng, uint64_t *next, sr_genome *out) {
    draws d = {rng, next};
    memset(out, 0, sizeof *out);
    out->n = livs;
    for (int i = 0; i < livs; i++) {
        out->liv[i].liv_class = draw_class(d, pool);
        draw_sharing(d, livs, &out->liv[i]);
    }
    (void)finish(d, out, pool);
}

/* Of the n (n + 1) / 2 segments of 1 to n LIVs each is as likely as another, all LIVs excepted. */
void sr_genome_cross(const sr_genome *a, const sr_genome *b, const sr_pool *pool, sr_rng rng,
                     uint64_t *next, sr_genome *child, int *repaired) {
    draws d = {rng, next};
    int n = a->n, from = 0, length = 1;
    if (n == 1) {
        length = below(d, 2);
    } else {
        from = below(d, n * (n + 1) / 2 - 1);
        for (; from > n - length; length++) from -= n - length + 1;
    }
    *child = *a;
    memcpy(child->liv + from, b->liv + from, (size_t)length * sizeof *child->liv);
    *repaired += finish(d, child, pool);
}

/* ---- mutation ---- */

/* Which LIVs share weights, or features, with any other. */
typedef struct sharing_flags {
    bool weights[SR_MAX_LIVS], features[SR_MAX_LIVS];
} sharing_flags;

static void find_sharing(const sr_genome *genome, sharing_flags *flags) {
    sr_sharing s;
    sr_genome_resolve(genome, &s);
    memset(flags, 0, sizeof *flags);
    for (int i = 0; i < s.n; i++) {
        int owner = s.liv[i].rest_owner;
        if (owner != i) flags->weights[i] = flags->weights[owner] = true;
        for (int f = 0; f < SR_FEATURES; f++)
            if (s.liv[i].feature_source[f] != i || s.liv[i].feature_readers[f] > 0)
                flags->features[i] = true;
    }
}

/* Draws labels and strategies for whatever shares nothing, such that it still shares nothing: what
 * came to share by the draw is drawn again, and in the end stays as it was. */
static void respell(draws d, sr_genome *genome) {
    enum { TRIES = 8 };
    const int n = genome->n;
    sharing_flags was, now;
    find_sharing(genome, &was);
    memset(&now, 1, sizeof now);
    for (int t = 0; t <= TRIES; t++) {
        for (int i = 0; i < n; i++) {
            sr_gene *g = &genome->liv[i];
            if (!was.weights[i] && now.weights[i]) {
                g->featurizer_label = t < TRIES ? up_to(d, labels_of(n)) : 1;
                g->featurizer_strategy = t < TRIES ? up_to(d, 2) : 1;
            }
            if (!was.features[i] && now.features[i]) {
                g->group_label = t < TRIES ? up_to(d, labels_of(n)) : 1;
                g->group_strategy = t < TRIES ? up_to(d, group_strategies(g->liv_class)) : 1;
            }
        }
        find_sharing(genome, &now);
    }
}

static void mutate_liv(draws d, double rate, int livs, const sr_pool *pool, sr_gene *g) {
    const int was = g->liv_class;
    if (chance(d, rate)) g->liv_class = draw_class(d, pool);
    if (g->liv_class != was) {
        draw_sharing(d, livs, g);
        return;
    }
    if (chance(d, rate)) g->featurizer_label = up_to(d, labels_of(livs));
    if (chance(d, rate)) g->featurizer_strategy = up_to(d, 2);
    if (chance(d, rate)) g->group_label = up_to(d, labels_of(livs));
    if (chance(d, rate)) g->group_strategy = up_to(d, group_strategies(g->liv_class));
}

int sr_genome_mutate(sr_genome *genome, const sr_pool *pool, double rate, sr_rng rng,
                     uint64_t *next) {
    draws d = {rng, next};
    (void)finish(d, genome, pool);
    const sr_genome before = *genome;
    respell(d, genome);
    for (int i = 0; i < genome->n; i++) mutate_liv(d, rate, genome->n, pool, &genome->liv[i]);
    (void)finish(d, genome, pool);
    int changed = 0;
    for (int i = 0; i < genome->n; i++) {
        const sr_gene *a = &before.liv[i], *b = &genome->liv[i];
        changed += (a->liv_class != b->liv_class) + (a->featurizer_label != b->featurizer_label) +
                   (a->featurizer_strategy != b->featurizer_strategy) +
                   (a->group_label != b->group_label) + (a->group_strategy != b->group_strategy);
    }
    return changed;
}

/* ---- distance ---- */

static bool same_partners(const sr_sharing *a, const sr_sharing *b, int i) {
    const sr_liv_sharing *x = &a->liv[i], *y = &b->liv[i];
    for (int j = 0; j < a->n; j++) {
        const sr_liv_sharing *p = &a->liv[j], *q = &b->liv[j];
        if ((p->rest_owner == x->rest_owner) != (q->rest_owner == y->rest_owner)) return false;
        for (int f = 0; f < SR_FEATURES; f++)
            if ((p->feature_source[f] == x->feature_source[f]) !=
                (q->feature_source[f] == y->feature_source[f]))
                return false;
    }
    return true;
}

double sr_genome_distance(const sr_genome *a, const sr_genome *b) {
    sr_sharing x, y;
    sr_genome_resolve(a, &x);
    sr_genome_resolve(b, &y);
    int differ = 0;
    for (int i = 0; i < a->n; i++)
        differ += a->liv[i].liv_class != b->liv[i].liv_class || !same_partners(&x, &y, i);
    return (double)differ / a->n;
}
