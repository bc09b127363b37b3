/* Least squares with few unknowns: one factorisation for many right-hand sides.
 *
 * The bootstrap fits the same design to a thousand resampled losses, and its residuals need the
 * leverages; both read the orthogonal factor, so it is kept. */
#ifndef SR_PROBE_LEAST_SQUARES_H
#define SR_PROBE_LEAST_SQUARES_H

#include "base/context.h"

enum { SR_MAX_UNKNOWNS = 4 };

/* A = Q R with Q [rows, unknowns] orthonormal, R upper triangular. */
typedef struct sr_design {
    int rows, unknowns;
    double *q;
    double r[SR_MAX_UNKNOWNS * SR_MAX_UNKNOWNS];
} sr_design;

/* Factorises `a` [rows, unknowns], row-major. SARTOR_INVALID where the columns are linearly
 * dependent to working precision, or outnumber the rows. Release with sr_design_free(). */
sartor_status sr_design_make(sartor_context *ctx, const double *a, int rows, int unknowns,
                             sr_design *design);
void sr_design_free(sr_design *design);

/* x [unknowns] with the least |A x - y|. */
void sr_design_solve(const sr_design *design, const double *y, double *x);

/* The diagonal of Q Q': how much of residual `row` the fit absorbs, in 0..1. */
double sr_design_leverage(const sr_design *design, int row);

/* y = intercept + slope * x. False with fewer than two different x or a value that is not finite.
 */
bool sr_line_fit(const double *x, const double *y, int n, double *intercept, double *slope);

#endif
