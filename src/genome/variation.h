/* Making genomes from nothing and from other genomes (STAR, arXiv 2411.17800, section on
 * evolution): uniform sampling, two-point crossover at LIV boundaries, mutation per integer.
 * Results are repaired and canonical. Labels are drawn from 1..max(1, livs / 2). */
#ifndef SR_GENOME_VARIATION_H
#define SR_GENOME_VARIATION_H

#include "base/rng.h"
#include "genome/genome.h"

/* Numbers are drawn from `rng` at *next, which moves on. The pool must not be empty, and livs is
 * 1..SR_MAX_LIVS. */
void sr_genome_sample(const sr_pool *pool, int livs, sr_rng rng, uint64_t *next, sr_genome *out);

/* The child has a's LIVs outside two cut points and b's between them; both parents have the same
 * length >= 1. With length 1 it is one of the two. *repaired grows by the integers that repair set
 * back, because what a LIV shared with stayed behind. */
void sr_genome_cross(const sr_genome *a, const sr_genome *b, const sr_pool *pool, sr_rng rng,
                     uint64_t *next, sr_genome *child, int *repaired);

/* Each integer is drawn anew with probability `rate`, uniformly over its legal values; a new class
 * draws the other four of its LIV anew. It acts not on the canonical form but on a random spelling
 * of the same genome, in which LIVs that share nothing have labels and strategies of their own: so
 * that one change can make a pair, and long mutation without selection has the sharing of sampled
 * genomes (2.6 % of 12 LIVs share weights and 6.4 % features; mutating the canonical form would
 * leave a fifth of that). Returns how many integers of the canonical genome changed. */
int sr_genome_mutate(sr_genome *genome, const sr_pool *pool, double rate, sr_rng rng,
                     uint64_t *next);

/* The share of LIVs at which two genomes of one length differ in class or in what they share. */
double sr_genome_distance(const sr_genome *a, const sr_genome *b);

#endif
