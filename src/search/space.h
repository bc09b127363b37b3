/* A search space: what a candidate is and how new ones come from old ones.
 *
 * Algorithms see candidates only through this table; STAR's backbones (search/star.h) are one
 * space, the real vectors of the tests another. Candidates are plain bytes without pointers:
 * copied by memcpy. Every function is pure: the same arguments and the same drawing give the same
 * result. */
#ifndef SR_SEARCH_SPACE_H
#define SR_SEARCH_SPACE_H

#include "base/context.h"
#include "base/hash.h"
#include "base/rng.h"
#include <stddef.h>

/* A sequence of random numbers, drawn one after another from a stream of its own. */
typedef struct sr_draw {
    sr_rng rng;
    uint64_t next;
    int repaired; /* what recombination had to set right on the way: told, not used */
} sr_draw;

static inline uint64_t sr_draw_below(sr_draw *draw, uint64_t bound) {
    return sr_rng_below(draw->rng, draw->next++, bound);
}
static inline double sr_draw_uniform(sr_draw *draw) {
    return sr_rng_uniform(draw->rng, draw->next++);
}

typedef struct sr_space sr_space;
struct sr_space {
    const char *name;
    size_t bytes;     /* of a candidate */
    const void *user; /* the space's own data */

    /* Uniform over the space. */
    void (*sample)(const sr_space *space, sr_draw *draw, void *out);
    /* One child of two parents; `child` overlaps neither. */
    void (*cross)(const sr_space *space, sr_draw *draw, const void *a, const void *b, void *child);
    /* Changes each integer (or number) with probability `rate`. Returns how many came out
     * different; the result is valid. */
    int (*mutate)(const sr_space *space, sr_draw *draw, double rate, void *candidate);
    /* The firefly move: each part of `candidate` that differs takes the target's with probability
     * `attraction`. */
    void (*approach)(const sr_space *space, sr_draw *draw, double attraction, const void *target,
                     void *candidate);
    /* 0 (equal) to 1 (every part differs). */
    double (*distance)(const sr_space *space, const void *a, const void *b);

    /* Text and back; print: release with free(), NULL when memory is exhausted. */
    sartor_status (*parse)(sartor_context *ctx, const sr_space *space, const char *text, void *out);
    char *(*print)(const sr_space *space, const void *candidate);
    /* Equal for two spellings of one thing, different otherwise. */
    void (*identity)(const sr_space *space, const void *candidate, char id[SR_HASH_TEXT]);
};

#endif
