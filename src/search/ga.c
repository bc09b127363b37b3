/* A plain genetic algorithm: the fitness of a member is the mean of its scaled objectives (equal
 * weights), feasible before infeasible, smaller violation before larger. Tournaments of 3;
 * crossover, mutation and both survivals as for NSGA-II. */
#include "search/algorithms.h"
#include "search/breeding.h"

#include "base/memory.h"
#include <stdlib.h>

static sartor_status propose(sartor_context *ctx, const sr_evolution *e, const sr_member *parents,
                             int n, int generation, int slot, int attempt, void *child,
                             sr_birth *birth) {
    (void)ctx;
    sr_draw draw = sr_slot_draw(e, generation, slot, attempt);
    if (n < 1)
        sr_propose_sample(e, generation, slot, attempt, child, birth);
    else
        sr_breed(e, parents, n, 3, &draw, child, birth);
    return SARTOR_OK;
}

typedef struct fitness_key {
    double violation, fitness;
    int index;
} fitness_key;

static int by_fitness(const void *pa, const void *pb) {
    const fitness_key *a = pa, *b = pb;
    if (a->violation != b->violation) return a->violation < b->violation ? -1 : 1;
    if (a->fitness != b->fitness) return a->fitness < b->fitness ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static sartor_status order_by_fitness(sartor_context *ctx, const sr_evolution *e,
                                      const sr_member *members, int *index, int count) {
    void *memory = NULL;
    SR_TRY(sr_alloc(ctx, (size_t)count, sizeof(fitness_key), "fitness", &memory));
    fitness_key *keys = memory;
    for (int i = 0; i < count; i++) {
        const sr_member *member = &members[index[i]];
        keys[i] = (fitness_key){member->violation, 0, index[i]};
        for (int k = 0; k < e->objectives; k++)
            keys[i].fitness += member->values[k] / e->objectives;
    }
    qsort(keys, (size_t)count, sizeof *keys, by_fitness);
    for (int i = 0; i < count; i++) index[i] = keys[i].index;
    free(memory);
    return SARTOR_OK;
}

static sartor_status survive(sartor_context *ctx, const sr_evolution *e, const sr_member *members,
                             int n_parents, int n_children, int *chosen, int *n_chosen) {
    return sr_survivors(ctx, e, e->survival, order_by_fitness, members, n_parents, n_children,
                        chosen, n_chosen);
}

const sr_algorithm sr_ga = {
    .name = "ga",
    .summary = "genetic algorithm on the mean of the scaled objectives",
    .children = sr_children,
    .propose = propose,
    .survive = survive,
};
