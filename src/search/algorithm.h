/* Search algorithms: told members -> next candidates, and who survives.
 *
 * An algorithm has no state: a generation is a function of the parents, the settings and the seed,
 * so that resuming is nothing but running again. Generation 0 is sampled from the space
 * (sr_first_candidate(), the same for all algorithms), later ones are proposed slot by slot from
 * the current parents; when a generation is evaluated, survive() picks the parents of the next. */
#ifndef SR_SEARCH_ALGORITHM_H
#define SR_SEARCH_ALGORITHM_H

#include "search/pareto.h"
#include "search/space.h"
#include <stdint.h>

/* STAR's words (2 elites and new children) or textbook NSGA-II (best of parents and children). */
typedef enum sr_survival { SR_SURVIVAL_ELITIST = 0, SR_SURVIVAL_MU_PLUS_LAMBDA = 1 } sr_survival;

/* Settings of a search; sr_evolution_defaults() fills the numbers STAR gives. */
typedef struct sr_evolution {
    const sr_space *space;
    int objectives;
    int population;
    int elites; /* 2; of the elitist survival */
    sr_survival survival;
    double mutation_rate; /* 0.1 */
    int tournament;       /* 0: the algorithm's own (NSGA-II 2, GA 3) */
    uint64_t seed;
} sr_evolution;
sr_evolution sr_evolution_defaults(void);

/* One evaluated candidate. `values` are scaled: 0 the best that is expected of an objective, 1 its
 * reference point; +infinity where the trial failed. */
typedef struct sr_member {
    const void *candidate;
    const double *values; /* objectives */
    double violation;     /* of limits: 0 none; +infinity: failed */
} sr_member;

/* How a child came to be. */
typedef struct sr_birth {
    const char *how; /* "sample", "crossover", "mutation", "crossover+mutation", "move"; "copy"
                      * where several tries changed nothing */
    int parent[2];   /* indices into the parents; -1: none */
    int mutations;   /* integers changed by mutation */
    int repairs;     /* integers set right after recombination (sr_draw.repaired) */
} sr_birth;

typedef struct sr_algorithm {
    const char *name, *summary;
    bool unrelated; /* children have no parents */
    /* Candidates that a generation evaluates: the same for every algorithm at equal settings, so
     * that budgets are equal. `generation` from 0. */
    int (*children)(const sr_evolution *e, int generation);
    /* The child of one slot of generation >= 1. `attempt` counts from 0 when earlier children of
     * this slot were refused (seen before, beyond a limit): another attempt, another child.
     * `parents` (n >= 1) are in the order that survive() gave. */
    sartor_status (*propose)(sartor_context *ctx, const sr_evolution *e, const sr_member *parents,
                             int n, int generation, int slot, int attempt, void *child,
                             sr_birth *birth);
    /* The parents of the next generation, best first: indices into `members`, whose first
     * `n_parents` are the parents (0 in generation 0) and whose other `n_children` were just
     * evaluated. `chosen` has room for all; at most e->population are written. */
    sartor_status (*survive)(sartor_context *ctx, const sr_evolution *e, const sr_member *members,
                             int n_parents, int n_children, int *chosen, int *n_chosen);
} sr_algorithm;

/* "nsga2", "ga", "firefly", "random"; NULL for another name (find) or index (get). */
const sr_algorithm *sr_algorithm_find(const char *name);
const sr_algorithm *sr_algorithm_get(int index);

/* A candidate of the first population, and of random search: uniform over the space. */
void sr_first_candidate(const sr_evolution *e, int generation, int slot, int attempt, void *out);
/* The drawing that belongs to one attempt at one slot. */
sr_draw sr_slot_draw(const sr_evolution *e, int generation, int slot, int attempt);

#endif
