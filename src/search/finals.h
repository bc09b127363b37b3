/* Finals as rows: which jobs they are, and where the study says who is in. */
#ifndef SR_SEARCH_FINALS_H
#define SR_SEARCH_FINALS_H

#include "search/search.h"

/* {"tokens": int, "seeds": int, "members": [{"trial", "id", "genome", "baseline"}]} */
#define SR_FACT_FINALS "finals"

enum { SR_MOST_SEEDS = 64, SR_FINAL_NAME = 120 };

/* The seed of run 0, 1 ... of an architecture. */
int64_t sr_final_seed(const sr_search *search, int run);
/* Names of the jobs that train and that measure. */
void sr_final_name(char name[SR_FINAL_NAME], const char *arch, int64_t tokens, int64_t seed);
void sr_final_measure_name(char name[SR_FINAL_NAME], const char *arch, int64_t tokens);

#endif
