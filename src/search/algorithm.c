#include "search/algorithm.h"

#include "search/algorithms.h"
#include <string.h>

static const sr_algorithm *const algorithms[] = {&sr_nsga2, &sr_ga, &sr_firefly, &sr_random};
enum { ALGORITHMS = sizeof algorithms / sizeof *algorithms };

const sr_algorithm *sr_algorithm_get(int index) {
    return index >= 0 && index < ALGORITHMS ? algorithms[index] : NULL;
}

const sr_algorithm *sr_algorithm_find(const char *name) {
    for (int i = 0; i < ALGORITHMS; i++)
        if (strcmp(algorithms[i]->name, name) == 0) return algorithms[i];
    return NULL;
}

/* STAR's numbers (arXiv 2411.17800): population 16, elitism 2, mutation 10 %. */
sr_evolution sr_evolution_defaults(void) {
    return (sr_evolution){
        .population = 16,
        .elites = 2,
        .survival = SR_SURVIVAL_ELITIST,
        .mutation_rate = 0.1,
    };
}

/* A bijection that spreads every bit (the finalizer of Steele et al., "Fast splittable pseudorandom
 * number generators", 2014). */
static uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* Within one search no two (generation, slot, attempt) share a key: the key is one-to-one in
 * generation and slot, the stream is the attempt. */
sr_draw sr_slot_draw(const sr_evolution *e, int generation, int slot, int attempt) {
    uint64_t place = (uint64_t)(uint32_t)generation << 32 | (uint32_t)slot;
    return (sr_draw){{mix(mix(e->seed) ^ place), SR_FOR_GENOME, (uint32_t)attempt}, 0, 0};
}

void sr_first_candidate(const sr_evolution *e, int generation, int slot, int attempt, void *out) {
    sr_draw draw = sr_slot_draw(e, generation, slot, attempt);
    e->space->sample(e->space, &draw, out);
}
