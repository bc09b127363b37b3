/* Trials as an algorithm sees them: candidates with scaled values. */
#ifndef SR_SEARCH_POPULATION_H
#define SR_SEARCH_POPULATION_H

#include "search/search.h"

typedef struct sr_population {
    int n, room;
    int objectives;
    bool values_only; /* set before adding: genomes are not read (NULL below) */
    int64_t *trial;
    bool *failed;
    double *values; /* n x SR_OBJECTIVE_COUNT, raw; NaN: not known */
    double *raw;    /* n x objectives, raw; +infinity where the trial failed */
    double *scaled; /* n x objectives; likewise */
    double *violation;
    sr_genome *genome;
    sr_member *member; /* views of the above, for algorithms; see sr_population_members() */
} sr_population;

/* Adds one trial with its stored values. */
sartor_status sr_population_add(sartor_context *ctx, sr_study *study, const sr_search *search,
                                sr_population *p, int64_t trial, const char *state,
                                const char *genome);
/* Members n of them, valid until the population changes. */
const sr_member *sr_population_members(sr_population *p);
void sr_population_free(sr_population *p);

/* The parents that generation `generation` + 1 is made from, best first. */
sartor_status sr_population_parents(sartor_context *ctx, sr_study *study, const sr_search *search,
                                    int generation, sr_population *p);
/* All trials of one generation in order of slot. */
sartor_status sr_population_generation(sartor_context *ctx, sr_study *study,
                                       const sr_search *search, int generation, sr_population *p);
/* The trials of a JSON array of ids. */
sartor_status sr_population_ids(sartor_context *ctx, sr_study *study, const sr_search *search,
                                const char *ids, sr_population *p);

/* Which members are feasible, done, and dominated by no other: `in_front` has n entries. */
sartor_status sr_population_front(sartor_context *ctx, const sr_population *p, bool *in_front);
/* Of the members that `in_front` names, below the reference point. */
sartor_status sr_population_hypervolume(sartor_context *ctx, const sr_population *p,
                                        const bool *in_front, double *volume);

#endif
