/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011).
 *
 * A number is a pure function of (seed, purpose, index): nothing depends on the order in which
 * numbers are drawn, so resuming, threading and skipping need no stored state. */
#ifndef SR_BASE_RNG_H
#define SR_BASE_RNG_H

#include <stdint.h>

/* What a number is for: streams of different purposes are independent. Append only. */
typedef enum sr_purpose {
    SR_FOR_INIT = 1,     /* initial weights; index = parameter hash and element */
    SR_FOR_ORDER = 2,    /* order of training windows */
    SR_FOR_SAMPLING = 3, /* generated tokens; index = position */
    SR_FOR_GENOME = 4,   /* repair, mutation, crossover */
    SR_FOR_TEST = 5,
    SR_FOR_BOOTSTRAP = 6, /* stream = curve, index = resample and point */
    SR_FOR_VERIFY = 7,    /* tokens that two models are compared on */
    SR_FOR_GROWTH = 8     /* seeds of what growth leaves free */
} sr_purpose;

typedef struct sr_rng {
    uint64_t seed;
    uint32_t purpose; /* sr_purpose */
    uint32_t stream;  /* a second key, 0 where one stream is enough */
} sr_rng;

/* Four independent 32-bit numbers for one index. */
void sr_rng_block(sr_rng rng, uint64_t index, uint32_t out[4]);

uint64_t sr_rng_u64(sr_rng rng, uint64_t index);
/* Uniform in [0, bound), bound >= 1; bias below 2^-64 * bound. */
uint64_t sr_rng_below(sr_rng rng, uint64_t index, uint64_t bound);
/* Uniform in [0, 1) with 53 bits. */
double sr_rng_uniform(sr_rng rng, uint64_t index);
/* Standard normal (Box-Muller). */
double sr_rng_normal(sr_rng rng, uint64_t index);

#endif
