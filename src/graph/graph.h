/* Static graphs: build, check shapes, plan memory, run forward and backward, step.
 *
 * A graph is one computation for fixed batch and length over parameters in flat buffers. Building
 * it checks every shape; planning lays every activation, gradient and scratch block into one arena
 * by liveness, so that the peak memory is known before anything runs; binding fills in addresses;
 * running calls kernels in order and allocates nothing. Backward runs the same nodes in reverse. */
#ifndef SR_GRAPH_GRAPH_H
#define SR_GRAPH_GRAPH_H

#include "op/op.h"
#include "tensor/schema.h"

typedef struct sr_graph sr_graph;

/* Number of a value or a state piece; -1 after an error, which then passes through all later calls
 * until sr_graph_plan() reports it. */
typedef int sr_value;

typedef struct sr_graph_options {
    sr_numbers numbers;
    int64_t batch, length;
    bool train;  /* backward will run */
    bool decode; /* states carry over between calls */
    int threads;
} sr_graph_options;

sartor_status sr_graph_create(sartor_context *ctx, const sr_schema *schema,
                              const sr_graph_options *options, sr_graph **graph);
void sr_graph_destroy(sr_graph **graph);

/* Parameters first..first + count - 1 of the schema, which must be adjacent and of equal column
 * count, as one [rows, cols] matrix. */
sr_value sr_graph_param(sr_graph *g, int first, int count);
/* A column of token numbers (batch * length rows) that the caller writes before every run. */
sr_value sr_graph_ids(sr_graph *g);
/* A constant [rows, cols] f32 matrix that the caller keeps: bindings.external[index]. */
sr_value sr_graph_external(sr_graph *g, int index, int64_t rows, int64_t cols);
/* Columns [column, column + columns) of a value. Slices of one value do not overlap, and a value
 * that is sliced is not used whole. */
sr_value sr_graph_slice(sr_graph *g, sr_value value, int64_t column, int64_t columns);

/* A piece of decode state; `cache`: stored in the cache type, else always f32. Returns -1 where the
 * graph does not decode: such an operator sees no state. */
int sr_graph_state(sr_graph *g, int64_t capacity, int64_t width, bool cache);

/* Applies an operator. `inputs` has op->n_in values, SR_NO_VALUE for an absent one; `states` has
 * op->n_state pieces (ignored unless decoding). */
enum { SR_NO_VALUE = -2 };
sr_value sr_graph_op(sr_graph *g, const char *op, sr_attr attr, const sr_value *inputs,
                     const int *states);

/* The value that must survive until the end of a run and can then be read. */
void sr_graph_output(sr_graph *g, sr_value value);

/* Decides every address. Fails with the first error of building. */
sartor_status sr_graph_plan(sr_graph *g);

/* What a plan says. */
int64_t sr_graph_arena_bytes(const sr_graph *g);
double sr_graph_flops(const sr_graph *g); /* forward, whole batch */
int sr_graph_states(const sr_graph *g);
/* Bytes of one state piece for the whole batch when caches have type `cache`. */
int64_t sr_graph_state_bytes(const sr_graph *g, int state, sr_dtype cache);

/* The memory of a run: the caller's. */
typedef struct sr_bindings {
    void *params;          /* schema->elements of f32 (f64 for SR_TRUTH_F64) */
    void *params_bf16;     /* the same rounded to bf16; only for SR_FAST_BF16 */
    void *grads;           /* like params, f32 or f64; only for train */
    void *arena;           /* arena bytes, 64-byte aligned */
    void *const *state;    /* one pointer per piece; only for decode */
    void *const *external; /* one pointer per external constant */
    sr_dtype cache;        /* SR_F32 or SR_F16 (SR_F64 on f64 truths) */
} sr_bindings;

/* Creates what operators need (oneDNN primitives happen at planning) and fills in all addresses. */
void sr_graph_bind(sr_graph *g, const sr_bindings *bindings);

/* Where the caller writes token numbers and reads an output. Valid after binding. */
int32_t *sr_graph_ids_data(const sr_graph *g, sr_value ids);
sr_view sr_graph_view(const sr_graph *g, sr_value value);

/* Runs all operators. `position`: tokens already in the states. While training, the last operator's
 * work is left to sr_graph_backward() where its backward computes its output too. */
void sr_graph_forward(sr_graph *g, int64_t position);
/* Gradients of sum(seed * output value) into the bound gradients: over what is there, or added with
 * `add`. `value` must be the last node's output. */
void sr_graph_backward(sr_graph *g, sr_value value, double seed, bool add);

/* Time per operator kind, for finding where it goes: seconds forward and backward since the last
 * reset; off by default. */
typedef struct sr_op_time {
    const char *op;
    int calls;
    double forward, backward;
} sr_op_time;
void sr_graph_profile(sr_graph *g, bool on);
int sr_graph_times(const sr_graph *g, sr_op_time *times, int room);

#endif
