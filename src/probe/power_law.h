/* Power laws y = floor + coefficient x^exponent through few points, as scaling laws are fitted.
 *
 * Coefficients are kept as logarithms: at x = 1 FLOP they may lie beyond the range of a double. */
#ifndef SR_PROBE_POWER_LAW_H
#define SR_PROBE_POWER_LAW_H

#include <stdbool.h>

typedef struct sr_power_law {
    double log_coefficient, exponent, floor;
} sr_power_law;

/* floor = 0: a straight line through (ln x, ln y). False with fewer than two different x. */
bool sr_power_law_fit(const double *log_x, const double *log_y, int n, sr_power_law *law);

/* A loss that falls towards a floor, L = E + A x^-gamma with E >= 0 and A > 0 (Hoffmann et al.
 * 2022, equation 2, along the compute-optimal sizes): least squares in L. For a fixed gamma the
 * problem is linear in E and A, so only gamma is searched (variable projection, Golub and Pereyra
 * 1973), in 0.01..3. False with fewer than four different x, or where y does not fall. */
bool sr_floor_law_fit(const double *log_x, const double *y, int n, sr_power_law *law);

double sr_power_law_at(const sr_power_law *law, double log_x);

#endif
