/* One training run on a text that is already open: what sartor_train() is made of, for callers that
 * train many models on one text. */
#ifndef SR_TRAIN_RUN_H
#define SR_TRAIN_RUN_H

#include "model/model.h"
#include "train/corpus.h"

/* Fills the weights of a run that begins. */
typedef sartor_status (*sr_run_begin_fn)(sartor_context *ctx, void *user, sr_model *model,
                                         uint64_t seed);

/* Zero for what sartor_train() does. */
typedef struct sr_run_limits {
    int64_t validation_tokens; /* that the final measure reads at most, spread evenly; about half of
                                  them are scored; 0: 4 Mi */
    double checkpoint_seconds; /* between checkpoints, where steps do not say; 0: 30 */
    /* Before every step: steps done, steps in all, a recent loss (0 before the first). */
    void (*before_step)(void *user, int64_t step, int64_t steps, double loss);
    void *user;
    /* Stop for now after this many steps, if there are more: the result is that of these steps, and
     * beside the model the checkpoint stays, from which the same call without goes on. 0: never. */
    int64_t pause;
    sr_run_begin_fn begin; /* NULL: sr_model_init(). Not called for a run that continues */
    void *begin_user;
} sr_run_limits;

/* As sartor_train(), with the text and tokenizer of `corpus` (train and validation parts), unless
 * that is NULL, instead of options->text and options->tokenizer. */
sartor_status sr_run_train(sartor_context *ctx, const sartor_train_options *options,
                           sr_corpus *corpus, const sr_run_limits *limits, sartor_measure *result);

#endif
