#include "probe/power_law.h"

#include "probe/least_squares.h"

#include <math.h>

bool sr_power_law_fit(const double *log_x, const double *log_y, int n, sr_power_law *law) {
    law->floor = 0;
    return sr_line_fit(log_x, log_y, n, &law->log_coefficient, &law->exponent);
}

double sr_power_law_at(const sr_power_law *law, double log_x) {
    return law->floor + exp(law->log_coefficient + law->exponent * log_x);
}

/* ---- with a floor ---- */

typedef struct falling {
    const double *log_x, *y;
    int n;
    double middle; /* of log_x: x is measured from there, so that A and E are of one size */
} falling;

static double term(const falling *f, double gamma, int i) {
    return exp(-gamma * (f->log_x[i] - f->middle));
}

static double squares(const falling *f, double gamma, double floor, double a) {
    double sum = 0;
    for (int i = 0; i < f->n; i++) {
        const double e = f->y[i] - floor - a * term(f, gamma, i);
        sum += e * e;
    }
    return sum;
}

/* The best E and A for one gamma, and the squares that they leave. A bound that the free solution
 * breaks holds with equality in the bounded one, as the problem is convex. */
static double project(const falling *f, double gamma, double *floor, double *a) {
    double mean_t = 0, mean_y = 0, tt = 0, ty = 0;
    for (int i = 0; i < f->n; i++) {
        mean_t += term(f, gamma, i) / f->n;
        mean_y += f->y[i] / f->n;
    }
    for (int i = 0; i < f->n; i++) {
        const double t = term(f, gamma, i) - mean_t;
        tt += t * t;
        ty += t * (f->y[i] - mean_y);
    }
    *a = ty / tt;
    *floor = mean_y - *a * mean_t;
    if (*a < 0) {
        *a = 0;
        *floor = mean_y;
    } else if (*floor < 0) { /* through the origin: the plain sums */
        *a = (ty + f->n * mean_t * mean_y) / (tt + f->n * mean_t * mean_t);
        *floor = 0;
    }
    return squares(f, gamma, *floor, *a);
}

static double squares_at(const falling *f, double log_gamma) {
    double floor, a;
    return project(f, exp(log_gamma), &floor, &a);
}

/* A grid finds the valley, golden sections its bottom. */
static double best_log_gamma(const falling *f) {
    enum { GRID = 64, SECTIONS = 60 };
    const double low = log(0.01), high = log(3.0), golden = 0.6180339887498949;
    int best = 0;
    double least = INFINITY;
    for (int i = 0; i <= GRID; i++) {
        const double left_over = squares_at(f, low + (high - low) * i / GRID);
        if (left_over < least) {
            least = left_over;
            best = i;
        }
    }
    double a = low + (high - low) * (best > 0 ? best - 1 : 0) / GRID;
    double b = low + (high - low) * (best < GRID ? best + 1 : GRID) / GRID;
    double left = b - golden * (b - a), right = a + golden * (b - a);
    double at_left = squares_at(f, left), at_right = squares_at(f, right);
    for (int i = 0; i < SECTIONS; i++) {
        if (at_left <= at_right) {
            b = right;
            right = left;
            at_right = at_left;
            left = b - golden * (b - a);
            at_left = squares_at(f, left);
        } else {
            a = left;
            left = right;
            at_left = at_right;
            right = a + golden * (b - a);
            at_right = squares_at(f, right);
        }
    }
    return (a + b) / 2;
}

static int different(const double *x, int n) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool first = true;
        for (int j = 0; j < i; j++) first = first && x[j] != x[i];
        count += first;
    }
    return count;
}

bool sr_floor_law_fit(const double *log_x, const double *y, int n, sr_power_law *law) {
    double intercept, slope, a;
    if (different(log_x, n) < 4 || !sr_line_fit(log_x, y, n, &intercept, &slope) || slope >= 0)
        return false;
    falling f = {.log_x = log_x, .y = y, .n = n};
    for (int i = 0; i < n; i++) f.middle += log_x[i] / n;
    const double gamma = exp(best_log_gamma(&f));
    (void)project(&f, gamma, &law->floor, &a);
    if (!(a > 0)) return false;
    law->exponent = -gamma;
    law->log_coefficient = log(a) + gamma * f.middle;
    return isfinite(law->log_coefficient) && isfinite(law->floor);
}
