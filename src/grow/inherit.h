/* A child's weights from its parents': what architectures of equal sizes have in common.
 *
 * A LIV agrees with that of a parent at the same depth when it can compute there what it computed
 * in the parent: equal class and sizes of its own, the same features read from LIVs that come from
 * the same parent, and no claim of an earlier LIV on its (now shared) weights. So weights that are
 * shared no more are copied, and of LIVs that newly share weights the first keeps its own. Every
 * LIV that agrees is copied; every other is changed, and begins with a zero output (layer addition
 * of Gesmundo and Maile, arXiv 2308.06103, equation 40), so that the child computes what its
 * other LIVs compute without it. Stored constants (rotations, decays of filters) are the child's
 * own. */
#ifndef SR_GROW_INHERIT_H
#define SR_GROW_INHERIT_H

#include "model/model.h"

enum { SR_MAX_PARENTS = 2, SR_CHANGED = -1 };

typedef struct sr_inheritance {
    int from[SR_MAX_LIVS]; /* of every LIV: the index of a parent, or SR_CHANGED */
    int64_t parameters;    /* trained ones of the child, embeddings included */
    int64_t inherited;     /* of these, those that a parent had */
} sr_inheritance;

/* What a child takes from its `n` parents (1 or 2): embedding, final norm and unembedding from the
 * first, a LIV from the first with which it agrees. No model needs weights. SARTOR_INVALID where a
 * parent has other sizes or another number of LIVs. */
sartor_status sr_inherit_plan(sartor_context *ctx, const sr_model *child,
                              const sr_model *const *parent, int n, sr_inheritance *told);

/* Does it: fills child->params, which are allocated; all that is not inherited is from `seed` as by
 * sr_model_init(). Parents have weights, and SARTOR_INVALID unless their constants are the child's.
 */
sartor_status sr_inherit(sartor_context *ctx, sr_model *child, const sr_model *const *parent, int n,
                         uint64_t seed, sr_inheritance *told);

#endif
