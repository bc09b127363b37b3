/* Running small models in tests: one object that owns a graph and its memory. */
#ifndef MODEL_RUN_H
#define MODEL_RUN_H

#include "model/model.h"

typedef struct model_run {
    sr_model *model;
    sr_model_graph graph;
    sr_numbers numbers;
    int64_t batch, length;
    void *params, *grads, *arena;
    uint16_t *rounded;
} model_run;

/* A model of `arch` with initial weights; any failure fails the test. */
sr_model *model_make(sartor_context *ctx, const char *arch, const sr_sizes *sizes, uint64_t seed);

/* Plans and binds a whole-sequence graph; `train` makes gradients possible. */
model_run model_run_make(sartor_context *ctx, sr_model *model, sr_numbers numbers,
                         sr_graph_purpose purpose, int64_t batch, int64_t length, bool train,
                         int threads);
void model_run_free(model_run *run);

/* Copies the model's f32 weights into the run's numbers (after a change of them too). */
void model_run_load(model_run *run);

/* Writes tokens (and targets), runs forward; with a training graph also backward with the mean loss
 * over targets >= 0. Returns the mean loss (0 without one). */
double model_run_go(model_run *run, const int32_t *ids, const int32_t *targets);

/* Element i of a flat buffer of the run's type. */
double model_run_get(const model_run *run, const void *flat, int64_t i);

#endif
