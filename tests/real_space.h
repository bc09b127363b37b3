/* Spaces and problems for testing search algorithms: vectors of real numbers in [0, 1] with the
 * operators of the textbook, short words over a small alphabet, and functions with known fronts. */
#ifndef REAL_SPACE_H
#define REAL_SPACE_H

#include "search/space.h"

enum { REALS_MOST = 32, WORD_LETTERS = 12, ALPHABET = 6 };

typedef struct real_vector {
    double x[REALS_MOST];
} real_vector;

/* Simulated binary crossover (Deb and Agrawal 1995; probability 0.9, eta 15, every variable with
 * probability 0.5) and polynomial mutation (Deb and Goyal 1996; eta 20). `n` outlives the space. */
sr_space real_space(const int *n);

typedef struct word {
    char letter[WORD_LETTERS]; /* 0 .. ALPHABET - 1 */
} word;

/* Two-point crossover; mutation draws a letter anew. */
sr_space word_space(void);

/* A function to minimise: fills the objectives, returns the violation. */
typedef double (*problem_fn)(const void *candidate, double *values);

/* Zitzler, Deb and Thiele, "Comparison of multiobjective evolutionary algorithms", 2000; 30
 * variables. Deb et al., "Scalable multi-objective optimization test problems", 2002; 12
 * variables, 3 objectives. */
double zdt1(const void *candidate, double *values);
double zdt2(const void *candidate, double *values);
double zdt3(const void *candidate, double *values);
double dtlz2(const void *candidate, double *values);
/* Letters that are not 0, letters that are not 1 (in even places) or 0 (in odd ones). */
double two_words(const void *candidate, double *values);
/* The same; the first letter 4 is beyond a limit, 5 fails. */
double two_words_limited(const void *candidate, double *values);

#endif
