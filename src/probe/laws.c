/* Laws through compute-optimal points, and their resamples. */
#include "probe/internal.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* ---- intervals ---- */

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between order statistics, as R and NumPy do by default (type 7 of Hyndman and Fan 1996). */
static double quantile(const double *sorted, int n, double p) {
    const double at = p * (n - 1);
    const int i = (int)at;
    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static bool enough(int n, int resamples) { return n > 0 && n >= resamples - resamples / 10; }

void sr_iso_interval(double *values, int n, int resamples, sr_estimate *estimate) {
    if (!enough(n, resamples)) return;
    qsort(values, (size_t)n, sizeof *values, ascending);
    estimate->low = quantile(values, n, 0.025);
    estimate->high = quantile(values, n, 0.975);
}

/* ---- what a law goes through ---- */

typedef struct series {
    const sr_isoflop *const *fits;
    int n_fits;
    sr_iso_quantity x, y; /* x SR_ISO_QUANTITIES: the budget */
    bool floor;           /* with a floor */
    double *log_x, *values;
    int n;
} series;

/* `resample` below 0: the fit itself. False where a value is not known. */
static bool value(const sr_isoflop *fit, int curve, sr_iso_quantity q, int resample, double *out) {
    const sr_iso_curve *c = &fit->curves[curve];
    if (q == SR_ISO_QUANTITIES)
        *out = log(c->budget);
    else if (resample >= 0)
        *out = sr_iso_drawn(fit, resample, curve)[q];
    else
        *out = q == SR_ISO_LOSS ? c->optimum[q].value : log(c->optimum[q].value);
    return isfinite(*out);
}

static bool gather(series *s, int resample) {
    s->n = 0;
    for (int f = 0; f < s->n_fits; f++)
        for (int k = 0; k < s->fits[f]->n_curves; k++) {
            if (!sr_iso_curve_counts(&s->fits[f]->curves[k])) continue;
            if (!value(s->fits[f], k, s->x, resample, &s->log_x[s->n]) ||
                !value(s->fits[f], k, s->y, resample, &s->values[s->n]))
                return false;
            s->n++;
        }
    return true;
}

/* A loss against the budget is fitted as it is or, without a floor, in its logarithm; against the
 * state it is the logarithm of a perplexity already. */
static bool fit_series(series *s, sr_power_law *law) {
    if (s->floor) return sr_floor_law_fit(s->log_x, s->values, s->n, law);
    if (s->y == SR_ISO_LOSS && s->x == SR_ISO_QUANTITIES)
        for (int i = 0; i < s->n; i++) s->values[i] = log(s->values[i]);
    return sr_power_law_fit(s->log_x, s->values, s->n, law);
}

static const char *find_fault(series *s) {
    const bool against_state = s->x == SR_ISO_STATE;
    int counted = 0;
    for (int f = 0; f < s->n_fits; f++)
        for (int k = 0; k < s->fits[f]->n_curves; k++)
            counted += sr_iso_curve_counts(&s->fits[f]->curves[k]);
    if (counted < 2) return "fewer than 2 optima lie inside the sizes measured";
    s->floor = !against_state && s->y == SR_ISO_LOSS && counted >= 4;
    return against_state && !gather(s, -1) ? "there are models without decode state" : NULL;
}

static int resamples_of(const series *s) {
    int least = s->fits[0]->resamples;
    for (int f = 1; f < s->n_fits; f++)
        if (s->fits[f]->resamples < least) least = s->fits[f]->resamples;
    return least;
}

static void describe(sr_fitted_law *law, double *scratch, int resamples) {
    const double nan = NAN;
    law->coefficient = (sr_estimate){exp(law->law.log_coefficient), nan, nan};
    law->exponent = (sr_estimate){law->law.exponent, nan, nan};
    law->floor = (sr_estimate){law->law.floor, nan, nan};
    for (int i = 0; i < law->n_draws; i++) scratch[i] = exp(law->draws[i].log_coefficient);
    sr_iso_interval(scratch, law->n_draws, resamples, &law->coefficient);
    for (int i = 0; i < law->n_draws; i++) scratch[i] = law->draws[i].exponent;
    sr_iso_interval(scratch, law->n_draws, resamples, &law->exponent);
    for (int i = 0; i < law->n_draws; i++) scratch[i] = law->draws[i].floor;
    sr_iso_interval(scratch, law->n_draws, resamples, &law->floor);
}

static sartor_status draw_law(sartor_context *ctx, series *s, sr_fitted_law *law) {
    const int resamples = resamples_of(s);
    double *scratch;
    SR_TRY(sr_alloc(ctx, (size_t)resamples, sizeof *law->draws, "draws", (void **)&law->draws));
    SR_TRY(sr_alloc(ctx, (size_t)resamples, sizeof *scratch, "draws", (void **)&scratch));
    for (int r = 0; r < resamples; r++)
        if (gather(s, r) && fit_series(s, &law->draws[law->n_draws])) law->n_draws++;
    if (!enough(law->n_draws, resamples)) law->n_draws = 0;
    describe(law, scratch, resamples);
    free(scratch);
    return SARTOR_OK;
}

static sartor_status fit_law(sartor_context *ctx, series *s, sr_fitted_law *law) {
    *law = (sr_fitted_law){.fault = find_fault(s)};
    if (law->fault != NULL) return SARTOR_OK;
    if (!gather(s, -1) || !fit_series(s, &law->law)) {
        law->fault = s->x == SR_ISO_STATE ? "the state is the same at every optimum"
                     : s->floor           ? "the loss does not fall as the budget grows"
                                          : "the optima are not finite";
        return SARTOR_OK;
    }
    return draw_law(ctx, s, law);
}

static sartor_status with_room(sartor_context *ctx, series *s, sr_fitted_law *law) {
    size_t n = 0;
    for (int f = 0; f < s->n_fits; f++) n += (size_t)s->fits[f]->n_curves;
    double *room;
    SR_TRY(sr_alloc(ctx, 2 * n, sizeof *room, "a series", (void **)&room));
    s->log_x = room;
    s->values = room + n;
    sartor_status status = fit_law(ctx, s, law);
    free(room);
    return status;
}

sartor_status sr_iso_fit_laws(sartor_context *ctx, sr_isoflop *fit) {
    static const sr_iso_quantity quantity[SR_ISO_LAWS] = {SR_ISO_PARAMS, SR_ISO_TOKENS,
                                                          SR_ISO_LOSS};
    for (int i = 0; i < SR_ISO_LAWS; i++) {
        series s = {.fits = (const sr_isoflop *const[]){fit},
                    .n_fits = 1,
                    .x = SR_ISO_QUANTITIES,
                    .y = quantity[i]};
        SR_TRY(with_room(ctx, &s, &fit->laws[i]));
    }
    return SARTOR_OK;
}

sartor_status sr_state_law_fit(sartor_context *ctx, const sr_isoflop *const *fits, int n,
                               sr_fitted_law *law) {
    *law = (sr_fitted_law){.fault = "there are no fits"};
    if (n < 1) return SARTOR_OK;
    series s = {.fits = fits, .n_fits = n, .x = SR_ISO_STATE, .y = SR_ISO_LOSS};
    return with_room(ctx, &s, law);
}

void sr_fitted_law_free(sr_fitted_law *law) {
    free(law->draws);
    law->draws = NULL;
    law->n_draws = 0;
}

sartor_status sr_fitted_law_at(sartor_context *ctx, const sr_fitted_law *law, double x,
                               sr_estimate *y) {
    *y = (sr_estimate){NAN, NAN, NAN};
    if (law->fault != NULL || !(x > 0)) return SARTOR_OK;
    y->value = sr_power_law_at(&law->law, log(x));
    if (law->n_draws == 0) return SARTOR_OK;
    double *values;
    SR_TRY(sr_alloc(ctx, (size_t)law->n_draws, sizeof *values, "draws", (void **)&values));
    for (int i = 0; i < law->n_draws; i++) values[i] = sr_power_law_at(&law->draws[i], log(x));
    sr_iso_interval(values, law->n_draws, law->n_draws, y);
    free(values);
    return SARTOR_OK;
}
