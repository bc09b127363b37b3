/* Members with their candidates and values, and whole searches over them without a study: for the
 * tests of search algorithms. */
#ifndef HERD_H
#define HERD_H

#include "real_space.h"
#include "search/algorithm.h"

enum { HERD_MOST = 256, HERD_OBJECTIVES = 3 };

typedef struct herd {
    sr_member member[HERD_MOST];
    real_vector candidate[HERD_MOST]; /* the largest candidate there is */
    double values[HERD_MOST][HERD_OBJECTIVES];
    int n;
} herd;

/* Where the candidate of the next member goes; herd_add() evaluates it. */
void *herd_place(herd *h);
void herd_add(herd *h, problem_fn problem);

/* Runs a whole search; `h` ends as its last parents. Returns how many candidates were evaluated.
 * These fail the test that runs when an algorithm fails. */
int herd_evolve(sartor_context *ctx, const sr_algorithm *a, const sr_evolution *e,
                problem_fn problem, int generations, herd *h);
/* Below 1.1 in every objective. */
double herd_volume(sartor_context *ctx, const herd *h, int m);

#endif
