/* Scales. Costs add up over LIVs and sharing only lowers them, so the most expensive backbone is
 * that of one class, repeated without sharing; `memory` adds up but for scratch, which differs
 * little between backbones. Sharing can take a cost below the smallest uniform backbone: scaled
 * values may be a little below 0, but not above 1. */
#include "search/objectives.h"

#include "base/memory.h"
#include <math.h>
#include <stdlib.h>

static sr_scale fixed(double best, double worst, bool logarithmic) {
    return (sr_scale){best, worst, logarithmic};
}

static void include(sr_scale scales[SR_OBJECTIVE_COUNT], const double values[SR_OBJECTIVE_COUNT]) {
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++) {
        if (sr_objective_get(i)->source != SR_COMPUTED) continue;
        scales[i].best = fmin(scales[i].best, values[i]);
        scales[i].worst = fmax(scales[i].worst, values[i]);
    }
}

sartor_status sr_scales_make(sartor_context *ctx, const sr_pool *pool, int livs,
                             const sr_sizes *sizes, sr_scale scales[SR_OBJECTIVE_COUNT]) {
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++) scales[i] = fixed(INFINITY, -INFINITY, true);
    scales[SR_BPB] = fixed(0, 8, false);
    scales[SR_MAD] = fixed(0, 1, false);
    scales[SR_PREFILL] = scales[SR_DECODE] = fixed(1e-7, 1, true);
    sr_genome *genome;
    SR_TRY(sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome));
    genome->n = livs;
    sartor_status status = SARTOR_OK;
    int classes = 0;
    for (int c = 1; c <= sr_class_count() && c < SR_POOL_CLASSES && status == SARTOR_OK; c++) {
        if (!pool->has[c]) continue;
        double values[SR_OBJECTIVE_COUNT];
        for (int i = 0; i < livs && i < SR_MAX_LIVS; i++) genome->liv[i] = (sr_gene){c, 1, 1, 1, 1};
        status = sr_objectives_compute(ctx, genome, sizes, values);
        if (status == SARTOR_OK) include(scales, values);
        classes++;
    }
    free(genome);
    SR_TRY(status);
    if (classes == 0) return sr_fail(ctx, SARTOR_INVALID, "the pool has no class");
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++)
        if (scales[i].worst <= scales[i].best) scales[i].worst = scales[i].best + 1;
    return SARTOR_OK;
}

/* log(1 + x / unit): where the best is far below 1 (seconds), it is the unit, else 1. */
static double logarithm(const sr_scale *s, double x) {
    double unit = s->best > 0 && s->best < 1 ? s->best : 1;
    return log1p(x / unit);
}

double sr_scaled(const sr_scale *s, double value) {
    if (isinf(value)) return value;
    if (!s->logarithmic) return (value - s->best) / (s->worst - s->best);
    double low = logarithm(s, s->best), high = logarithm(s, s->worst);
    return (logarithm(s, value) - low) / (high - low);
}
