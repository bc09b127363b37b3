#include "train/optimiser.h"

#include "base/memory.h"
#include "op/optim.h"
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

double sr_optimiser_norm(const sr_optimiser *o, const float *gradients, int threads) {
    double sum = 0;
    for (int i = 0; i < o->ranges; i++)
        sum += sr_sum_squares(gradients + o->range[i].first, o->range[i].count, threads);
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
        sr_adamw(&rule, r->count, params + r->first, gradients + r->first, m + r->first,
                 v + r->first, rounded != NULL ? rounded + r->first : NULL, u->threads);
    }
}
