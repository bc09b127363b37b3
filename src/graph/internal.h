/* What building, planning and running share. */
#ifndef SR_GRAPH_INTERNAL_H
#define SR_GRAPH_INTERNAL_H

#include "graph/graph.h"

typedef enum value_kind {
    VALUE_PARAM,
    VALUE_IDS,
    VALUE_EXTERNAL,
    VALUE_SLICE,
    VALUE_NODE
} value_kind;

/* A place in the arena: rows of `root`'s block, from column `column` on. Slices lie in their base,
 * in-place results in their input; a root lies in itself. */
typedef struct place {
    int root;
    int64_t column;
} place;

typedef struct value {
    value_kind kind;
    sr_view view; /* stride and data are filled in by planning and binding */
    bool gradient;
    bool output;
    int node;                     /* VALUE_NODE: its producer */
    int base;                     /* VALUE_SLICE */
    int64_t column;               /* VALUE_SLICE */
    int first_param, param_count; /* VALUE_PARAM */
    int external;                 /* VALUE_EXTERNAL */
    int uses, last_use;           /* consumers, and the last of them */
    int needed;                   /* last time at which the data is read */
    place data, grad;
    int64_t data_offset, grad_offset;           /* of roots, in the arena */
    int data_from, data_to, grad_from, grad_to; /* of roots: times of life */
} value;

typedef struct node {
    const sr_op *op;
    sr_value in[SR_MAX_IN];
    sr_value out; /* -1: none */
    int state[SR_MAX_STATE];
    bool backward; /* its backward runs */
    sr_call forward_call, backward_call;
    bool keep_gradient_add[SR_MAX_IN]; /* din.add as planned, for parameters */
    int64_t saved_offset, forward_scratch, backward_scratch; /* -1: none */
    int times;                                               /* entry in the profile */
} node;

typedef struct state_piece {
    int64_t capacity, width;
    bool cache;
} state_piece;

struct sr_graph {
    sartor_context *ctx;
    const sr_schema *schema;
    sr_graph_options options;
    sartor_status status; /* the first error of building */
    value *value;
    int values, value_room;
    node *node;
    int nodes, node_room;
    state_piece *state;
    int states, state_room;
    int64_t arena_bytes;
    sr_bindings bound;
    bool *param_zero; /* gradients to clear at the start of backward */
    bool profile;
    sr_op_time *times;
    int time_count;
};

/* Time of a node's backward pass, in the numbering where forward passes are 0..nodes - 1. */
static inline int backward_time(const sr_graph *g, int index) { return 2 * g->nodes - 1 - index; }

static inline int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

#endif
