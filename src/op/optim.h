/* Optimiser arithmetic over flat f32 ranges: what is done once per training step to every
 * parameter.
 *
 * Not operators: they have no gradient and no shape. The functions pick the kernels of this machine
 * (sr_isa_active) and use up to `threads` threads; ranges need no alignment. Results do not depend
 * on the number of threads. */
#ifndef SR_OP_OPTIM_H
#define SR_OP_OPTIM_H

#include <stdbool.h>
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

/* Parameters that were born at different times (a model that grew while it was trained) count steps
 * of their own: with the others' count, bias correction would be off and their first updates could
 * be several learning rates. */
typedef struct sr_age {
    double rate;  /* instead of the rule's */
    int64_t step; /* likewise; counts from 1 */
    bool frozen;  /* parameters and moments stay bit for bit as they are */
} sr_age;

/* Parameter i is of the age age[generation[i]]; what is of no age, from `count` on, is frozen. */
typedef struct sr_ages {
    const uint8_t *generation;
    const sr_age *age;
    int count; /* 1..256 */
} sr_ages;

/* sr_adamw() where ages differ. A parameter's new bits are those that sr_adamw() gives with its
 * rate and step, whatever the ages around it. */
void sr_adamw_aged(const sr_adamw_rule *rule, const sr_ages *ages, int64_t n, float *param,
                   const float *gradient, float *m, float *v, uint16_t *copy, int threads);

/* Sum of squares, accumulated in double: NaN and infinity in x show in the result. */
double sr_sum_squares(const float *x, int64_t n, int threads);
/* Over what is not frozen; the rest of x may be anything. */
double sr_sum_squares_aged(const float *x, const sr_ages *ages, int64_t n, int threads);

/* out[i] = bf16(x[i]), round to nearest, ties to even; NaN stays NaN. */
void sr_to_bf16(const float *x, uint16_t *out, int64_t n, int threads);

#endif
