/* The life of a generation: proposed, evaluated, ended.
 *
 * What holds: a generation is a function of the rows before it, the settings and the seed. It is
 * computed outside any transaction and stored in one, which first makes sure that no other worker
 * has stored it meanwhile; both would have stored the same. */
#ifndef SR_SEARCH_GENERATION_H
#define SR_SEARCH_GENERATION_H

#include "search/population.h"

/* Proposes the candidates of a generation and stores them, with a job for each where they are
 * trained (propose.c). None that is new: the space is exhausted, SR_FACT_EXHAUSTED. */
sartor_status sr_generation_start(sartor_context *ctx, sr_study *study, const sr_search *search,
                                  int generation);
/* When all trials are done or failed: the front so far, its hypervolume, and the parents of the
 * next generation (survive.c). SARTOR_INVALID when every trial failed. */
sartor_status sr_generation_end(sartor_context *ctx, sr_study *study, const sr_search *search,
                                int generation);

/* The largest number of a generation, by a query for it; -1: there is none. */
sartor_status sr_generation_latest(sartor_context *ctx, sr_study *study, const char *sql,
                                   int *number);
#define SR_LATEST_STARTED "SELECT max(generation) FROM trial"
#define SR_LATEST_ENDED   "SELECT max(number) FROM generation"

/* Runs `inside` in a transaction of its own. */
sartor_status sr_in_transaction(sartor_context *ctx, sr_study *study,
                                sartor_status (*inside)(void *), void *user);

#endif
