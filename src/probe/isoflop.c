#include "probe/isoflop.h"

#include "base/memory.h"
#include "base/rng.h"
#include "probe/internal.h"
#include "probe/least_squares.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SIZES = 3, LEAST_FREEDOM = 3, MOST_RESAMPLES = 1000000 };

/* ---- points ---- */

static int by_budget_and_size(const void *a, const void *b) {
    const sr_iso_point *p = a, *q = b;
    if (p->budget != q->budget) return p->budget < q->budget ? -1 : 1;
    if (p->params != q->params) return p->params < q->params ? -1 : 1;
    return (p->loss > q->loss) - (p->loss < q->loss);
}

static bool positive(double x) { return isfinite(x) && x > 0; }

static sartor_status take_points(sartor_context *ctx, const sr_iso_point *points, int n,
                                 sr_isoflop *fit) {
    if (n < 1) return sr_fail(ctx, SARTOR_INVALID, "isoflop: there are no points");
    for (int i = 0; i < n; i++) {
        const sr_iso_point *p = &points[i];
        if (!positive(p->budget) || !positive(p->params) || !positive(p->tokens) ||
            !positive(p->loss) || !isfinite(p->state) || p->state < 0)
            return sr_fail(ctx, SARTOR_INVALID,
                           "isoflop: point %d (budget %g, size %g, tokens %g, state %g, loss %g) "
                           "is not finite and positive",
                           i + 1, p->budget, p->params, p->tokens, p->state, p->loss);
    }
    SR_TRY(sr_alloc(ctx, (size_t)n, sizeof *fit->points, "points", (void **)&fit->points));
    memcpy(fit->points, points, (size_t)n * sizeof *points);
    qsort(fit->points, (size_t)n, sizeof *fit->points, by_budget_and_size);
    fit->n = n;
    SR_TRY(sr_alloc(ctx, (size_t)n, sizeof *fit->curves, "curves", (void **)&fit->curves));
    for (int i = 0; i < n; i++) {
        if (i == 0 || fit->points[i].budget != fit->points[i - 1].budget)
            fit->curves[fit->n_curves++] =
                (sr_iso_curve){.budget = fit->points[i].budget, .first = i};
        fit->curves[fit->n_curves - 1].points++;
    }
    if (fit->n_curves > SR_MOST_CURVES)
        return sr_fail(ctx, SARTOR_INVALID, "isoflop: %d budgets, at most %d are possible",
                       fit->n_curves, SR_MOST_CURVES);
    return SARTOR_OK;
}

/* ---- parabolas ---- */

static const sr_iso_point *points_of(const sr_isoflop *fit, const sr_iso_curve *c) {
    return fit->points + c->first;
}

static int sizes_of(const sr_isoflop *fit, const sr_iso_curve *c) {
    const sr_iso_point *p = points_of(fit, c);
    int sizes = 1;
    for (int i = 1; i < c->points; i++) sizes += p[i].params != p[i - 1].params;
    return sizes;
}

static double value_of(const sr_iso_point *p, sr_iso_quantity q) {
    return q == SR_ISO_TOKENS ? p->tokens : p->state;
}

/* ln of the tokens or the state at ln N: straight in logarithms between the neighbouring sizes and
 * beyond the last two. NaN where there is no state. */
static double interpolate(const sr_isoflop *fit, const sr_iso_curve *c, sr_iso_quantity q,
                          double log_size) {
    const sr_iso_point *p = points_of(fit, c);
    int low = 0, high = c->points - 1;
    for (int i = 0; i < c->points; i++)
        if (log(p[i].params) <= log_size) low = i;
    while (low > 0 && p[low].params == p[c->points - 1].params) low--;
    for (int i = c->points - 1; i > low; i--)
        if (p[i].params > p[low].params) high = i;
    const double a = value_of(&p[low], q), b = value_of(&p[high], q);
    if (!(a > 0) || !(b > 0)) return NAN;
    const double x = log(p[low].params);
    return log(a) + (log(b) - log(a)) * (log_size - x) / (log(p[high].params) - x);
}

/* The lowest point of a parabola, in logarithms but for the loss; false where it has none. */
static bool find_optimum(const sr_isoflop *fit, const sr_iso_curve *curve, const double c[3],
                         double optimum[SR_ISO_QUANTITIES]) {
    if (!(c[2] > 0)) return false;
    const double u = -c[1] / (2 * c[2]);
    if (!isfinite(u)) return false;
    optimum[SR_ISO_PARAMS] = curve->middle + u;
    optimum[SR_ISO_TOKENS] = interpolate(fit, curve, SR_ISO_TOKENS, curve->middle + u);
    optimum[SR_ISO_STATE] = interpolate(fit, curve, SR_ISO_STATE, curve->middle + u);
    optimum[SR_ISO_LOSS] = c[0] + c[1] * u / 2;
    return true;
}

static double natural(sr_iso_quantity q, double value) {
    return q == SR_ISO_LOSS ? value : exp(value);
}

static sartor_status make_design(sartor_context *ctx, const sr_isoflop *fit, sr_iso_curve *curve,
                                 sr_design *design) {
    const sr_iso_point *p = points_of(fit, curve);
    double *a;
    SR_TRY(sr_alloc(ctx, (size_t)curve->points * 3, sizeof *a, "a design", (void **)&a));
    curve->middle = 0;
    for (int i = 0; i < curve->points; i++) curve->middle += log(p[i].params) / curve->points;
    for (int i = 0; i < curve->points; i++) {
        const double u = log(p[i].params) - curve->middle;
        a[3 * i] = 1;
        a[3 * i + 1] = u;
        a[3 * i + 2] = u * u;
    }
    sartor_status status = sr_design_make(ctx, a, curve->points, 3, design);
    free(a);
    return status;
}

static double parabola_at(const sr_iso_curve *curve, double params) {
    const double u = log(params) - curve->middle;
    return curve->c[0] + u * (curve->c[1] + u * curve->c[2]);
}

static const sr_estimate unknown = {NAN, NAN, NAN};

static sartor_status fit_curve(sartor_context *ctx, const sr_isoflop *fit, sr_iso_curve *curve,
                               sr_design *design, double *scratch) {
    const sr_iso_point *p = points_of(fit, curve);
    double optimum[SR_ISO_QUANTITIES];
    for (int q = 0; q < SR_ISO_QUANTITIES; q++) curve->optimum[q] = unknown;
    if (sizes_of(fit, curve) < LEAST_SIZES) {
        curve->fault = "fewer than 3 sizes";
        return SARTOR_OK;
    }
    sartor_status status = make_design(ctx, fit, curve, design);
    if (status == SARTOR_INVALID) {
        curve->fault = "the sizes are too close to each other";
        return SARTOR_OK;
    }
    SR_TRY(status);
    for (int i = 0; i < curve->points; i++) scratch[i] = p[i].loss;
    sr_design_solve(design, scratch, curve->c);
    if (!find_optimum(fit, curve, curve->c, optimum)) {
        curve->fault = "the parabola has no minimum: it opens downwards";
        return SARTOR_OK;
    }
    curve->outside = optimum[SR_ISO_PARAMS] < log(p[0].params)                   ? -1
                     : optimum[SR_ISO_PARAMS] > log(p[curve->points - 1].params) ? 1
                                                                                 : 0;
    for (int q = 0; q < SR_ISO_QUANTITIES; q++)
        curve->optimum[q].value = natural((sr_iso_quantity)q, optimum[q]);
    return SARTOR_OK;
}

bool sr_iso_curve_counts(const sr_iso_curve *curve) {
    return curve->fault == NULL && curve->outside == 0;
}

/* ---- bootstrap ---- */

typedef struct bootstrap {
    sr_isoflop *fit;
    const sr_design *designs; /* one a curve; rows 0: none */
    double *pool;             /* residuals, enlarged and centred */
    int pooled;
    sr_rng rng;
    double *scratch; /* as many as there are points */
} bootstrap;

/* A point that the fit goes through whatever its loss is tells nothing about the noise. */
static void add_residuals(bootstrap *b, const sr_iso_curve *curve, const sr_design *design) {
    const sr_iso_point *p = points_of(b->fit, curve);
    for (int i = 0; i < curve->points; i++) {
        const double free_part = 1 - sr_design_leverage(design, i);
        if (free_part > 1e-6)
            b->pool[b->pooled++] = (p[i].loss - parabola_at(curve, p[i].params)) / sqrt(free_part);
    }
}

static void fill_pool(bootstrap *b) {
    sr_isoflop *fit = b->fit;
    int freedom = 0;
    double mean = 0, squares = 0;
    for (int k = 0; k < fit->n_curves; k++) {
        if (fit->curves[k].fault != NULL) continue;
        add_residuals(b, &fit->curves[k], &b->designs[k]);
        freedom += fit->curves[k].points - 3;
    }
    if (freedom < LEAST_FREEDOM) {
        fit->no_intervals = "too few sizes to tell noise from shape: the budgets together need 3 "
                            "more than 3 each";
        return;
    }
    for (int i = 0; i < b->pooled; i++) mean += b->pool[i] / b->pooled;
    for (int i = 0; i < b->pooled; i++) {
        b->pool[i] -= mean;
        squares += b->pool[i] * b->pool[i] / b->pooled;
    }
    fit->noise = sqrt(squares);
}

/* Random numbers are keyed by curve, resample and place: the order of work does not matter. */
static void resample(const bootstrap *b, int k, int number, double *drawn) {
    const sr_isoflop *fit = b->fit;
    const sr_iso_curve *curve = &fit->curves[k];
    const sr_iso_point *p = points_of(fit, curve);
    sr_rng rng = b->rng;
    double c[3];
    for (int q = 0; q < SR_ISO_QUANTITIES; q++) drawn[q] = NAN;
    if (curve->fault != NULL) return;
    rng.stream = (uint32_t)k;
    for (int i = 0; i < curve->points; i++) {
        const uint64_t index = (uint64_t)number << 32 | (uint32_t)i;
        b->scratch[i] = parabola_at(curve, p[i].params) +
                        b->pool[sr_rng_below(rng, index, (uint64_t)b->pooled)];
    }
    sr_design_solve(&b->designs[k], b->scratch, c);
    if (!find_optimum(fit, curve, c, drawn))
        for (int q = 0; q < SR_ISO_QUANTITIES; q++) drawn[q] = NAN;
}

static sartor_status curve_intervals(sartor_context *ctx, sr_isoflop *fit) {
    double *values;
    SR_TRY(sr_alloc(ctx, (size_t)fit->resamples, sizeof *values, "draws", (void **)&values));
    for (int k = 0; k < fit->n_curves; k++)
        for (int q = 0; q < SR_ISO_QUANTITIES; q++) {
            int n = 0;
            for (int r = 0; r < fit->resamples; r++) {
                const double x = sr_iso_drawn(fit, r, k)[q];
                if (!isnan(x)) values[n++] = natural((sr_iso_quantity)q, x);
            }
            sr_iso_interval(values, n, fit->resamples, &fit->curves[k].optimum[q]);
        }
    free(values);
    return SARTOR_OK;
}

static sartor_status draw(sartor_context *ctx, bootstrap *b) {
    sr_isoflop *fit = b->fit;
    SR_TRY(sr_alloc(ctx, (size_t)fit->n, sizeof *b->pool, "residuals", (void **)&b->pool));
    fill_pool(b);
    if (fit->no_intervals != NULL) return SARTOR_OK;
    const size_t size = (size_t)fit->n_curves * SR_ISO_QUANTITIES;
    SR_TRY(sr_alloc(ctx, (size_t)fit->resamples, size * sizeof *fit->drawn, "draws",
                    (void **)&fit->drawn));
    for (int r = 0; r < fit->resamples; r++)
        for (int k = 0; k < fit->n_curves; k++)
            resample(b, k, r, fit->drawn + (size_t)r * size + (size_t)k * SR_ISO_QUANTITIES);
    return curve_intervals(ctx, fit);
}

/* ---- all of it ---- */

static sartor_status fit_curves(sartor_context *ctx, const sr_iso_options *o, sr_isoflop *fit,
                                sr_design *designs, double *scratch) {
    for (int k = 0; k < fit->n_curves; k++)
        SR_TRY(fit_curve(ctx, fit, &fit->curves[k], &designs[k], scratch));
    if (o->resamples == 0) {
        fit->no_intervals = "no resamples were asked for";
        return SARTOR_OK;
    }
    fit->resamples = o->resamples;
    bootstrap b = {
        .fit = fit, .designs = designs, .rng = {o->seed, SR_FOR_BOOTSTRAP, 0}, .scratch = scratch};
    sartor_status status = draw(ctx, &b);
    free(b.pool);
    if (fit->no_intervals != NULL) fit->resamples = 0;
    return status;
}

sartor_status sr_isoflop_fit(sartor_context *ctx, const sr_iso_point *points, int n,
                             const sr_iso_options *o, sr_isoflop *fit) {
    *fit = (sr_isoflop){.noise = NAN};
    if (o->resamples < 0 || o->resamples > MOST_RESAMPLES)
        return sr_fail(ctx, SARTOR_INVALID, "resamples is %d, expected 0 to %d", o->resamples,
                       MOST_RESAMPLES);
    SR_TRY(take_points(ctx, points, n, fit));
    sr_design *designs = calloc((size_t)fit->n_curves, sizeof *designs);
    double *scratch = calloc((size_t)n, sizeof *scratch);
    sartor_status status = designs != NULL && scratch != NULL
                               ? fit_curves(ctx, o, fit, designs, scratch)
                               : sr_no_memory(ctx);
    for (int k = 0; designs != NULL && k < fit->n_curves; k++) sr_design_free(&designs[k]);
    free(designs);
    free(scratch);
    return status == SARTOR_OK ? sr_iso_fit_laws(ctx, fit) : status;
}

void sr_isoflop_free(sr_isoflop *fit) {
    for (int i = 0; i < SR_ISO_LAWS; i++) sr_fitted_law_free(&fit->laws[i]);
    free(fit->points);
    free(fit->curves);
    free(fit->drawn);
    *fit = (sr_isoflop){0};
}
