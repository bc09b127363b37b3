/* What the builders of units share.
 *
 * A family is a table of four functions. Those of the paper's families are composed from the
 * operator code by featurizer.c and token_mixing.c; a unit that is taken whole from one publication
 * has a file of its own. */
#ifndef SR_LIV_INTERNAL_H
#define SR_LIV_INTERNAL_H

#include "liv/unit.h"

/* Feature groups of one branch on their way from featurizer to token mixing. */
typedef struct sr_groups {
    sr_value c, b, v; /* query, key, value; C, B, x; gate, -, value */
    sr_value z, dt;   /* recurrences */
    sr_value filter;  /* long convolutions */
    int gate_map;     /* GMemless: the map of the unit that computed the gate */
} sr_groups;

/* The long filter of a unit, and the network that makes it. */
typedef struct sr_filter {
    int64_t channels; /* 0: the class has no long filter */
    int64_t features; /* of a position */
    int64_t width;    /* of the layers */
    bool learned;     /* trained features, one vector of frequencies for all layers, a skip */
    int64_t band;     /* lags from here on are 0; 0: none */
} sr_filter;
sr_filter sr_filter_of(const sr_unit *unit, const sr_sizes *sizes);

/* Declaring: what a featurizer and an output projection say about one tensor. */
typedef struct sr_declare {
    sartor_context *ctx;
    sr_schema *schema;
    const sr_sizes *sizes;
    sr_unit *units;
    sr_unit *unit;
    int branch, livs;
} sr_declare;

enum { SR_OWN = -1, SR_REST = -2 }; /* instead of a shared feature's index */

/* Declares a tensor in a slot, or takes over the owner's where weights are shared. `feature`: the
 * shared feature it makes, SR_REST (other featurizer weights) or SR_OWN (never shared). The last
 * axis given is the matrix's columns. */
sartor_status sr_declare_tensor(sr_declare *d, sr_slot slot, const char *name, int feature,
                                sr_init init, bool decay, int axes, const sr_axis *axis);

/* How the units of one family are built. */
typedef struct sr_family_builder {
    /* The sizes of a new unit: an entry per axis that the unit has of its own, and the constants.
     * SARTOR_INVALID with the reason when the class cannot have these sizes. */
    sartor_status (*sizes)(sartor_context *ctx, const sr_class *class_, const sr_sizes *sizes,
                           sr_unit_sizes *unit);
    /* The weights of one branch, all but the norm before it and the output projection. */
    sartor_status (*declare)(sr_declare *d);
    /* From the normed stream n to what the output projection reads; sets u->out_gate where a gate
     * follows that projection, u->out_experts where there is a second one. */
    sr_value (*emit)(sr_build *b, sr_unit *u, int branch, sr_value n);
    /* The axes that the output projection reads, outermost first; returns how many (1..2). */
    int (*out)(const sr_unit *unit, sr_axis axis[2]);
    /* Why an axis of the unit cannot grow without changing what it computes; NULL: it can. */
    const char *(*fixed)(const sr_class *class_, sr_axis_kind kind);
} sr_family_builder;

const sr_family_builder *sr_family_builder_of(const sr_class *class_);

/* Units with a file of their own. */
extern const sr_family_builder sr_family_mlp, sr_family_moe, sr_family_hyena, sr_family_linear,
    sr_family_delta, sr_family_rwkv, sr_family_rwkv_channels;

/* The paper's families, by operator code. */
sartor_status sr_featurizer_declare(sr_declare *d);
sr_groups sr_featurizer_emit(sr_build *b, sr_unit *u, int branch, sr_value n);
/* `channels`: the axes of the filter's channels, written by it. */
sartor_status sr_filter_declare(sr_declare *d, int axes, const sr_axis *channels);
sr_value sr_filter_emit(sr_build *b, sr_unit *u, int branch);
sr_value sr_token_mixing_emit(sr_build *b, sr_unit *u, int branch, const sr_groups *groups);

/* ---- what builders are made of ---- */

/* Initial values of a matrix that multiplies. */
#define SR_INIT_MATRIX ((sr_init){SR_INIT_NORMAL, 0.02, 0})
/* And of a bias. */
#define SR_INIT_ZERO ((sr_init){SR_INIT_CONSTANT, 0, 0})

/* An axis of the unit, as one tensor has it. */
static inline sr_axis sr_unit_axis(const sr_unit *unit, sr_axis_kind kind, sr_axis_role role,
                                   sr_between between) {
    return (sr_axis){kind, role, between, unit->size.axis[kind]};
}

/* The residual stream as what a weight reads. */
sr_axis sr_model_axis(const sr_declare *d);
/* Heads of matrix states with a norm of their own, twice as wide as those of attention: sets heads,
 * keys, values and the norm's divisor. SARTOR_INVALID where they do not fill the width. */
sartor_status sr_size_state_heads(sartor_context *ctx, const sr_class *class_,
                                  const sr_sizes *model, sr_unit_sizes *unit);

/* Taps of a short depthwise convolution, one filter for each coordinate of the axes given. */
sartor_status sr_declare_taps(sr_declare *d, sr_slot slot, const char *name, int feature, int axes,
                              const sr_axis *channels);
/* A projection to the residual stream, of what has the axes given. */
sartor_status sr_declare_out(sr_declare *d, sr_slot slot, const char *name, int axes,
                             const sr_axis *read);
/* A bias or a gain: one number for each coordinate of the axes given. */
sartor_status sr_declare_vector(sr_declare *d, sr_slot slot, const char *name, int feature,
                                sr_init init, int axes, const sr_axis *axis);

/* Multiplies one input by several weights: neighbours in the flat buffer make one product. Weights
 * that the branch does not have (slot -1) leave their result alone. `real`: results are SR_REAL. */
void sr_project(sr_build *b, const sr_unit *u, int branch, sr_value x, bool real, int n,
                const sr_slot *slots, sr_value **results);
/* A short causal depthwise convolution, with its state; `bias` SR_SLOTS: none. */
sr_value sr_convolve(sr_build *b, const sr_unit *u, int branch, sr_value x, sr_slot taps,
                     sr_slot bias, bool silu);
/* Keeps a feature that this unit computes, or fetches it from the unit that does. */
sr_value sr_shared(sr_build *b, sr_unit *u, int branch, int feature, sr_value own);
/* map(x), entrywise */
sr_value sr_map(sr_build *b, sr_value x, int map);
/* map(first) * second */
sr_value sr_gate(sr_build *b, sr_value first, sr_value second, int map);
/* x + bias */
sr_value sr_bias(sr_build *b, const sr_unit *u, int branch, sr_value x, sr_slot bias);

static inline sr_value sr_weight(sr_build *b, const sr_unit *u, int branch, sr_slot slot) {
    return sr_graph_param(b->graph, u->slot[branch][slot], 1);
}

#endif
