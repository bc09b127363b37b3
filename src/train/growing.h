/* Growth in the middle of a run: from the stage of one model to that of a larger one.
 *
 * What holds: a growth is a function of the model, the request and the seed, so that a run that was
 * killed repeats it with the same bits. */
#ifndef SR_TRAIN_GROWING_H
#define SR_TRAIN_GROWING_H

#include "train/growth_steps.h"
#include "train/stage.h"

/* Compiles what a schedule asks for, one growth after another, from a model without weights; plans
 * training of the last, largest one. SARTOR_INVALID with the stage and the reason, SARTOR_MEMORY as
 * sr_stage_plan(). */
sartor_status sr_growing_check(sartor_context *ctx, const sr_model *model,
                               const sr_growth_steps *steps, const sr_run_settings *settings);

/* What one growth did. */
typedef struct sr_growing_result {
    int64_t params_before, params_after; /* trained ones, embeddings included */
    double difference, largest;          /* of logits (grow/verify.h) */
} sr_growing_result;

/* Grows the model of a stage that is in training: weights, moments and generations go over, and
 * `stage` is the larger model's. `born` is added to the record's births with the step of the
 * moment. The smaller model's gradients and activations are freed first. On failure the stage is
 * only good for sr_stage_free(). SARTOR_MISMATCH when the larger model computes something else. */
sartor_status sr_growing_step(sartor_context *ctx, sr_stage *stage, const char *request,
                              const sr_generation *born, const sr_run_settings *settings,
                              sr_run_record *record, sr_growing_result *result);

#endif
