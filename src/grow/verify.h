/* Whether two models compute the same: logits on random tokens. */
#ifndef SR_GROW_VERIFY_H
#define SR_GROW_VERIFY_H

#include "model/model.h"

typedef struct sr_logit_difference {
    double worst;   /* largest absolute difference of a logit; NaN where one is not finite */
    double largest; /* largest absolute logit of the first model */
} sr_logit_difference;

/* A product over another inner length may round otherwise: what f32 kernels are allowed. */
static inline double sr_logit_tolerance(const sr_logit_difference *d) {
    return 1e-5 * (1 + d->largest);
}

/* Both models have weights and one vocabulary; `tokens` random tokens (at most the context), f32.
 */
sartor_status sr_compare_logits(sartor_context *ctx, sr_model *a, sr_model *b, int64_t tokens,
                                uint64_t seed, int threads, sr_logit_difference *difference);

#endif
