/* The algorithms by name; outside their files sr_algorithm_find() gives them. */
#ifndef SR_SEARCH_ALGORITHMS_H
#define SR_SEARCH_ALGORITHMS_H

#include "search/algorithm.h"

extern const sr_algorithm sr_nsga2, sr_ga, sr_firefly, sr_random;

#endif
