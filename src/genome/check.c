/* Validity and repair: which integers mean something, and how any others become so. */
#include "base/rng.h"
#include "genome/genome.h"

#include <stdlib.h>

sr_pool sr_pool_paper(void) {
    sr_pool pool = {{false}};
    for (int i = 1; i <= SR_PAPER_CLASSES; i++) pool.has[i] = true;
    return pool;
}

sr_pool sr_pool_all(void) {
    sr_pool pool = {{false}};
    for (int i = 1; i <= sr_class_count() && i < SR_POOL_CLASSES; i++) pool.has[i] = true;
    return pool;
}

static bool in_pool(const sr_pool *pool, int number) {
    return number >= 1 && number <= sr_class_count() && number < SR_POOL_CLASSES &&
           (pool == NULL || pool->has[number]);
}

static int strategies_of(sr_family family) { return 1 << sr_family_features(family); }

static sartor_status label_check(sartor_context *ctx, int liv, const char *what, int label) {
    if (label >= 1 && label <= SR_MAX_LABEL) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID, "genome: LIV %d: %s label %d is not in 1..%d", liv, what,
                   label, SR_MAX_LABEL);
}

static sartor_status gene_check(sartor_context *ctx, int liv, const sr_gene *g,
                                const sr_pool *pool) {
    const sr_class *class_ = sr_class_get(g->liv_class);
    if (class_ == NULL)
        return sr_fail(ctx, SARTOR_INVALID,
                       "genome: LIV %d: class %d is not in the catalogue (1..%d)", liv,
                       g->liv_class, sr_class_count());
    if (!in_pool(pool, g->liv_class))
        return sr_fail(ctx, SARTOR_INVALID, "genome: LIV %d: class %d (%s) is not in the pool", liv,
                       g->liv_class, class_->name);
    SR_TRY(label_check(ctx, liv, "featurizer-sharing", g->featurizer_label));
    if (g->featurizer_strategy < 1 || g->featurizer_strategy > 2)
        return sr_fail(ctx, SARTOR_INVALID,
                       "genome: LIV %d: featurizer-sharing strategy %d is not 1 (none) or 2 (all)",
                       liv, g->featurizer_strategy);
    SR_TRY(label_check(ctx, liv, "feature-group", g->group_label));
    int last = strategies_of(class_->family);
    if (g->group_strategy < 1 || g->group_strategy > last)
        return sr_fail(
            ctx, SARTOR_INVALID,
            "genome: LIV %d: feature-group strategy %d is not in 1..%d, which the family "
            "%s has",
            liv, g->group_strategy, last, sr_family_name(class_->family));
    return SARTOR_OK;
}

static sartor_status length_check(sartor_context *ctx, int n) {
    if (n >= 1 && n <= SR_MAX_LIVS) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID, "genome: %d LIVs, not 1..%d", n, SR_MAX_LIVS);
}

sartor_status sr_genome_check(sartor_context *ctx, const sr_genome *genome, const sr_pool *pool) {
    SR_TRY(length_check(ctx, genome->n));
    for (int i = 0; i < genome->n; i++) SR_TRY(gene_check(ctx, i + 1, &genome->liv[i], pool));
    return SARTOR_OK;
}

/* The pool's class nearest to a number, the smaller of two; 0 in an empty pool. */
static int nearest_class(const sr_pool *pool, int number) {
    int best = 0;
    long long distance = 0;
    for (int c = 1; c <= sr_class_count() && c < SR_POOL_CLASSES; c++) {
        long long d = llabs((long long)c - number);
        if (in_pool(pool, c) && (best == 0 || d < distance)) {
            best = c;
            distance = d;
        }
    }
    return best;
}

static void repair_label(int *label, sr_repairs *repairs) {
    if (*label >= 1 && *label <= SR_MAX_LABEL) return;
    *label = *label < 1 ? 1 : SR_MAX_LABEL;
    repairs->labels++;
}

/* Each integer has a random number of its own, so repairing one never changes another's draw. */
static void repair_strategy(int *strategy, int last, sr_rng rng, int index, sr_repairs *repairs) {
    if (*strategy >= 1 && *strategy <= last) return;
    *strategy = 1 + (int)sr_rng_below(rng, (uint64_t)index, (uint64_t)last);
    repairs->strategies++;
}

sartor_status sr_genome_repair(sartor_context *ctx, sr_genome *genome, const sr_pool *pool,
                               uint64_t seed, sr_repairs *repairs) {
    sr_rng rng = {seed, SR_FOR_GENOME, 0};
    *repairs = (sr_repairs){0, 0, 0, 0};
    SR_TRY(length_check(ctx, genome->n));
    if (nearest_class(pool, 1) == 0)
        return sr_fail(ctx, SARTOR_INVALID, "genome: the pool has no class of the catalogue");
    for (int i = 0; i < genome->n; i++) {
        sr_gene *g = &genome->liv[i];
        if (!in_pool(pool, g->liv_class)) {
            g->liv_class = nearest_class(pool, g->liv_class);
            repairs->classes++;
        }
        repair_label(&g->featurizer_label, repairs);
        repair_strategy(&g->featurizer_strategy, 2, rng, i * SR_GENES + 2, repairs);
        repair_label(&g->group_label, repairs);
        repair_strategy(&g->group_strategy, strategies_of(sr_class_get(g->liv_class)->family), rng,
                        i * SR_GENES + 4, repairs);
    }
    sr_genome before = *genome;
    sr_genome_canonical(genome);
    for (int i = 0; i < genome->n; i++) {
        const sr_gene *was = &before.liv[i], *is = &genome->liv[i];
        repairs->dissolved += (was->featurizer_strategy != is->featurizer_strategy) +
                              (was->group_strategy != is->group_strategy);
    }
    return SARTOR_OK;
}
