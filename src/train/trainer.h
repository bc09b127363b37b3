/* One model in training: graph, gradients, moments, arena; a step at a time, for any task.
 *
 * The same model, options, task and thread count give the same bits. Everything large is allocated
 * once, when the trainer is created; a step allocates nothing. */
#ifndef SR_TRAIN_TRAINER_H
#define SR_TRAIN_TRAINER_H

#include "model/model.h"
#include "task/task.h"
#include "train/births.h"
#include "train/optimiser.h"
#include "train/schedule.h"

typedef struct sr_trainer_options {
    int64_t rows, length; /* sequences of a micro-batch, tokens of a sequence */
    int64_t accumulate;   /* micro-batches of a step */
    sr_numbers numbers;   /* SR_TRUTH_F32, SR_FAST_F32 or SR_FAST_BF16 */
    int threads;
    double weight_decay;
    double clip; /* largest norm of the gradients; 0: no limit */
    sr_schedule schedule;
    double beta1, beta2; /* as in sr_update */
    bool decay_all;
    sr_births births; /* how the model grew; more than none: `generation` is there */
} sr_trainer_options;

/* Fields may be read; `step` and the buffers may be set to continue a stored run. */
typedef struct sr_trainer {
    sr_model *model; /* the caller's */
    sr_trainer_options options;
    sr_model_graph graph;
    sr_optimiser optimiser;
    int64_t step;         /* updates done */
    float *grads, *m, *v; /* schema.elements each */
    uint8_t *generation;  /* schema.elements, at most births.count each; NULL: never grown */
    uint16_t *rounded;    /* the weights as bf16; NULL in f32 */
    void *arena;
    int64_t arena_bytes;
} sr_trainer;

/* Plans the graph and refuses what the machine's memory cannot hold (SARTOR_MEMORY with both
 * numbers), without allocating weights or buffers. `model` outlives the trainer. */
sartor_status sr_trainer_create(sartor_context *ctx, sr_model *model,
                                const sr_trainer_options *options, sr_trainer **trainer);
/* The buffers, zeroed, and the model's weights, which sr_model_allocate() may have made before.
 * Then fill in weights (moments, generations) and call sr_trainer_refresh(). */
sartor_status sr_trainer_allocate(sartor_context *ctx, sr_trainer *trainer);
/* After weights were written from outside. */
void sr_trainer_refresh(sr_trainer *trainer);
/* Frees what a trainer that will not step again needs no more: gradients and activations. */
void sr_trainer_release_buffers(sr_trainer *trainer);
void sr_trainer_destroy(sr_trainer **trainer);

/* Bytes of weights, gradients, moments, generations, copy and arena; known before they are
 * allocated. */
int64_t sr_trainer_bytes(const sr_trainer *trainer);

/* What a step saw: its loss is that of the weights before the update. */
typedef struct sr_step {
    double loss; /* mean nats of the scored targets */
    int64_t tokens, scored, bytes;
    double rate, norm; /* of this update: the schedule's rate; the norm before clipping */
} sr_step;

/* One update from `accumulate` micro-batches. The gradient is that of the mean over all scored
 * targets of the step. SARTOR_NOT_FINITE when the loss or the gradient is not finite: nothing was
 * updated. */
sartor_status sr_trainer_step(sartor_context *ctx, sr_trainer *trainer, const sr_task *task,
                              sr_step *out);

/* SARTOR_MEMORY with advice when `bytes` for `what` exceed the machine's memory. */
sartor_status sr_check_memory(sartor_context *ctx, int64_t bytes, const char *what,
                              const char *advice);

#endif
