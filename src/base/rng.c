#include "base/rng.h"

#include <math.h>

__extension__ typedef unsigned __int128 sr_u128;

void sr_rng_block(sr_rng rng, uint64_t index, uint32_t out[4]) {
    uint32_t k0 = (uint32_t)rng.seed, k1 = (uint32_t)(rng.seed >> 32);
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = rng.purpose, c3 = rng.stream;
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t sr_rng_u64(sr_rng rng, uint64_t index) {
    uint32_t r[4];
    sr_rng_block(rng, index, r);
    return (uint64_t)r[1] << 32 | r[0];
}

uint64_t sr_rng_below(sr_rng rng, uint64_t index, uint64_t bound) {
    return (uint64_t)(((sr_u128)sr_rng_u64(rng, index) * bound) >> 64);
}

double sr_rng_uniform(sr_rng rng, uint64_t index) {
    return (double)(sr_rng_u64(rng, index) >> 11) * 0x1p-53;
}

double sr_rng_normal(sr_rng rng, uint64_t index) {
    uint32_t r[4];
    sr_rng_block(rng, index, r);
    double u = ((double)r[0] + (double)r[2] * 0x1p-32 + 0x1p-33) * 0x1p-32; /* in (0, 1) */
    double v = (double)r[1] * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}
