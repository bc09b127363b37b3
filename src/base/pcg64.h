/* Random numbers as NumPy 1.24 draws them, for data that others have published with its seeds: the
 * stream of numpy.random.default_rng(), which is PCG XSL RR 128/64 (O'Neill, "PCG: A Family of
 * Simple Fast Space-Efficient Statistically Good Algorithms for Random Number Generation", 2014)
 * started by a seed sequence (O'Neill, "Developing a seed_seq Alternative", 2015).
 *
 * The numbers depend on the order of the calls. Everything that is not to match NumPy draws from
 * base/rng.h. */
#ifndef SR_BASE_PCG64_H
#define SR_BASE_PCG64_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 sr_uint128;

typedef struct sr_pcg64 {
    sr_uint128 state, increment;
    uint32_t spare; /* the high half of the last number of which sr_pcg64_u32() gave the low one */
    bool has_spare;
} sr_pcg64;

/* default_rng(entropy[0]) with count 1, default_rng([entropy[0], entropy[1]]) with 2. */
enum { SR_PCG64_MOST_ENTROPY = 2 };
void sr_pcg64_seed(sr_pcg64 *rng, const uint64_t *entropy, int count);

/* bit_generator.random_raw(); leaves a spare half alone. */
uint64_t sr_pcg64_u64(sr_pcg64 *rng);
uint32_t sr_pcg64_u32(sr_pcg64 *rng);

/* random(): uniform in [0, 1) with 53 bits. */
double sr_pcg64_uniform(sr_pcg64 *rng);

/* integers(0, most, endpoint=True) of 64 bits: uniform in 0..most by Lemire's method ("Fast Random
 * Integer Generation in an Interval", ACM TOMACS 29, 2019), on halves where `most` fits into one. A
 * `most` of 0 draws nothing. */
uint64_t sr_pcg64_up_to(sr_pcg64 *rng, uint64_t most);

/* choice(n), and the place of what choice() picks from n things with replacement; n >= 1. */
static inline int64_t sr_pcg64_choice(sr_pcg64 *rng, int64_t n) {
    return (int64_t)sr_pcg64_up_to(rng, (uint64_t)n - 1);
}

/* shuffle() of a list or of an array's first axis: Fisher and Yates from the end; each place by
 * masking off bits and drawing again what is too large. permutation() shuffles a copy. */
void sr_pcg64_shuffle(sr_pcg64 *rng, int32_t *items, int32_t n);

#endif
