/* Content hashes: XXH3 (xxHash library). Not cryptographic; stable across machines and versions. */
#ifndef SR_BASE_HASH_H
#define SR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct sr_hash {
    uint64_t high, low;
} sr_hash;

/* 128-bit hash of `n` bytes under a key (0 for plain identity). */
sr_hash sr_hash_bytes(const void *data, size_t n, uint64_t key);

enum { SR_HASH_TEXT = 33 }; /* 32 hexadecimal digits and the end */
void sr_hash_text(sr_hash hash, char text[SR_HASH_TEXT]);

#endif
