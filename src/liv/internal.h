/* What the three builders of a unit share. */
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

/* Heads of an attention unit. */
typedef struct sr_heads {
    int heads, kv_heads, head_dim;
} sr_heads;
sr_heads sr_unit_heads(const sr_class *class_, const sr_sizes *sizes);

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

sartor_status sr_featurizer_declare(sr_declare *d);
sr_groups sr_featurizer_emit(sr_build *b, sr_unit *u, int branch, sr_value n);
sartor_status sr_filter_declare(sr_declare *d);
sr_value sr_filter_emit(sr_build *b, sr_unit *u, int branch);
sr_value sr_token_mixing_emit(sr_build *b, sr_unit *u, int branch, const sr_groups *groups);

static inline sr_value sr_weight(sr_build *b, const sr_unit *u, int branch, sr_slot slot) {
    return sr_graph_param(b->graph, u->slot[branch][slot], 1);
}

#endif
