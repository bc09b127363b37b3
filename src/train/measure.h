/* Measuring a model on text: nats over evaluation windows (data/score.h). */
#ifndef SR_TRAIN_MEASURE_H
#define SR_TRAIN_MEASURE_H

#include "data/score.h"
#include "model/model.h"
#include <sartor/train.h>

typedef struct sr_scorer {
    sr_model *model; /* the caller's; must have weights when it runs */
    sr_model_graph graph;
    int64_t rows, length;
    int64_t arena_bytes;
} sr_scorer;

/* Plans a graph for `rows` windows of `length` tokens at a time. Before running, bind memory. */
sartor_status sr_scorer_create(sartor_context *ctx, sr_model *model, int64_t rows, int64_t length,
                               sr_numbers numbers, int threads, sr_scorer *scorer);
void sr_scorer_destroy(sr_scorer *scorer);
/* `arena`: arena_bytes, which may hold other things between runs; `rounded`: bf16 weights, for
 * bf16 only. */
void sr_scorer_bind(sr_scorer *scorer, void *arena, uint16_t *rounded);

typedef struct sr_score {
    double nats;
    uint64_t tokens, bytes; /* scored */
} sr_score;

typedef void (*sr_score_progress)(void *user, const sr_score *so_far, uint64_t window,
                                  uint64_t windows);

typedef struct sr_score_options {
    uint64_t windows;   /* at most so many, spread evenly; 0: all */
    bool interruptible; /* stop with SARTOR_INTERRUPTED when asked to */
    sr_score_progress progress;
    void *progress_user;
} sr_score_options;

/* Windows of `length` tokens, one after another. SARTOR_NOT_FINITE when the loss is not finite. */
sartor_status sr_scorer_run(sartor_context *ctx, sr_scorer *scorer, const sr_windows *windows,
                            const sr_score_options *options, sr_score *score);

/* Loss, bits per byte and perplexity; the other fields are zero. */
sartor_measure sr_measure_from(const sr_score *score);

/* How a model is measured on a stream of tokens. */
typedef struct sr_measure_options {
    int64_t batch, context; /* cut to what the stream has */
    sr_numbers numbers;
    int threads;
    sr_score_progress progress; /* may be NULL */
    void *progress_user;
} sr_measure_options;

/* Scores all tokens; the model has weights. Time and memory peaks are those of the measuring.
 * SARTOR_INTERRUPTED when asked to stop. */
sartor_status sr_measure_tokens(sartor_context *ctx, sr_model *model, const sr_tokenizer *tokenizer,
                                const sr_tokens *tokens, const sr_measure_options *options,
                                sartor_measure *result);

#endif
