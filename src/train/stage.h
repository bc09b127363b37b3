/* What a run has for the model of the moment: its trainer and its scorer.
 *
 * A run whose model grows goes from one stage to the next: plan the stage of the larger model,
 * allocate it, carry weights, moments and generations over, free the stage before. Settings, data,
 * schedule and record belong to the run and stay. */
#ifndef SR_TRAIN_STAGE_H
#define SR_TRAIN_STAGE_H

#include "train/checkpoint.h"
#include "train/measure.h"

/* Starts as {.model = ...}; the model is the stage's own from then on. */
typedef struct sr_stage {
    sr_model *model;
    sr_trainer *trainer;
    sr_scorer scorer; /* of validation; works in the trainer's arena */
} sr_stage;

/* Graphs for training and validation; no memory for weights or activations yet. SARTOR_MEMORY as
 * sr_trainer_create(). */
sartor_status sr_stage_plan(sartor_context *ctx, sr_stage *stage, const sr_run_settings *settings);
/* The buffers of a planned stage; totals and births are the record's. Weights and moments are left
 * to fill in. */
sartor_status sr_stage_allocate(sartor_context *ctx, sr_stage *stage, const sr_run_record *record);
/* With the model; what was not planned or allocated too. */
void sr_stage_free(sr_stage *stage);

#endif
