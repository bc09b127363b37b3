/* Measured speed of a model with weights on this machine: warmed, repeated, median. */
#ifndef SR_TRAIN_SPEED_H
#define SR_TRAIN_SPEED_H

#include "model/model.h"

typedef struct sr_speed {
    double prefill; /* seconds per prompt token, over a full context */
    double decode;  /* seconds per generated token, from a full context on */
} sr_speed;

/* Takes about `seconds` (at least three repetitions each). f16 caches, batch 1. */
sartor_status sr_speed_measure(sartor_context *ctx, sr_model *model, int64_t context,
                               sr_numbers numbers, int threads, double seconds, sr_speed *speed);

#endif
