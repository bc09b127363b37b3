/* STAR's space: backbones of a fixed number of LIVs over a pool of classes (arXiv 2411.17800).
 * A candidate is an sr_genome, always valid and canonical. */
#ifndef SR_SEARCH_STAR_H
#define SR_SEARCH_STAR_H

#include "genome/genome.h"
#include "search/space.h"

typedef struct sr_star {
    sr_pool pool;
    int livs;
    char sizes[256]; /* sr_sizes_print(): part of a candidate's identity */
} sr_star;

/* `star` outlives the space. identity is sr_arch_id(). */
sr_space sr_star_space(const sr_star *star);

#endif
