/* Pareto order: everything is minimised.
 *
 * a dominates b when a is nowhere larger and somewhere smaller; equal vectors do not dominate each
 * other. Values may be +infinity (a failed trial), not NaN. Vectors lie one after another:
 * values[i * m + k] is objective k of point i. */
#ifndef SR_SEARCH_PARETO_H
#define SR_SEARCH_PARETO_H

#include "base/context.h"
#include <stdbool.h>
#include <stddef.h>

enum { SR_MAX_OBJECTIVES = 8 };

bool sr_dominates(const double *a, const double *b, int m);

/* Which of n points no other dominates. Time n log^(m-2) n or better for practical m: 50,000 points
 * of up to 4 objectives take well under half a second even when all of them are in the front. */
sartor_status sr_pareto_front(sartor_context *ctx, const double *values, size_t n, int m,
                              bool *in_front);

/* Fast non-dominated sorting with constraint domination (Deb et al., "A fast and elitist
 * multiobjective genetic algorithm: NSGA-II", 2002): feasible before infeasible, smaller violation
 * before larger, else Pareto. `violation`: 0 feasible, > 0 not, NULL: all feasible. rank[i] from 0.
 * For populations (up to thousands). */
sartor_status sr_nondominated_sort(sartor_context *ctx, const double *values,
                                   const double *violation, size_t n, int m, int *rank);

/* Crowding distance (the same paper) of the `count` points `index` names, which form one front:
 * distance[k] belongs to index[k]. Infinite at the ends; an objective that is equal or infinite
 * over the front adds nothing. Ties are broken by index: the result does not depend on the sort. */
sartor_status sr_crowding(sartor_context *ctx, const double *values, int m, const int *index,
                          size_t count, double *distance);

/* The volume that the points dominate below `reference`; points that are not below it in every
 * objective add nothing. Exact for every m; meant for m <= 4 and fronts of thousands (m = 2, 3:
 * n log n; m = 4: n^2), beyond that for fronts of a hundred. */
sartor_status sr_hypervolume(sartor_context *ctx, const double *values, size_t n, int m,
                             const double *reference, double *volume);

#endif
