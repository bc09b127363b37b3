/* How far Adam can move a weight in one step. */
#ifndef ADAM_BOUND_H
#define ADAM_BOUND_H

#include <math.h>

/* The most, in learning rates, that any gradients can make of the own step t >= 1 (Cauchy-Schwarz
 * on the two averages): 1 at first, 1.0014 at the second step, 2.24 at the hundredth (beta2 =
 * 0.999; 1.16 with 0.95), which takes a burst after a long rest. */
static inline double adam_most(int t, double beta2) {
    double sum = 0;
    for (int j = 0; j < t; j++) {
        double w = 0.1 * pow(0.9, j) / (1 - pow(0.9, t));
        sum += w * w / ((1 - beta2) * pow(beta2, j) / (1 - pow(beta2, t)));
    }
    return sqrt(sum);
}

#endif
