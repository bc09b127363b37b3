/* The IsoFLOP protocol of scaling laws (Hoffmann et al. 2022, arXiv 2203.15556, section 3.2), and
 * the state-optimal analysis of mechanistic architecture design (Poli et al. 2024, arXiv
 * 2403.17844). Numbers in, numbers out.
 *
 * For each budget C of training FLOPs the losses of several sizes N are fitted by a parabola in
 * ln N; its lowest point is the compute-optimal size N*(C), with tokens D*(C), decode state M*(C)
 * and loss L*(C). Through these go N* = a C^alpha, D* = b C^beta, L* = E + A C^-gamma (E = 0 with
 * fewer than four budgets) and, perplexity against state, exp(L*) = k M*^c.
 *
 * Intervals are the 2.5 and 97.5 percent points of a residual bootstrap: sizes are chosen, not
 * drawn, and there are few of them, so that resampling points would leave budgets without a
 * parabola. Residuals of all budgets are pooled (their noise is that of seeds and data order, taken
 * as equal), enlarged by 1/sqrt(1 - leverage) because a fit through few points hides part of the
 * noise (Davison and Hinkley 1997, chapter 6), centred, and added to the fitted losses. */
#ifndef SR_PROBE_ISOFLOP_H
#define SR_PROBE_ISOFLOP_H

#include "base/context.h"
#include "probe/power_law.h"
#include <stdint.h>

/* One trained model. */
typedef struct sr_iso_point {
    double budget; /* training FLOPs asked for: points of one curve have the same */
    double params, tokens;
    double state; /* bytes of decode state; 0: none */
    double loss;  /* nats per token */
} sr_iso_point;

/* A number and its 95 % interval; low and high are NaN where it is not known. */
typedef struct sr_estimate {
    double value, low, high;
} sr_estimate;

/* What an optimum is described by, and in which order draws are kept. */
typedef enum sr_iso_quantity {
    SR_ISO_PARAMS,
    SR_ISO_TOKENS,
    SR_ISO_STATE,
    SR_ISO_LOSS,
    SR_ISO_QUANTITIES
} sr_iso_quantity;

typedef struct sr_iso_curve {
    double budget;
    int first, points; /* points[first .. first + points) of the fit, by rising size */
    const char *fault; /* why there is no parabola; NULL: there is one */
    int outside; /* -1, 1: the minimum is below, above the sizes measured; no law goes through it */
    double middle, c[3]; /* loss = c0 + c1 u + c2 u^2, u = ln N - middle */
    sr_estimate optimum[SR_ISO_QUANTITIES];
} sr_iso_curve;

typedef enum sr_iso_law { SR_LAW_PARAMS, SR_LAW_TOKENS, SR_LAW_LOSS, SR_ISO_LAWS } sr_iso_law;

/* y = floor + coefficient x^exponent with x = C. */
typedef struct sr_fitted_law {
    const char *fault; /* why there is none; NULL: there is one */
    sr_power_law law;
    sr_estimate coefficient, exponent, floor;
    sr_power_law *draws; /* one per resample that gave one */
    int n_draws;
} sr_fitted_law;

typedef struct sr_isoflop {
    sr_iso_point *points; /* sorted by budget, then size */
    int n;
    sr_iso_curve *curves; /* by rising budget */
    int n_curves;
    int resamples;
    double noise;             /* standard deviation of the pooled residuals; NaN: not known */
    const char *no_intervals; /* why there are none; NULL: there are */
    double *drawn;            /* [resample][curve][quantity], natural logarithms but for the loss;
                                 NaN where a resample's parabola opens downwards */
    sr_fitted_law laws[SR_ISO_LAWS];
} sr_isoflop;

enum { SR_MOST_CURVES = 1024 }; /* keeps the draws below 32 MB at 1000 resamples */
typedef struct sr_iso_options {
    int resamples; /* 0: no intervals */
    uint64_t seed;
} sr_iso_options;

/* Any points that are finite and positive (state: not negative) at up to SR_MOST_CURVES budgets;
 * else SARTOR_INVALID. What cannot be fitted is said in the faults. Release with sr_isoflop_free(),
 * also after a failure. */
sartor_status sr_isoflop_fit(sartor_context *ctx, const sr_iso_point *points, int n,
                             const sr_iso_options *options, sr_isoflop *fit);
void sr_isoflop_free(sr_isoflop *fit);

/* Whether the laws go through this curve's optimum. */
bool sr_iso_curve_counts(const sr_iso_curve *curve);

/* exp(L*) = k M*^c through the compute-optimal points of `n` fits together, x = M in bytes; as for
 * one architecture, n = 1. Fits of different seeds are resampled independently of each other. */
sartor_status sr_state_law_fit(sartor_context *ctx, const sr_isoflop *const *fits, int n,
                               sr_fitted_law *law);
void sr_fitted_law_free(sr_fitted_law *law);

/* What a law says at x, with its interval there (not for a simultaneous band). */
sartor_status sr_fitted_law_at(sartor_context *ctx, const sr_fitted_law *law, double x,
                               sr_estimate *y);

#endif
