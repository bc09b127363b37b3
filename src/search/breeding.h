/* What the algorithms share: breeding by tournament, crossover and mutation; survival in both modes
 * for any order of the members. Only for the files of the algorithms. */
#ifndef SR_SEARCH_BREEDING_H
#define SR_SEARCH_BREEDING_H

#include "search/algorithm.h"

/* The population; where survival is elitist, from generation 1 on without the elites, but at least
 * one. */
int sr_children(const sr_evolution *e, int generation);

/* The birth and the candidate of random search, and of every algorithm without parents. */
void sr_propose_sample(const sr_evolution *e, int generation, int slot, int attempt, void *child,
                       sr_birth *birth);

/* Two winners of tournaments of `size` (different ones if there are two parents), crossover,
 * mutation. The parents' order is their rank: of those drawn, the first wins. */
void sr_breed(const sr_evolution *e, const sr_member *parents, int n, int size, sr_draw *draw,
              void *child, sr_birth *birth);

/* Mutates once; while nothing has changed and `again`, a few times more. Returns how many integers
 * changed. */
int sr_mutate(const sr_evolution *e, sr_draw *draw, bool again, void *candidate);

bool sr_same_candidate(const sr_space *space, const void *a, const void *b);

/* Puts `count` indices of members in order, the best first; ties by index. */
typedef sartor_status (*sr_member_order)(sartor_context *ctx, const sr_evolution *e,
                                         const sr_member *members, int *index, int count);
/* Rank (constraint domination), then crowding. */
sartor_status sr_order_by_rank(sartor_context *ctx, const sr_evolution *e, const sr_member *members,
                               int *index, int count);

/* sr_algorithm.survive for an order and a mode. Elitist: the best `elites` of the parents and all
 * children; the place of a child that failed goes to the next parent. Failed members are left out
 * unless there are no others. */
sartor_status sr_survivors(sartor_context *ctx, const sr_evolution *e, sr_survival survival,
                           sr_member_order order, const sr_member *members, int n_parents,
                           int n_children, int *chosen, int *n_chosen);

#endif
