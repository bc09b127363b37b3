/* NSGA-II as in STAR (arXiv 2411.17800): binary tournament on rank and crowding, two-point
 * crossover, mutation of every integer at a rate, elitism. The other survival is the textbook's
 * (Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002): the best of
 * parents and children by rank, the last front by crowding distance. */
#include "search/algorithms.h"
#include "search/breeding.h"

static sartor_status propose(sartor_context *ctx, const sr_evolution *e, const sr_member *parents,
                             int n, int generation, int slot, int attempt, void *child,
                             sr_birth *birth) {
    (void)ctx;
    sr_draw draw = sr_slot_draw(e, generation, slot, attempt);
    if (n < 1)
        sr_propose_sample(e, generation, slot, attempt, child, birth);
    else
        sr_breed(e, parents, n, 2, &draw, child, birth);
    return SARTOR_OK;
}

static sartor_status survive(sartor_context *ctx, const sr_evolution *e, const sr_member *members,
                             int n_parents, int n_children, int *chosen, int *n_chosen) {
    return sr_survivors(ctx, e, e->survival, sr_order_by_rank, members, n_parents, n_children,
                        chosen, n_chosen);
}

const sr_algorithm sr_nsga2 = {
    .name = "nsga2",
    .summary = "NSGA-II: Pareto rank, then crowding distance",
    .children = sr_children,
    .propose = propose,
    .survive = survive,
};
