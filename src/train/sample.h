/* Choosing the next token from logits. */
#ifndef SR_TRAIN_SAMPLE_H
#define SR_TRAIN_SAMPLE_H

#include "base/context.h"
#include <stdint.h>

typedef struct sr_sampler {
    int64_t vocab;
    double temperature; /* 0: the most likely token, the first of equals */
    int64_t top_k;      /* of the most likely tokens only; 0: all */
    double top_p;       /* of the fewest tokens that together reach it; 1: all */
    uint64_t seed;
    struct sr_candidate *candidate; /* room for vocab; sr_sampler_free() */
} sr_sampler;

/* Fills in the room; the other fields are set by the caller. */
sartor_status sr_sampler_init(sartor_context *ctx, sr_sampler *sampler);
void sr_sampler_free(sr_sampler *sampler);

/* The token for `position`; the same logits, settings, seed and position give the same token.
 * top_p counts what top_k left. SARTOR_NOT_FINITE when no logit is a number. */
sartor_status sr_sample(sartor_context *ctx, sr_sampler *sampler, const float *logits,
                        uint64_t position, int32_t *token);

#endif
