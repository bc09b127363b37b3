/* Function-preserving growth: how a model lies inside a larger one, and tensors of the larger one
 * made from those of the smaller.
 *
 * What holds: the larger model computes what the smaller one does. Old entries are copied, never
 * rescaled, because constants that were computed from a size (the divisors of norms, the scale of
 * q.k, frequencies) are stored and stay. A new entry is free (grow/free_entries.h) or zero, as
 * its tensor's axes say (tensor/schema.h): of the tensors around new coordinates of an axis one
 * side is zero, so that they are silent, and the other free, so that they can learn.
 *
 * Sources: Gesmundo & Maile 2023 (arXiv 2308.06103), section 3, for the six transformations of a
 * Transformer; the rules for norms, products and gates follow from the same argument
 * (docs/growth.md). */
#ifndef SR_GROW_GROWTH_H
#define SR_GROW_GROWTH_H

#include "model/model.h"

/* Where the coordinates of a larger unit come from. */
typedef struct sr_unit_origin {
    int unit;       /* its number in the smaller model, or -1: a new unit */
    int64_t spread; /* pair i of rotated channels went to pair i * spread; 1: in place */
    int64_t copies; /* every head of keys and values became so many equal ones; 1: as it was */
} sr_unit_origin;

/* One tensor of the larger model. */
typedef struct sr_grown_tensor {
    const sr_param *from, *to; /* from: NULL where all of it is new */
    int64_t *map[SR_MAX_AXES]; /* old coordinate of each new one along each axis, -1: new */
    int64_t old[SR_MAX_AXES];  /* sizes before */
    bool copied[SR_MAX_AXES];  /* an axis that was not there: all coordinates are equal */
    int fill[SR_MAX_AXES];     /* what new coordinates hold */
} sr_grown_tensor;

typedef struct sr_growth {
    const sr_model *from;   /* the caller's */
    sr_model *to;           /* without weights until sr_model_allocate(); a caller who takes it
                             * leaves NULL, and may then only destroy the growth */
    sr_unit_origin *origin; /* to->genome.n */
    sr_grown_tensor *tensor;
    int tensors;  /* to->schema.count */
    bool stacked; /* new units are whole copies (sr_growth_stack()) */
    bool exact;   /* false: an axis grew that cannot without changing the function, or units are
                   * stacked */
} sr_growth;

/* Compiles the larger model. `units` and `origin`: an entry per LIV of `genome`, whose LIVs that
 * are not new are those of `from` in the same order. Nothing may become smaller; heads must fit
 * (sr_heads_fit()). SARTOR_INVALID with the reason. */
sartor_status sr_growth_create(sartor_context *ctx, const sr_model *from, const sr_genome *genome,
                               const sr_sizes *sizes, const sr_unit_sizes *units,
                               const sr_unit_origin *origin, sr_growth **growth);
void sr_growth_destroy(sr_growth **growth);

/* Depth stacking (Gong et al. 2019; Du et al. 2024, arXiv 2405.15319): before any tensor is made,
 * new units become whole copies of the old ones of their class, which changes the function. False,
 * and nothing changes, where there is no such unit. */
bool sr_growth_stack(sr_growth *growth);

/* How often every head of keys and values is copied when heads grow: query heads of a group stay in
 * it, and either groups are added (1), or each group is cut into equal ones that begin with its
 * keys and values (2 ..). 0: neither is possible. */
int64_t sr_heads_fit(int64_t heads, int64_t kv_heads, int64_t new_heads, int64_t new_kv_heads);

/* Weights: old entries copied; new ones zero, the mean of old ones, or as they are in `to`, which
 * sr_model_init() has filled. */
void sr_growth_weights(const sr_growth *growth, const float *from, float *to);
/* The same, into to->params, which are allocated, from from->params. What is free is drawn from
 * `seed`, and is not what a new model of that seed begins with: else a new coordinate would often
 * repeat the beginnings of an old one. */
void sr_growth_fill(const sr_growth *growth, uint64_t seed);
/* Moments of the optimiser: old entries copied (nothing is rescaled), new ones zero. */
void sr_growth_moments(const sr_growth *growth, const float *from, float *to);
/* Which growth made each entry: old ones copied (0 where `from` is NULL), new ones `generation`. */
void sr_growth_generations(const sr_growth *growth, const uint8_t *from, uint8_t generation,
                           uint8_t *to);
/* The way back: from a flat buffer of `to` the entries that lie in `from`. */
void sr_growth_shrink(const sr_growth *growth, const float *to, float *from);
void sr_growth_shrink_generations(const sr_growth *growth, const uint8_t *to, uint8_t *from);

/* Whether an entry of a tensor that was there (from != NULL) is an old one or the mean of old ones,
 * and neither silent nor free. */
bool sr_grown_from_old(const sr_grown_tensor *tensor, int64_t index);

/* What growth does to one parameter of `to`. */
typedef struct sr_growth_change {
    int64_t entries, fresh; /* all entries; new ones that were trained from nothing */
    int64_t zero;           /* of the new ones */
} sr_growth_change;
sr_growth_change sr_growth_of(const sr_growth *growth, int param);

#endif
