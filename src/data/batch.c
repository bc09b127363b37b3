#include "data/batch.h"
#include "base/rng.h"

#include <inttypes.h>

enum { ROUNDS = 6 };

sartor_status sr_batches_init(sartor_context *ctx, const sr_tokens *tokens, uint64_t seed,
                              int32_t context, int32_t rows, int32_t accumulate, sr_batches *out) {
    if (context < 1 || rows < 1 || accumulate < 1)
        return sr_fail(ctx, SARTOR_INVALID, "context, batch and accumulate must be at least 1");
    uint64_t ring = tokens->count - 1, needed = (uint64_t)context * (uint64_t)rows;
    if (ring < needed)
        return sr_fail(ctx, SARTOR_INVALID,
                       "the data is shorter than one batch: it has %" PRIu64
                       " tokens, a batch of %d x %d "
                       "needs %" PRIu64 "; give more text, or a smaller --batch or --context",
                       ring, rows, context, needed);
    *out = (sr_batches){.tokens = tokens,
                        .seed = seed,
                        .context = context,
                        .rows = rows,
                        .accumulate = accumulate,
                        .ring = ring,
                        .windows = ring / (uint64_t)context};
    return SARTOR_OK;
}

/* A permutation of [0, n): a Feistel network on the next power of four, walked along its cycles
 * until it is back in range, which keeps it one to one (Black and Rogaway, "Ciphers with arbitrary
 * finite domains", CT-RSA 2002). Fewer than four steps on average. */
static uint64_t permute(sr_rng rng, uint64_t n, uint64_t k) {
    int half = 1;
    while (half < 32 && (uint64_t)1 << (2 * half) < n) half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = k >> half, right = k & mask;
        for (uint64_t round = 1; round <= ROUNDS; round++) {
            uint64_t next = left ^ (sr_rng_u64(rng, round << 56 | right) & mask);
            left = right;
            right = next;
        }
        k = left << half | right;
    } while (k >= n);
    return k;
}

uint64_t sr_batch_start(const sr_batches *b, uint64_t example) {
    uint64_t epoch = example / b->windows;
    sr_rng rng = {b->seed, SR_FOR_ORDER, (uint32_t)epoch};
    uint64_t offset = sr_rng_below(rng, 0, b->ring);
    uint64_t window = permute(rng, b->windows, example % b->windows);
    return (offset + window * (uint64_t)b->context) % b->ring;
}

/* Position 0 of the ring is token 1: token 0 is the separator before the first document, and the
 * last token, the separator after the last one, takes its place. */
void sr_batch_fill(const sr_batches *b, uint64_t step, int32_t micro, int32_t *ids,
                   int32_t *targets) {
    uint64_t first = (step * (uint64_t)b->accumulate + (uint64_t)micro) * (uint64_t)b->rows;
    for (int32_t row = 0; row < b->rows; row++) {
        uint64_t at = sr_batch_start(b, first + (uint64_t)row);
        int32_t *x = ids + (size_t)row * (size_t)b->context;
        int32_t *y = targets + (size_t)row * (size_t)b->context;
        int32_t token = sr_token(b->tokens, 1 + at);
        for (int32_t i = 0; i < b->context; i++) {
            x[i] = token;
            at = at + 1 < b->ring ? at + 1 : 0;
            token = sr_token(b->tokens, 1 + at);
            y[i] = token;
        }
    }
}

double sr_batches_steps_per_epoch(const sr_batches *b) {
    return (double)b->windows / ((double)b->rows * (double)b->accumulate);
}
