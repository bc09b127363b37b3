/* The firefly algorithm (Yang, "Firefly algorithms for multimodal optimization", 2009) over a space
 * of parts. A parent is a firefly; j is brighter than i when it dominates i under constraint
 * domination (as in Yang, "Multiobjective firefly algorithm for continuous optimization", 2013), so
 * that the brightest are the front. Firefly i moves towards every brighter one, the brightest last,
 * with attraction beta0 exp(-gamma r^2) at distance r, which is 0 to 1 here; beta0 = gamma = 1 are
 * the first paper's. Its random step is a mutation at the rate of the settings, which is all that
 * the brightest ones do. Survival is that of NSGA-II. */
#include "search/algorithms.h"
#include "search/breeding.h"

#include <math.h>
#include <string.h>

static const double beta0 = 1, absorption = 1; /* gamma */

static bool brighter(const sr_member *a, const sr_member *b, int objectives) {
    if (a->violation != b->violation) return a->violation < b->violation;
    return sr_dominates(a->values, b->values, objectives);
}

static sartor_status propose(sartor_context *ctx, const sr_evolution *e, const sr_member *parents,
                             int n, int generation, int slot, int attempt, void *child,
                             sr_birth *birth) {
    (void)ctx;
    if (n < 1) {
        sr_propose_sample(e, generation, slot, attempt, child, birth);
        return SARTOR_OK;
    }
    const sr_space *space = e->space;
    sr_draw draw = sr_slot_draw(e, generation, slot, attempt);
    int self = slot % n, target = -1;
    memcpy(child, parents[self].candidate, space->bytes);
    for (int j = n - 1; j >= 0; j--) {
        if (!brighter(&parents[j], &parents[self], e->objectives)) continue;
        double r = space->distance(space, child, parents[j].candidate);
        double attraction = beta0 * exp(-absorption * r * r);
        space->approach(space, &draw, attraction, parents[j].candidate, child);
        target = j;
    }
    bool moved = !sr_same_candidate(space, child, parents[self].candidate), copy = !moved;
    for (int j = 0; j < n && !copy; j++)
        copy = sr_same_candidate(space, child, parents[j].candidate);
    int mutations = sr_mutate(e, &draw, copy, child);
    const char *how = moved ? "move" : mutations > 0 ? "mutation" : "copy";
    *birth = (sr_birth){how, {self, moved ? target : -1}, mutations, draw.repaired};
    return SARTOR_OK;
}

static sartor_status survive(sartor_context *ctx, const sr_evolution *e, const sr_member *members,
                             int n_parents, int n_children, int *chosen, int *n_chosen) {
    return sr_survivors(ctx, e, e->survival, sr_order_by_rank, members, n_parents, n_children,
                        chosen, n_chosen);
}

const sr_algorithm sr_firefly = {
    .name = "firefly",
    .summary = "firefly algorithm: moves towards all that dominate",
    .children = sr_children,
    .propose = propose,
    .survive = survive,
};
