#include "base/pcg64.h"

enum { POOL = 4 };

/* The seed sequence: 32-bit entropy is hashed into a pool of four words that all depend on all of
 * it, and the pool is hashed again into as many words as wanted. */
static uint32_t hashed(uint32_t value, uint32_t *factor, uint32_t next) {
    value ^= *factor;
    *factor *= next;
    value *= *factor;
    return value ^ value >> 16;
}

static void fill_pool(const uint32_t *words, int count, uint32_t pool[POOL]) {
    const uint32_t next = 0x931e8875;
    uint32_t factor = 0x43b0d7e5;
    for (int i = 0; i < POOL; i++) pool[i] = hashed(i < count ? words[i] : 0, &factor, next);
    for (int from = 0; from < POOL; from++)
        for (int to = 0; to < POOL; to++) {
            if (to == from) continue;
            uint32_t mixed = 0xca01f9dd * pool[to] - 0x4973f715 * hashed(pool[from], &factor, next);
            pool[to] = mixed ^ mixed >> 16;
        }
}

static uint64_t from_pool(const uint32_t pool[POOL], int *at, uint32_t *factor) {
    uint64_t halves[2];
    for (int i = 0; i < 2; i++) halves[i] = hashed(pool[(*at)++ % POOL], factor, 0x58f38ded);
    return halves[1] << 32 | halves[0];
}

static inline void step(sr_pcg64 *rng) {
    const sr_uint128 multiplier = (sr_uint128)0x2360ed051fc65da4u << 64 | 0x4385df649fccf645u;
    rng->state = rng->state * multiplier + rng->increment;
}

void sr_pcg64_seed(sr_pcg64 *rng, const uint64_t *entropy, int count) {
    uint32_t words[2 * SR_PCG64_MOST_ENTROPY], pool[POOL];
    int n = 0;
    for (int i = 0; i < count; i++) { /* a small number is one word */
        words[n++] = (uint32_t)entropy[i];
        if (entropy[i] >> 32 != 0) words[n++] = (uint32_t)(entropy[i] >> 32);
    }
    fill_pool(words, n, pool);
    uint64_t out[4];
    uint32_t factor = 0x8b51f9dd;
    for (int i = 0, at = 0; i < 4; i++) out[i] = from_pool(pool, &at, &factor);
    *rng = (sr_pcg64){0};
    rng->increment = ((sr_uint128)out[2] << 64 | out[3]) << 1 | 1;
    step(rng);
    rng->state += (sr_uint128)out[0] << 64 | out[1];
    step(rng);
}

/* Inlined below: a call for every number would take longer than the number. */
static inline uint64_t next_64(sr_pcg64 *rng) {
    step(rng);
    uint64_t folded = (uint64_t)(rng->state >> 64) ^ (uint64_t)rng->state;
    unsigned turn = (unsigned)(rng->state >> 122);
    return folded >> turn | folded << (-turn & 63);
}

static inline uint32_t next_32(sr_pcg64 *rng) {
    if (rng->has_spare) {
        rng->has_spare = false;
        return rng->spare;
    }
    uint64_t x = next_64(rng);
    rng->spare = (uint32_t)(x >> 32);
    rng->has_spare = true;
    return (uint32_t)x;
}

uint64_t sr_pcg64_u64(sr_pcg64 *rng) { return next_64(rng); }

uint32_t sr_pcg64_u32(sr_pcg64 *rng) { return next_32(rng); }

double sr_pcg64_uniform(sr_pcg64 *rng) { return (double)(next_64(rng) >> 11) * 0x1p-53; }

/* Lemire's method: the high word of x * (most + 1) is uniform once the products whose low word is
 * below 2^bits mod (most + 1) are drawn again. */
static uint64_t up_to_32(sr_pcg64 *rng, uint32_t most) {
    uint64_t n = (uint64_t)most + 1, product = next_32(rng) * n;
    if ((uint32_t)product < n) {
        uint64_t refused = (UINT32_MAX - most) % n;
        while ((uint32_t)product < refused) product = next_32(rng) * n;
    }
    return product >> 32;
}

static uint64_t up_to_64(sr_pcg64 *rng, uint64_t most) {
    sr_uint128 n = (sr_uint128)most + 1, product = next_64(rng) * n;
    if ((uint64_t)product < n) {
        uint64_t refused = (uint64_t)((UINT64_MAX - most) % n);
        while ((uint64_t)product < refused) product = next_64(rng) * n;
    }
    return (uint64_t)(product >> 64);
}

uint64_t sr_pcg64_up_to(sr_pcg64 *rng, uint64_t most) {
    if (most == 0) return 0;
    return most <= UINT32_MAX ? up_to_32(rng, (uint32_t)most) : up_to_64(rng, most);
}

/* From the end, each item changes places with one that is not behind it. A place that is too large
 * is drawn again; that is a swap of the item with itself, because a branch on chance would cost
 * more. */
void sr_pcg64_shuffle(sr_pcg64 *rng, int32_t *items, int32_t n) {
    sr_pcg64 r = *rng;
    uint32_t i = n > 0 ? (uint32_t)n - 1 : 0;
    while (i > 0) {
        uint32_t mask = UINT32_MAX >> __builtin_clz(i);
        while (i > mask >> 1) {
            uint32_t drawn = next_32(&r) & mask, good = drawn <= i, at = good ? drawn : i;
            int32_t item = items[i];
            items[i] = items[at];
            items[at] = item;
            i -= good;
        }
    }
    *rng = r;
}
