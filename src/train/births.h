/* Growth in the middle of training: entries of the flat buffers that were born later than others.
 *
 * Every entry is of a generation, one byte: 0 were there from the start, k came with the k-th
 * growth, or birth. A generation counts steps of its own from its birth, so that Adam's bias
 * correction fits its moments, which start at zero: a gradient that stays moves a new entry by one
 * learning rate, where the run's own count would let it jump by up to 6.6 of them (beta2 = 0.999).
 */
#ifndef SR_TRAIN_BIRTHS_H
#define SR_TRAIN_BIRTHS_H

#include "base/context.h"
#include "op/optim.h"

enum { SR_MAX_GROWTHS = 64 };

/* What was born in one growth. */
typedef struct sr_generation {
    int64_t step;       /* updates done before */
    double rate_factor; /* of the schedule's rate, as long as the run lasts */
    int64_t warmup;     /* own steps in which the rate rises to that; 0: at once */
    bool freeze_old;    /* until the next birth, older generations are not trained */
} sr_generation;

/* At step 0, with the schedule's rate after 200 own steps, beside the older generations. */
sr_generation sr_generation_defaults(void);
/* The same with what is given of it: a negative number leaves the default. */
sr_generation sr_generation_with(double rate_factor, int64_t warmup, bool freeze_old);

/* In order; birth[k - 1] is that of generation k. */
typedef struct sr_births {
    int count;
    sr_generation birth[SR_MAX_GROWTHS];
} sr_births;

/* SARTOR_INVALID, and nothing added, when there were SR_MAX_GROWTHS, the step lies before that of
 * the birth before, the factor is no number of at least 0 or the warm-up is negative. */
sartor_status sr_births_add(sartor_context *ctx, sr_births *births, const sr_generation *born);

/* How each generation, births->count + 1 of them, is updated after `step` updates: the rate is
 * `rate` * rate_factor * min(1, (own steps done + 1) / warmup). */
void sr_births_ages(const sr_births *births, int64_t step, double rate,
                    sr_age age[SR_MAX_GROWTHS + 1]);

#endif
