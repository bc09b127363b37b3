#include "probe/least_squares.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

static double dot(const double *a, const double *b, int n, int stride) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += a[i * stride] * b[i * stride];
    return sum;
}

/* Takes what column j has of the columns before it, twice: a single pass of Gram-Schmidt loses
 * orthogonality with the condition of A, a second restores it (Giraud et al. 2005). Returns the
 * length of what is left. */
static double orthogonalise(sr_design *d, int j) {
    const int k = d->unknowns;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < j; i++) {
            const double along = dot(d->q + i, d->q + j, d->rows, k);
            d->r[i * SR_MAX_UNKNOWNS + j] += along;
            for (int row = 0; row < d->rows; row++) d->q[row * k + j] -= along * d->q[row * k + i];
        }
    return sqrt(dot(d->q + j, d->q + j, d->rows, k));
}

static bool factorise(sr_design *d) {
    const double smallest = 1e-12; /* of a column that is new, relative to its length */
    const int k = d->unknowns;
    for (int j = 0; j < k; j++) {
        const double before = sqrt(dot(d->q + j, d->q + j, d->rows, k));
        const double left = orthogonalise(d, j);
        if (!(left > smallest * before) || !isfinite(left)) return false;
        d->r[j * SR_MAX_UNKNOWNS + j] = left;
        for (int row = 0; row < d->rows; row++) d->q[row * k + j] /= left;
    }
    return true;
}

sartor_status sr_design_make(sartor_context *ctx, const double *a, int rows, int unknowns,
                             sr_design *design) {
    *design = (sr_design){.rows = rows, .unknowns = unknowns};
    if (unknowns < 1 || unknowns > SR_MAX_UNKNOWNS || rows < unknowns)
        return sr_fail(ctx, SARTOR_INVALID, "least squares: %d values for %d unknowns", rows,
                       unknowns);
    const size_t n = (size_t)rows * (size_t)unknowns;
    SR_TRY(sr_alloc(ctx, n, sizeof(double), "a design", (void **)&design->q));
    for (size_t i = 0; i < n; i++) design->q[i] = a[i];
    if (factorise(design)) return SARTOR_OK;
    sr_design_free(design);
    return sr_fail(ctx, SARTOR_INVALID, "least squares: the columns are linearly dependent");
}

void sr_design_free(sr_design *design) {
    free(design->q);
    *design = (sr_design){0};
}

void sr_design_solve(const sr_design *d, const double *y, double *x) {
    const int k = d->unknowns;
    for (int j = k - 1; j >= 0; j--) {
        double sum = 0;
        for (int row = 0; row < d->rows; row++) sum += d->q[row * k + j] * y[row];
        for (int i = j + 1; i < k; i++) sum -= d->r[j * SR_MAX_UNKNOWNS + i] * x[i];
        x[j] = sum / d->r[j * SR_MAX_UNKNOWNS + j];
    }
}

double sr_design_leverage(const sr_design *d, int row) {
    return dot(d->q + row * d->unknowns, d->q + row * d->unknowns, d->unknowns, 1);
}

bool sr_line_fit(const double *x, const double *y, int n, double *intercept, double *slope) {
    double mx = 0, my = 0, xx = 0, xy = 0, largest = 0;
    for (int i = 0; i < n; i++) {
        mx += x[i] / n;
        my += y[i] / n;
    }
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
        largest = fmax(largest, fabs(x[i]));
    }
    /* Equal x differ by rounding at most. */
    if (!(sqrt(xx) > 1e-12 * largest) || !isfinite(xx) || !isfinite(xy)) return false;
    *slope = xy / xx;
    *intercept = my - *slope * mx;
    return isfinite(*slope) && isfinite(*intercept);
}
