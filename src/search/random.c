/* Random search: every candidate is drawn uniformly; the same number of them as every other
 * algorithm evaluates. Parents are the best so far, which only displays use. */
#include "search/algorithms.h"
#include "search/breeding.h"

static sartor_status propose(sartor_context *ctx, const sr_evolution *e, const sr_member *parents,
                             int n, int generation, int slot, int attempt, void *child,
                             sr_birth *birth) {
    (void)ctx;
    (void)parents;
    (void)n;
    sr_propose_sample(e, generation, slot, attempt, child, birth);
    return SARTOR_OK;
}

static sartor_status survive(sartor_context *ctx, const sr_evolution *e, const sr_member *members,
                             int n_parents, int n_children, int *chosen, int *n_chosen) {
    return sr_survivors(ctx, e, SR_SURVIVAL_MU_PLUS_LAMBDA, sr_order_by_rank, members, n_parents,
                        n_children, chosen, n_chosen);
}

const sr_algorithm sr_random = {
    .name = "random",
    .summary = "uniform random candidates",
    .unrelated = true,
    .children = sr_children,
    .propose = propose,
    .survive = survive,
};
