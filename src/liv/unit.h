/* LIV units: from class, sizes and sharing to parameters in a schema and operators in a graph.
 *
 * A unit of the paper's families is compiled from its operator code by three builders: the
 * featurizer declares the weights and emits the feature groups, the token mixing turns them into
 * one value per channel, the channel mixing projects it back and adds it to the residual stream. A
 * unit that is taken whole from another publication brings the first two in one file
 * (liv/internal.h). A differential unit runs two branches and subtracts the second. */
#ifndef SR_LIV_UNIT_H
#define SR_LIV_UNIT_H

#include "graph/graph.h"
#include "liv/class.h"
#include "liv/sizes.h"

/* The weights of one branch, as numbers in the schema; -1 where the branch has none. In the terms
 * of LIV theory, C is the query or output gate, B the key or input gate, V the value or input. */
typedef enum sr_slot {
    SR_SLOT_C,
    SR_SLOT_B,
    SR_SLOT_V,
    SR_SLOT_CONV_C,
    SR_SLOT_CONV_B,
    SR_SLOT_CONV_V,
    SR_SLOT_CONV_BIAS,
    SR_SLOT_Z,
    SR_SLOT_DT_IN,
    SR_SLOT_DT,
    SR_SLOT_DT_BIAS,
    SR_SLOT_A,
    SR_SLOT_D,
    SR_SLOT_FILTER_IN, /* weight, bias, freq of each layer, in this order */
    SR_SLOT_FILTER_LAST = SR_SLOT_FILTER_IN + 3 * (1 + SR_FILTER_INNER) - 1,
    SR_SLOT_FILTER_OUT,
    SR_SLOT_FILTER_DECAY,
    SR_SLOT_FILTER_POSITIONS,
    SR_SLOT_FILTER_SKIP,
    SR_SLOT_ROPE,
    SR_SLOT_OUT, /* from here to SR_SLOT_OUT_BIAS: what writes the residual stream */
    SR_SLOT_OUT_EXPERTS,
    SR_SLOT_OUT_BIAS,
    SR_SLOT_OWN, /* and the next SR_OWN_SLOTS - 1: what a family of its own file names */
    SR_SLOTS = SR_SLOT_OWN + 20
} sr_slot;

enum { SR_BRANCHES = 2 };

typedef struct sr_unit {
    const sr_class *class_;
    sr_unit_sizes size;
    int index; /* LIV, from 0 */
    int norm;  /* parameter */
    int slot[SR_BRANCHES][SR_SLOTS];
    /* Sharing (genome/genome.h): who computes feature f, who owns its weights (-1: not needed),
     * who owns the other featurizer weights. */
    int feature_source[2], weight_owner[2], rest_owner;
    /* Rows of the caches of shared features B and V (K and V of attention), 0 where nobody needs
     * one; decided over all readers. */
    int64_t cache_rows[2];
    /* While a graph is built: what this unit computed and where it keeps it. */
    sr_value feature[SR_BRANCHES][2]; /* in sr_family_features() order */
    int cache[SR_BRANCHES][2];        /* state pieces of K and V */
    sr_value filter[SR_BRANCHES];
    sr_value out_gate;    /* its sigmoid multiplies what the output projection makes */
    sr_value out_experts; /* a second output projection reads it */
} sr_unit;

/* The sizes of a new unit. SARTOR_INVALID with the reason when a class cannot have the model's. */
sartor_status sr_unit_sizes_default(sartor_context *ctx, const sr_class *class_,
                                    const sr_sizes *sizes, sr_unit_sizes *unit);
/* Of a unit with sizes of its own: SARTOR_INVALID unless it has the axes of the default ones, in
 * range, and heads that are a multiple of those of keys and values. */
sartor_status sr_unit_sizes_check(sartor_context *ctx, const sr_class *class_,
                                  const sr_unit_sizes *unit);
/* Why an axis of the class cannot grow without changing what the unit computes; NULL: it can. */
const char *sr_unit_fixed(const sr_class *class_, sr_axis_kind kind);

/* Whether a unit of one class can become one of the other: the same class, or a mixture of experts
 * that begins as copies of a dense unit with the same features. */
bool sr_class_grows_into(const sr_class *from, const sr_class *to);

/* Declares the parameters of unit `i`, whose class, sizes and sharing are set; units before it are
 * declared already. `livs` scales the output projections' initial values. */
sartor_status sr_unit_declare(sartor_context *ctx, sr_schema *schema, const sr_sizes *sizes,
                              sr_unit *units, int i, int livs);

/* Cache rows of all units at a decoding context. */
void sr_unit_plan_caches(const sr_sizes *sizes, sr_unit *units, int n, int64_t context);

/* One graph under construction. */
typedef struct sr_build {
    sr_graph *graph;
    const sr_schema *schema;
    const sr_sizes *sizes;
    sr_unit *units;
    bool external_filters; /* decoding: filters were computed before (sr_unit_filter()) */
    int64_t context;       /* of the decode state */
    int n_late;            /* caches to write when every reader has read them */
    struct {
        sr_value value;
        int state;
    } * late; /* room for SR_BRANCHES * 2 per unit */
} sr_build;

/* Emits unit i on the residual stream x and returns the new stream. */
sr_value sr_unit_emit(sr_build *b, int i, sr_value x);
/* Emits the cache writes, after all units. */
void sr_unit_emit_late(sr_build *b);

/* Long filters: how many different ones the model has, and of number `index` its elements
 * (filter_length rows) and its emission. */
int sr_unit_filters(const sr_unit *units, int n);
int64_t sr_unit_filter_elements(const sr_sizes *sizes, const sr_unit *units, int n, int index);
sr_value sr_unit_filter(sr_build *b, int n, int index);

#endif
