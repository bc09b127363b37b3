/* IsoFLOP fits: least squares against brute force, laws and intervals against families of models
 * whose exponents are known, and inputs that determine nothing. */
#include "probe/isoflop.h"

#include "base/rng.h"
#include "probe/least_squares.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;
static sr_rng rng = {23, SR_FOR_TEST, 0};
static uint64_t drawn;
static double uniform(double low, double high) {
    return low + (high - low) * sr_rng_uniform(rng, drawn++);
}
static double normal(void) { return sr_rng_normal(rng, drawn++); }

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));                                \
    } while (0)

static void assert_near(double a, double b, double most) {
    if (!(fabs(a - b) <= most)) fail_msg("%.17g, not %.17g", a, b);
}

static void assert_inside(const sr_estimate *e, double truth) {
    if (!(e->low <= truth && truth <= e->high && e->low <= e->value && e->value <= e->high))
        fail_msg("%g in %g..%g, expected around %g", e->value, e->low, e->high, truth);
}

/* ---- least squares ---- */

/* The normal equations in long double by Cramer's rule: another way to the same numbers. */
static void cramer(const double *a, const double *y, int n, double x[3]) {
    long double m[3][4] = {{0}};
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 3; j++) {
            for (int k = 0; k < 3; k++) m[j][k] += (long double)a[3 * i + j] * a[3 * i + k];
            m[j][3] += (long double)a[3 * i + j] * y[i];
        }
    long double det[4];
    for (int c = 0; c < 4; c++) {
        long double w[3][3];
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++) w[j][k] = m[j][c > 0 && k == c - 1 ? 3 : k];
        det[c] = w[0][0] * (w[1][1] * w[2][2] - w[1][2] * w[2][1]) -
                 w[0][1] * (w[1][0] * w[2][2] - w[1][2] * w[2][0]) +
                 w[0][2] * (w[1][0] * w[2][1] - w[1][1] * w[2][0]);
    }
    for (int k = 0; k < 3; k++) x[k] = (double)(det[k + 1] / det[0]);
}

static void test_least_squares(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        double a[60], y[20], x[3], expected[3], leverages = 0;
        int n = 3 + (int)(drawn % 18);
        for (int i = 0; i < n; i++) {
            const double u = uniform(-2, 2);
            a[3 * i] = 1;
            a[3 * i + 1] = u;
            a[3 * i + 2] = u * u;
            y[i] = uniform(-5, 5);
        }
        sr_design design;
        OK(sr_design_make(ctx, a, n, 3, &design));
        sr_design_solve(&design, y, x);
        cramer(a, y, n, expected);
        double largest = fmax(fabs(x[0]), fmax(fabs(x[1]), fabs(x[2])));
        for (int k = 0; k < 3; k++) assert_near(x[k], expected[k], 1e-8 * (1 + largest));
        for (int i = 0; i < n; i++) {
            const double h = sr_design_leverage(&design, i);
            assert_true(h > 0 && h < 1 + 1e-12);
            leverages += h;
            /* dy_fitted / dy of the point itself, which is what leverage means. */
            double x2[3], fitted = 0;
            y[i] += 1;
            sr_design_solve(&design, y, x2);
            y[i] -= 1;
            for (int k = 0; k < 3; k++) fitted += a[3 * i + k] * (x2[k] - x[k]);
            assert_near(fitted, h, 1e-9);
        }
        assert_near(leverages, 3, 1e-9);
        sr_design_free(&design);
    }
}

/* Powers up to the third of points that are close together: normal equations would lose half of the
 * digits, and more than are asked for. */
static void test_ill_conditioned(void **state) {
    (void)state;
    double a[40], y[10], x[4];
    for (int i = 0; i < 10; i++) {
        const double u = 1 + i * 0.01;
        for (int k = 0; k < 4; k++) a[4 * i + k] = pow(u, k);
        y[i] = 1 - 2 * u + 3 * u * u - 4 * u * u * u;
    }
    sr_design design;
    OK(sr_design_make(ctx, a, 10, 4, &design));
    sr_design_solve(&design, y, x);
    const double expected[] = {1, -2, 3, -4};
    for (int k = 0; k < 4; k++) assert_near(x[k], expected[k], 1e-6);
    sr_design_free(&design);
}

static void test_dependent_columns(void **state) {
    (void)state;
    sr_design design;
    const double same[] = {1, 2, 1, 2, 1, 2};
    const double zero[] = {1, 0, 2, 0, 3, 0};
    const double bad[] = {1, NAN, 2, 1, 3, 2};
    assert_int_equal(sr_design_make(ctx, same, 3, 2, &design), SARTOR_INVALID);
    assert_int_equal(sr_design_make(ctx, zero, 3, 2, &design), SARTOR_INVALID);
    assert_int_equal(sr_design_make(ctx, bad, 3, 2, &design), SARTOR_INVALID);
    assert_int_equal(sr_design_make(ctx, same, 1, 2, &design), SARTOR_INVALID);
    double intercept, slope;
    assert_false(sr_line_fit((double[]){3, 3, 3}, (double[]){1, 2, 3}, 3, &intercept, &slope));
    assert_false(sr_line_fit((double[]){3}, (double[]){1}, 1, &intercept, &slope));
    assert_false(sr_line_fit((double[]){1, 2}, (double[]){1, INFINITY}, 2, &intercept, &slope));
    assert_true(sr_line_fit((double[]){1, 2}, (double[]){5, 3}, 2, &intercept, &slope));
    assert_near(intercept, 7, 1e-12);
    assert_near(slope, -2, 1e-12);
}

/* ---- laws ---- */

static double floor_squares(const double *log_x, const double *y, int n, const sr_power_law *law) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const double e = y[i] - sr_power_law_at(law, log_x[i]);
        sum += e * e;
    }
    return sum;
}

static void test_floor_law(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        double log_x[8], y[8];
        const int n = 4 + round % 5;
        const sr_power_law truth = {uniform(1, 6), uniform(-0.4, -0.05), uniform(0.2, 2)};
        for (int i = 0; i < n; i++) {
            log_x[i] = log(1e9) + 1.2 * i;
            y[i] = sr_power_law_at(&truth, log_x[i]);
        }
        sr_power_law law;
        assert_true(sr_floor_law_fit(log_x, y, n, &law));
        assert_near(law.exponent, truth.exponent, 1e-4);
        assert_near(law.floor, truth.floor, 1e-3);
        assert_near(law.log_coefficient, truth.log_coefficient, 3e-3);
    }
}

/* With noise, no law nearby or anywhere on a coarse net leaves fewer squares. */
static void test_floor_law_is_least(void **state) {
    (void)state;
    for (int round = 0; round < 60; round++) {
        double log_x[6], y[6];
        const sr_power_law truth = {3, -0.15, 0.3 * (round % 4)};
        for (int i = 0; i < 6; i++) {
            log_x[i] = log(1e9) + 0.9 * i;
            y[i] = sr_power_law_at(&truth, log_x[i]) * (1 + 0.02 * normal());
        }
        sr_power_law law;
        if (!sr_floor_law_fit(log_x, y, 6, &law)) continue;
        assert_true(law.floor >= 0);
        const double least = floor_squares(log_x, y, 6, &law);
        for (int k = 0; k < 4000; k++) {
            const bool near = k % 2 == 0;
            sr_power_law other = law;
            other.exponent = near ? law.exponent * uniform(0.9, 1.1) : -uniform(0.011, 2.9);
            other.floor = near ? law.floor * uniform(0.9, 1.1) : uniform(0, y[5]);
            const double pivot = log_x[k / 2 % 6]; /* through one of the points, about */
            const double above = y[k / 2 % 6] - other.floor;
            if (above <= 0 || other.exponent < -3 || other.exponent > -0.01) continue;
            other.log_coefficient =
                log(above) - other.exponent * pivot + 0.01 * uniform(-1, 1) * near;
            if (floor_squares(log_x, y, 6, &other) < least * (1 - 1e-9) - 1e-15)
                fail_msg("round %d: %g %g %g leaves %g, found %g %g %g leaves %g", round,
                         other.log_coefficient, other.exponent, other.floor,
                         floor_squares(log_x, y, 6, &other), law.log_coefficient, law.exponent,
                         law.floor, least);
        }
    }
}

static void test_floor_law_refuses(void **state) {
    (void)state;
    sr_power_law law;
    const double x[] = {1, 2, 3, 4}, rising[] = {1, 2, 3, 4}, flat[] = {2, 2, 2, 2};
    const double three[] = {1, 2, 2, 3}, falling[] = {4, 3, 2.5, 2.2};
    assert_false(sr_floor_law_fit(x, rising, 4, &law));
    assert_false(sr_floor_law_fit(x, flat, 4, &law));
    assert_false(sr_floor_law_fit(three, falling, 4, &law));
    assert_true(sr_floor_law_fit(x, falling, 4, &law));
}

/* ---- families with known exponents ---- */

enum { MOST = 400 };

/* L(N, D) = E + A / N^a + B / D^b with C = 6 N D (Hoffmann et al. 2022, equation 2): along the
 * optimum N ~ C^(b/(a+b)), D ~ C^(a/(a+b)), L = E + K C^-(ab/(a+b)). */
typedef struct family {
    double e, a, alpha, b, beta, noise;
    int budgets, sizes;
    double span; /* sizes reach from the optimum / span to the optimum * span */
} family;

static double best_size(const family *f, double c) {
    const double g = pow(f->alpha * f->a / (f->beta * f->b), 1 / (f->alpha + f->beta));
    return g * pow(c / 6, f->beta / (f->alpha + f->beta));
}

static double loss_of(const family *f, double n, double d) {
    return f->e + f->a / pow(n, f->alpha) + f->b / pow(d, f->beta);
}

static int make(const family *f, sr_iso_point *points) {
    int n = 0;
    for (int k = 0; k < f->budgets; k++) {
        const double c = 1e17 * pow(3, k), best = best_size(f, c) * uniform(0.8, 1.25);
        for (int i = 0; i < f->sizes; i++) {
            const double size = best * pow(f->span, 2.0 * i / (f->sizes - 1) - 1);
            const double tokens = c / (6 * size);
            points[n++] = (sr_iso_point){.budget = c,
                                         .params = size,
                                         .tokens = tokens,
                                         .state = 64 * sqrt(size),
                                         .loss = loss_of(f, size, tokens) + f->noise * normal()};
        }
    }
    return n;
}

static const family chinchilla = {1.69, 406.4, 0.34, 410.7, 0.28, 0, 6, 9, 3};

static void test_known_exponents(void **state) {
    (void)state;
    sr_iso_point points[MOST];
    family f = chinchilla;
    const double alpha = f.beta / (f.alpha + f.beta), gamma = f.alpha * f.beta / (f.alpha + f.beta);
    for (int noisy = 0; noisy < 2; noisy++) {
        f.noise = noisy ? 0.003 : 0;
        sr_isoflop fit;
        OK(sr_isoflop_fit(ctx, points, make(&f, points), &(sr_iso_options){1000, 1}, &fit));
        assert_int_equal(fit.n_curves, 6);
        for (int k = 0; k < fit.n_curves; k++) {
            const sr_iso_curve *c = &fit.curves[k];
            const double best = best_size(&f, c->budget);
            assert_true(sr_iso_curve_counts(c));
            assert_near(log(c->optimum[SR_ISO_PARAMS].value / best), 0, noisy ? 0.35 : 0.03);
            assert_near(c->optimum[SR_ISO_TOKENS].value * c->optimum[SR_ISO_PARAMS].value * 6,
                        c->budget, 1e-9 * c->budget);
            assert_near(c->optimum[SR_ISO_STATE].value, 64 * sqrt(c->optimum[SR_ISO_PARAMS].value),
                        1e-9 * c->optimum[SR_ISO_STATE].value);
            assert_near(c->optimum[SR_ISO_LOSS].value, loss_of(&f, best, c->budget / 6 / best),
                        noisy ? 0.01 : 0.002);
        }
        const sr_fitted_law *size = &fit.laws[SR_LAW_PARAMS], *tokens = &fit.laws[SR_LAW_TOKENS],
                            *loss = &fit.laws[SR_LAW_LOSS];
        assert_null(size->fault);
        assert_near(size->exponent.value, alpha, noisy ? 0.06 : 0.005);
        assert_near(size->exponent.value + tokens->exponent.value, 1, 1e-9); /* C = 6 N D */
        assert_near(loss->exponent.value, -gamma, noisy ? 0.05 : 0.005);
        assert_near(loss->floor.value, f.e, noisy ? 0.25 : 0.03);
        if (noisy) {
            assert_inside(&size->exponent, alpha);
            assert_inside(&tokens->exponent, 1 - alpha);
            assert_inside(&loss->exponent, -gamma);
            assert_inside(&loss->floor, f.e);
            assert_near(fit.noise, f.noise, f.noise / 3);
        }
        /* Perplexity against state, M ~ N^(1/2), has no exact exponent: compare with a direct fit.
         */
        sr_fitted_law law;
        const sr_isoflop *one = &fit;
        double x[6], y[6], intercept, slope;
        for (int k = 0; k < 6; k++) {
            x[k] = log(fit.curves[k].optimum[SR_ISO_STATE].value);
            y[k] = fit.curves[k].optimum[SR_ISO_LOSS].value;
        }
        assert_true(sr_line_fit(x, y, 6, &intercept, &slope));
        OK(sr_state_law_fit(ctx, &one, 1, &law));
        assert_null(law.fault);
        assert_near(law.exponent.value, slope, 1e-12);
        assert_near(law.coefficient.value, exp(intercept), 1e-9 * exp(intercept));
        sr_estimate at;
        OK(sr_fitted_law_at(ctx, &law, exp(x[3]), &at));
        assert_near(at.value, exp(intercept + slope * x[3]), 1e-9 * at.value);
        assert_true(at.low < at.value + 1e-12 && at.value < at.high + 1e-12);
        sr_fitted_law_free(&law);
        sr_isoflop_free(&fit);
    }
}

/* Parabolas whose truth is a parabola: 95 % of the intervals of many experiments should hold it.
 * With 20 degrees of freedom and percentiles, somewhat fewer do. */
static void test_coverage(void **state) {
    (void)state;
    enum { EXPERIMENTS = 200, BUDGETS = 5, SIZES = 7 };
    int hits[3] = {0};
    const double alpha = 0.5, gamma = 0.1;
    for (int e = 0; e < EXPERIMENTS; e++) {
        sr_iso_point points[BUDGETS * SIZES];
        int n = 0;
        for (int k = 0; k < BUDGETS; k++) {
            const double c = 1e15 * pow(4, k), best = 0.1 * pow(c, alpha);
            for (int i = 0; i < SIZES; i++) {
                const double u = log(2.0) * (i - 3) * 0.7 + 0.1;
                points[n++] =
                    (sr_iso_point){c, best * exp(u), c / (6 * best * exp(u)), 1000 + i,
                                   1 + 60 * pow(c, -gamma) + 0.05 * u * u + 0.005 * normal()};
            }
        }
        sr_isoflop fit;
        OK(sr_isoflop_fit(ctx, points, n, &(sr_iso_options){400, (uint64_t)e}, &fit));
        const sr_estimate *size = &fit.laws[SR_LAW_PARAMS].exponent;
        const sr_estimate *loss = &fit.laws[SR_LAW_LOSS].exponent;
        const sr_estimate *middle = &fit.curves[2].optimum[SR_ISO_PARAMS];
        const double best = 0.1 * pow(1e15 * 16, alpha);
        hits[0] += size->low <= alpha && alpha <= size->high;
        hits[1] += loss->low <= -gamma && -gamma <= loss->high;
        hits[2] += middle->low <= best && best <= middle->high;
        sr_isoflop_free(&fit);
    }
    for (int i = 0; i < 3; i++) {
        print_message("%d of %d intervals hold the truth\n", hits[i], EXPERIMENTS);
        assert_in_range(hits[i], EXPERIMENTS * 88 / 100, EXPERIMENTS * 99 / 100);
    }
}

static void test_same_seed_same_bits(void **state) {
    (void)state;
    sr_iso_point points[MOST];
    family f = chinchilla;
    f.noise = 0.01;
    const int n = make(&f, points);
    sr_isoflop a, b, c;
    OK(sr_isoflop_fit(ctx, points, n, &(sr_iso_options){200, 7}, &a));
    for (int i = 0; i < n / 2; i++) { /* the order of the points does not matter */
        const sr_iso_point p = points[i];
        points[i] = points[n - 1 - i];
        points[n - 1 - i] = p;
    }
    OK(sr_isoflop_fit(ctx, points, n, &(sr_iso_options){200, 7}, &b));
    OK(sr_isoflop_fit(ctx, points, n, &(sr_iso_options){200, 8}, &c));
    assert_memory_equal(a.drawn, b.drawn, 200 * 6 * SR_ISO_QUANTITIES * sizeof *a.drawn);
    assert_memory_equal(&a.laws[2].exponent, &b.laws[2].exponent, sizeof(sr_estimate));
    assert_true(a.laws[0].exponent.value == c.laws[0].exponent.value);
    assert_true(a.laws[0].exponent.low != c.laws[0].exponent.low);
    sr_isoflop_free(&a);
    sr_isoflop_free(&b);
    sr_isoflop_free(&c);
}

/* Two families on one line of perplexity against state, with different budgets. */
static void test_shared_state_law(void **state) {
    (void)state;
    enum { BUDGETS = 4, SIZES = 5 };
    sr_isoflop fits[2];
    for (int f = 0; f < 2; f++) {
        sr_iso_point points[BUDGETS * SIZES];
        int n = 0;
        for (int k = 0; k < BUDGETS; k++) {
            const double c = 1e15 * pow(4, k + 0.5 * f), best = (1 + f) * pow(c, 0.4);
            const double m = 1000 * pow(best, 0.7), least = log(900) - 0.28 * log(m);
            for (int i = 0; i < SIZES; i++) {
                const double u = 0.5 * (i - 2);
                points[n++] = (sr_iso_point){c, best * exp(u), c / best, m * exp(0.7 * u),
                                             least + 0.05 * u * u + 1e-4 * normal()};
            }
        }
        OK(sr_isoflop_fit(ctx, points, n, &(sr_iso_options){500, (uint64_t)f}, &fits[f]));
    }
    sr_fitted_law law;
    OK(sr_state_law_fit(ctx, (const sr_isoflop *const[]){&fits[0], &fits[1]}, 2, &law));
    assert_null(law.fault);
    assert_near(law.exponent.value, -0.28, 0.002);
    assert_near(law.coefficient.value, 900, 30);
    assert_true(law.exponent.low < law.exponent.value && law.exponent.value < law.exponent.high);
    sr_fitted_law_free(&law);
    for (int f = 0; f < 2; f++) sr_isoflop_free(&fits[f]);
}

/* ---- what determines nothing ---- */

static sr_iso_point point(double budget, double params, double loss) {
    return (sr_iso_point){budget, params, budget / 6 / params, 0, loss};
}

static void test_faults(void **state) {
    (void)state;
    const sr_iso_point points[] = {
        point(1e15, 1e6, 3),   point(1e15, 2e6, 2.8), point(1e15, 4e6, 3),   /* good */
        point(2e15, 1e6, 2.9), point(2e15, 2e6, 2.7), point(2e15, 2e6, 2.6), /* two sizes */
        point(3e15, 1e6, 2.6), point(3e15, 2e6, 2.8), point(3e15, 4e6, 2.6), /* downwards */
        point(4e15, 1e6, 3.6), point(4e15, 2e6, 2.9), point(4e15, 4e6, 2.4), /* beyond */
        point(5e15, 1e6, 3.6),                                               /* one */
    };
    sr_isoflop fit;
    OK(sr_isoflop_fit(ctx, points, 13, &(sr_iso_options){100, 1}, &fit));
    assert_int_equal(fit.n_curves, 5);
    assert_null(fit.curves[0].fault);
    assert_near(fit.curves[0].optimum[SR_ISO_PARAMS].value, 2e6, 1);
    assert_near(fit.curves[0].optimum[SR_ISO_LOSS].value, 2.8, 1e-12);
    assert_true(isnan(fit.curves[0].optimum[SR_ISO_STATE].value)); /* no state */
    assert_string_equal(fit.curves[1].fault, "fewer than 3 sizes");
    assert_non_null(strstr(fit.curves[2].fault, "downwards"));
    assert_true(isnan(fit.curves[2].optimum[SR_ISO_LOSS].value));
    assert_null(fit.curves[3].fault);
    assert_int_equal(fit.curves[3].outside, 1);
    assert_false(sr_iso_curve_counts(&fit.curves[3]));
    assert_string_equal(fit.curves[4].fault, "fewer than 3 sizes");
    for (int i = 0; i < SR_ISO_LAWS; i++)
        assert_non_null(strstr(fit.laws[i].fault, "fewer than 2"));
    assert_non_null(fit.no_intervals); /* three points a curve leave no residuals */
    assert_true(isnan(fit.curves[0].optimum[SR_ISO_LOSS].low));
    const sr_isoflop *one = &fit;
    sr_fitted_law law;
    OK(sr_state_law_fit(ctx, &one, 1, &law));
    assert_non_null(law.fault);
    sr_fitted_law_free(&law);
    sr_isoflop_free(&fit);
}

/* Two budgets, three sizes each: laws through two points, without intervals; and no floor. */
static void test_smallest_experiment(void **state) {
    (void)state;
    const sr_iso_point points[] = {point(1e15, 1e6, 3),   point(1e15, 2e6, 2.8),
                                   point(1e15, 4e6, 3),   point(4e15, 2e6, 2.6),
                                   point(4e15, 4e6, 2.4), point(4e15, 8e6, 2.6)};
    sr_isoflop fit;
    OK(sr_isoflop_fit(ctx, points, 6, &(sr_iso_options){100, 1}, &fit));
    assert_non_null(fit.no_intervals);
    assert_near(fit.laws[SR_LAW_PARAMS].exponent.value, 0.5, 1e-9);
    assert_near(fit.laws[SR_LAW_LOSS].exponent.value, log(2.4 / 2.8) / log(4), 1e-9);
    assert_true(fit.laws[SR_LAW_LOSS].floor.value == 0);
    assert_true(isnan(fit.laws[SR_LAW_PARAMS].exponent.low));
    sr_estimate at;
    OK(sr_fitted_law_at(ctx, &fit.laws[SR_LAW_PARAMS], 4e15, &at));
    assert_near(at.value, 4e6, 1);
    assert_true(isnan(at.low));
    const sr_isoflop *one = &fit;
    sr_fitted_law law;
    OK(sr_state_law_fit(ctx, &one, 1, &law));
    assert_non_null(strstr(law.fault, "without decode state"));
    sr_fitted_law_free(&law);
    sr_isoflop_free(&fit);
}

/* Noise as large as the curvature: many resamples open downwards, so no interval is claimed. */
static void test_drowned_in_noise(void **state) {
    (void)state;
    sr_iso_point points[MOST];
    family f = chinchilla;
    int without = 0;
    f.noise = 2;
    f.e = 10;
    for (int round = 0; round < 20; round++) {
        sr_isoflop fit;
        OK(sr_isoflop_fit(ctx, points, make(&f, points), &(sr_iso_options){200, 1}, &fit));
        for (int k = 0; k < fit.n_curves; k++)
            without += isnan(fit.curves[k].optimum[SR_ISO_PARAMS].low);
        sr_isoflop_free(&fit);
    }
    assert_true(without > 60);
}

static void test_bad_points(void **state) {
    (void)state;
    const double bad[] = {0, -1, NAN, INFINITY};
    sr_isoflop fit;
    for (int field = 0; field < 5; field++)
        for (int i = 0; i < 4; i++) {
            if (field == 3 && bad[i] == 0) continue; /* no state is allowed */
            double p[] = {1e15, 1e6, 1e9, 10, 3};
            p[field] = bad[i];
            const sr_iso_point one = {p[0], p[1], p[2], p[3], p[4]};
            assert_int_equal(sr_isoflop_fit(ctx, &one, 1, &(sr_iso_options){10, 1}, &fit),
                             SARTOR_INVALID);
            sr_isoflop_free(&fit);
        }
    const sr_iso_point one = point(1e15, 1e6, 3);
    assert_int_equal(sr_isoflop_fit(ctx, &one, 0, &(sr_iso_options){10, 1}, &fit), SARTOR_INVALID);
    assert_int_equal(sr_isoflop_fit(ctx, &one, 1, &(sr_iso_options){-1, 1}, &fit), SARTOR_INVALID);
    OK(sr_isoflop_fit(ctx, &one, 1, &(sr_iso_options){10, 1}, &fit));
    sr_isoflop_free(&fit);

    static sr_iso_point many[SR_MOST_CURVES + 1];
    for (int i = 0; i <= SR_MOST_CURVES; i++) many[i] = point(1e15 + i, 1e6, 3);
    OK(sr_isoflop_fit(ctx, many, SR_MOST_CURVES, &(sr_iso_options){1, 1}, &fit));
    sr_isoflop_free(&fit);
    assert_int_equal(sr_isoflop_fit(ctx, many, SR_MOST_CURVES + 1, &(sr_iso_options){1, 1}, &fit),
                     SARTOR_INVALID);
    sr_isoflop_free(&fit);
}

/* Sizes 1e-30 and 1e30 apart, budgets at the ends of a double: answers or faults, never a crash. */
static void test_extremes(void **state) {
    (void)state;
    for (int round = 0; round < 300; round++) {
        sr_iso_point points[24];
        for (int i = 0; i < 24; i++)
            points[i] = (sr_iso_point){pow(10, 100 * (i % 4)), pow(10, uniform(-300, 300)),
                                       pow(10, uniform(-300, 300)), round % 2 * uniform(0, 1e9),
                                       pow(10, uniform(-30, 30))};
        sr_isoflop fit;
        OK(sr_isoflop_fit(ctx, points, 24, &(sr_iso_options){20, 1}, &fit));
        sr_isoflop_free(&fit);
    }
}

static int setup(void **state) {
    (void)state;
    ctx = sartor_context_create();
    return ctx == NULL;
}

static int teardown(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_squares),
        cmocka_unit_test(test_ill_conditioned),
        cmocka_unit_test(test_dependent_columns),
        cmocka_unit_test(test_floor_law),
        cmocka_unit_test(test_floor_law_is_least),
        cmocka_unit_test(test_floor_law_refuses),
        cmocka_unit_test(test_known_exponents),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_same_seed_same_bits),
        cmocka_unit_test(test_shared_state_law),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_smallest_experiment),
        cmocka_unit_test(test_drowned_in_noise),
        cmocka_unit_test(test_bad_points),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
