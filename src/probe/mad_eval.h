/* Scoring a model on a set of MAD examples. */
#ifndef SR_PROBE_MAD_EVAL_H
#define SR_PROBE_MAD_EVAL_H

#include "model/model.h"
#include "probe/mad_score.h"
#include "task/mad/mad.h"

typedef struct sr_mad_eval {
    sr_model *model; /* the caller's; must have weights when it runs */
    sr_model_graph graph;
    int64_t rows, length; /* of one run of the graph */
    int64_t batch;        /* examples that are averaged together; a multiple of rows */
    int64_t arena_bytes;
    sr_mad_tally of_batch, of_all;
} sr_mad_eval;

/* Plans a graph of `rows` examples, which divides `batch`. Before running, bind memory. */
sartor_status sr_mad_eval_create(sartor_context *ctx, sr_model *model, int64_t rows, int64_t batch,
                                 int64_t length, sr_numbers numbers, int threads,
                                 sr_mad_eval *eval);
void sr_mad_eval_destroy(sr_mad_eval *eval); /* also of {0} */
/* `arena`: arena_bytes, which may hold other things between runs; `rounded`: bf16 weights, for
 * bf16 only. */
void sr_mad_eval_bind(sr_mad_eval *eval, void *arena, uint16_t *rounded);

typedef struct sr_mad_scores {
    sr_mad_score by_batch; /* averaged over batches; accuracy too is the mean of the batches' */
    sr_mad_score whole;    /* of all positions at once */
} sr_mad_scores;

/* Every example in its order. SARTOR_INTERRUPTED when asked to stop, SARTOR_INVALID when the set
 * scores nothing, SARTOR_NOT_FINITE when the loss is not a number. */
sartor_status sr_mad_eval_run(sartor_context *ctx, sr_mad_eval *eval, const sr_mad_set *set,
                              sr_mad_scores *scores);

#endif
