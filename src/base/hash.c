#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

sr_hash sr_hash_bytes(const void *data, size_t n, uint64_t key) {
    XXH128_hash_t h = XXH3_128bits_withSeed(data, n, key);
    return (sr_hash){h.high64, h.low64};
}

void sr_hash_text(sr_hash hash, char text[SR_HASH_TEXT]) {
    snprintf(text, SR_HASH_TEXT, "%016" PRIx64 "%016" PRIx64, hash.high, hash.low);
}
