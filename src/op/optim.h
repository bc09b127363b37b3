/* Optimiser arithmetic over flat f32 ranges: what is done once per training step to every
 * parameter.
 *
 * Not operators: they have no gradient and no shape. The functions pick the kernels of this machine
 * (sr_isa_active) and use up to `threads` threads; ranges need no alignment. Results do not depend
 * on the number of threads. */
#ifndef SR_OP_OPTIM_H
#define SR_OP_OPTIM_H

#include <stdint.h>

/* One AdamW step (Loshchilov & Hutter 2019, algorithm 2, with bias correction). */
typedef struct sr_adamw_rule {
    double rate; /* learning rate of this step, schedule included */
    double beta1, beta2, epsilon;
    double weight_decay;   /* decoupled: p -= rate * weight_decay * p */
    double gradient_scale; /* multiplies every gradient first (clipping, averaging); usually 1 */
    int64_t step;          /* counts from 1 */
} sr_adamw_rule;

/* Updates n parameters and their moments m and v (both zero before step 1). The updated parameters
 * are also written to `copy` as bf16 unless it is NULL. */
void sr_adamw(const sr_adamw_rule *rule, int64_t n, float *param, const float *gradient, float *m,
              float *v, uint16_t *copy, int threads);

/* Sum of squares, accumulated in double: NaN and infinity in x show in the result. */
double sr_sum_squares(const float *x, int64_t n, int threads);

/* out[i] = bf16(x[i]), round to nearest, ties to even; NaN stays NaN. */
void sr_to_bf16(const float *x, uint16_t *out, int64_t n, int threads);

#endif
