/* Plain C truths: what every vector kernel is tested against, written to be read next to the
 * formula. Compiled with SR_TRUTH_REAL = float and double; all floating views of a call have that
 * type. */
#ifndef SR_OP_TRUTH_H
#define SR_OP_TRUTH_H

#include "op/op.h"
#include <math.h>
#include <string.h>

typedef SR_TRUTH_REAL real;

#define SR_TRUTH_PASTE_(f, s) sr_##f##_truth_##s
#define SR_TRUTH_PASTE(f, s)  SR_TRUTH_PASTE_(f, s)
#define SR_TRUTH(f)           SR_TRUTH_PASTE(f, SR_SUFFIX)

static inline real *row(const sr_view *v, int64_t r) { return (real *)v->data + r * v->stride; }

/* Writes or adds one gradient element; does nothing when the gradient is not wanted. */
static inline void put(const sr_grad *g, int64_t r, int64_t c, real value) {
    if (g->view.data == NULL) return;
    real *p = row(&g->view, r) + c;
    *p = g->add ? *p + value : value;
}
/* Zeroes a gradient that will then be summed into with sum_into(). */
static inline void start(const sr_grad *g) {
    if (g->view.data == NULL || g->add) return;
    for (int64_t r = 0; r < g->view.rows; r++)
        memset(row(&g->view, r), 0, (size_t)g->view.cols * sizeof(real));
}
static inline void sum_into(const sr_grad *g, int64_t r, int64_t c, real value) {
    if (g->view.data != NULL) row(&g->view, r)[c] += value;
}

/* Entry i of a decode state, whatever its type. */
static inline real state_get(const sr_state *s, int64_t i) {
    switch (s->type) {
    case SR_F64:
        return (real)((const double *)s->data)[i];
    case SR_F16:
        return (real)((const sr_half *)s->data)[i];
    default:
        return (real)((const float *)s->data)[i];
    }
}
static inline void state_set(const sr_state *s, int64_t i, real value) {
    switch (s->type) {
    case SR_F64:
        ((double *)s->data)[i] = (double)value;
        break;
    case SR_F16:
        ((sr_half *)s->data)[i] = (sr_half)value;
        break;
    default:
        ((float *)s->data)[i] = (float)value;
        break;
    }
}

static inline real sigmoid(real x) { return 1 / (1 + (real)exp(-(double)x)); }

#endif
