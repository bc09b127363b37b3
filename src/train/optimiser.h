/* AdamW over the flat buffers of a model: which ranges follow which rule.
 *
 * Neighbouring tensors with the same rule are one range; stored constants are in none. */
#ifndef SR_TRAIN_OPTIMISER_H
#define SR_TRAIN_OPTIMISER_H

#include "base/context.h"
#include "op/optim.h"
#include "tensor/schema.h"

#define SR_ADAM_BETA1   0.9
#define SR_ADAM_BETA2   0.95
#define SR_ADAM_EPSILON 1e-8

typedef struct sr_flat_range {
    int64_t first, count; /* elements of the flat buffers */
    bool decay;
} sr_flat_range;

typedef struct sr_optimiser {
    sr_flat_range *range;
    int ranges;
} sr_optimiser;

sartor_status sr_optimiser_init(sartor_context *ctx, const sr_schema *schema,
                                sr_optimiser *optimiser);
void sr_optimiser_free(sr_optimiser *optimiser);

/* 2-norm of the gradients of all that is trained; not finite when one of them is not. `ages`: of
 * the entries of the flat buffers; NULL where all are as old as the run. */
double sr_optimiser_norm(const sr_optimiser *optimiser, const float *gradients, const sr_ages *ages,
                         int threads);

/* One update. */
typedef struct sr_update {
    int64_t step; /* counts from 1 */
    double rate, weight_decay;
    double gradient_scale; /* multiplies every gradient first */
    int threads;
    double beta1, beta2; /* 0: SR_ADAM_BETA1, SR_ADAM_BETA2 */
    bool decay_all;      /* every trained parameter decays, gains and biases too */
    const sr_ages *ages; /* as above: their rates and steps replace `rate` and `step` */
} sr_update;

/* `rounded`: the bf16 copy of the parameters, brought up to date in the same pass; NULL: none. */
void sr_optimiser_step(const sr_optimiser *optimiser, const sr_update *update, float *params,
                       const float *gradients, float *m, float *v, uint16_t *rounded);

#endif
