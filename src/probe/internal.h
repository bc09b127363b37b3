/* What the parabolas (isoflop.c) and the laws through them (laws.c) share. */
#ifndef SR_PROBE_INTERNAL_H
#define SR_PROBE_INTERNAL_H

#include "probe/isoflop.h"
#include <stddef.h>

/* The optimum of one curve in one resample [SR_ISO_QUANTITIES]. */
static inline const double *sr_iso_drawn(const sr_isoflop *fit, int resample, int curve) {
    return fit->drawn +
           ((size_t)resample * (size_t)fit->n_curves + (size_t)curve) * SR_ISO_QUANTITIES;
}

/* Fills low and high from `n` values, which it sorts. They stay unknown where more than a tenth of
 * the resamples gave none: what is left would be too well-behaved. */
void sr_iso_interval(double *values, int n, int resamples, sr_estimate *estimate);

/* The laws of one architecture. */
sartor_status sr_iso_fit_laws(sartor_context *ctx, sr_isoflop *fit);

#endif
