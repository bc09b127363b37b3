#include "train/optimiser.h"

#include "base/memory.h"
#include <math.h>
#include <stdlib.h>

sartor_status sr_optimiser_init(sartor_context *ctx, const sr_schema *schema, sr_optimiser *o) {
    o->ranges = 0;
    SR_TRY(sr_alloc(ctx, (size_t)schema->count, sizeof *o->range, "the optimiser",
                    (void **)&o->range));
    for (int i = 0; i < schema->count; i++) {
        const sr_param *p = &schema->param[i];
        if (!p->trained) continue;
        sr_flat_range *last = o->ranges > 0 ? &o->range[o->ranges - 1] : NULL;
        if (last != NULL && last->decay == p->decay && last->first + last->count == p->offset)
            last->count += p->rows * p->cols;
        else
            o->range[o->ranges++] = (sr_flat_range){p->offset, p->rows * p->cols, p->decay};
    }
    return SARTOR_OK;
}

void sr_optimiser_free(sr_optimiser *o) {
    free(o->range);
    *o = (sr_optimiser){NULL, 0};
}

/* The ages of a range. */
static sr_ages ages_of(const sr_ages *all, const sr_flat_range *r) {
    return (sr_ages){all->generation + r->first, all->age, all->count};
}

static bool any_frozen(const sr_ages *ages) {
    for (int k = 0; k < ages->count; k++)
        if (ages->age[k].frozen) return true;
    return false;
}

double sr_optimiser_norm(const sr_optimiser *o, const float *gradients, const sr_ages *ages,
                         int threads) {
    const bool some = ages != NULL && any_frozen(ages);
    double sum = 0;
    for (int i = 0; i < o->ranges; i++) {
        const sr_flat_range *r = &o->range[i];
        if (some) {
            sr_ages part = ages_of(ages, r);
            sum += sr_sum_squares_aged(gradients + r->first, &part, r->count, threads);
        } else {
            sum += sr_sum_squares(gradients + r->first, r->count, threads);
        }
    }
    return sqrt(sum);
}

void sr_optimiser_step(const sr_optimiser *o, const sr_update *u, float *params,
                       const float *gradients, float *m, float *v, uint16_t *rounded) {
    for (int i = 0; i < o->ranges; i++) {
        const sr_flat_range *r = &o->range[i];
        sr_adamw_rule rule = {.rate = u->rate,
                              .beta1 = u->beta1 > 0 ? u->beta1 : SR_ADAM_BETA1,
                              .beta2 = u->beta2 > 0 ? u->beta2 : SR_ADAM_BETA2,
                              .epsilon = SR_ADAM_EPSILON,
                              .weight_decay = r->decay || u->decay_all ? u->weight_decay : 0,
                              .gradient_scale = u->gradient_scale,
                              .step = u->step};
        const int64_t at = r->first;
        uint16_t *copy = rounded != NULL ? rounded + at : NULL;
        if (u->ages != NULL) {
            sr_ages part = ages_of(u->ages, r);
            sr_adamw_aged(&rule, &part, r->count, params + at, gradients + at, m + at, v + at, copy,
                          u->threads);
        } else {
            sr_adamw(&rule, r->count, params + at, gradients + at, m + at, v + at, copy,
                     u->threads);
        }
    }
}
