/* What an architecture costs, before anything is trained: read off the same schema, operators and
 * decode state that run. */
#ifndef SR_MODEL_COST_H
#define SR_MODEL_COST_H

#include "model/model.h"

typedef struct sr_cost {
    int64_t backbone, embedding; /* trained parameters; shared ones once */
    int64_t cache_bytes;         /* decode state at the context, f16 caches, batch 1 */
    double flops_per_token;      /* forward, mean over a full context, unembedding included */
} sr_cost;

sartor_status sr_model_cost(sartor_context *ctx, sr_model *model, sr_cost *cost);

/* Bytes that a training run of this shape allocates: weights, gradients, moments, the bf16 copy and
 * the arena of one graph. */
sartor_status sr_model_train_bytes(sartor_context *ctx, sr_model *model, int64_t batch,
                                   int64_t length, sr_numbers numbers, int threads, int64_t *bytes);

#endif
