#include "train/births.h"

#include <inttypes.h>
#include <math.h>

sr_generation sr_generation_defaults(void) {
    return (sr_generation){.rate_factor = 1, .warmup = 200};
}

sr_generation sr_generation_with(double rate_factor, int64_t warmup, bool freeze_old) {
    sr_generation born = sr_generation_defaults();
    if (rate_factor >= 0) born.rate_factor = rate_factor;
    if (warmup >= 0) born.warmup = warmup;
    born.freeze_old = freeze_old;
    return born;
}

sartor_status sr_births_add(sartor_context *ctx, sr_births *births, const sr_generation *born) {
    const int64_t earliest = births->count > 0 ? births->birth[births->count - 1].step : 0;
    if (births->count == SR_MAX_GROWTHS)
        return sr_fail(ctx, SARTOR_INVALID, "the model grew %d times, no more", SR_MAX_GROWTHS);
    if (born->step < earliest)
        return sr_fail(ctx, SARTOR_INVALID, "growth at step %" PRId64 " lies before step %" PRId64,
                       born->step, earliest);
    if (!isfinite(born->rate_factor) || born->rate_factor < 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "the learning-rate factor of new parts is %g, expected a number of at "
                       "least 0",
                       born->rate_factor);
    if (born->warmup < 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "the warm-up of new parts is %" PRId64 ", expected 0 or more", born->warmup);
    births->birth[births->count++] = *born;
    return SARTOR_OK;
}

void sr_births_ages(const sr_births *births, int64_t step, double rate,
                    sr_age age[SR_MAX_GROWTHS + 1]) {
    const int latest = births->count;
    const bool freeze = latest > 0 && births->birth[latest - 1].freeze_old;
    age[0] = (sr_age){rate, step + 1, freeze};
    for (int k = 1; k <= latest; k++) {
        const sr_generation *b = &births->birth[k - 1];
        const int64_t own = step - b->step + 1;
        double warm = own < b->warmup ? (double)own / (double)b->warmup : 1;
        age[k] = (sr_age){rate * b->rate_factor * warm, own, freeze && k < latest};
    }
}
