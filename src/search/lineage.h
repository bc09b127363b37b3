/* What a trial inherits, what it trains on, and what its lineage spent.
 *
 * With the evaluator `inherit` a child begins with its parents' weights (grow/inherit.h) and trains
 * on fewer tokens. Which parents is decided when the generation is proposed and stands in the
 * specification of its job, so that it does not depend on who runs it; every other trial trains
 * from scratch. */
#ifndef SR_SEARCH_LINEAGE_H
#define SR_SEARCH_LINEAGE_H

#include "grow/inherit.h"
#include "search/search.h"
#include "study/jobs.h"

/* Values of a trial besides its objectives. */
#define SR_VALUE_TOKENS         "tokens"         /* trained on by the trial itself */
#define SR_VALUE_INHERITED      "inherited"      /* share of its parameters; none: from scratch */
#define SR_VALUE_LINEAGE_TRIALS "lineage_trials" /* it and all that it inherits from, each once */
#define SR_VALUE_LINEAGE_TOKENS "lineage_tokens" /* trained on by these */
#define SR_VALUE_LINEAGE_FLOPS  "lineage_flops"  /* of their training */

/* A step is taken to cost three forward passes. */
#define SR_TRAINING_FLOPS 3.0

/* What a child inherits. */
typedef struct sr_legacy {
    int n; /* 0: nothing */
    int64_t trial[SR_MAX_PARENTS];
    double share; /* of its parameters */
} sr_legacy;

/* Of the trials that a child was made of (0: none), those whose weights are there. Always nothing
 * where the study's evaluator is `scratch`. */
sartor_status sr_legacy_choose(sartor_context *ctx, sr_study *study, const sr_search *search,
                               const sr_genome *child, const int64_t trial[SR_MAX_PARENTS],
                               const sr_genome *const genome[SR_MAX_PARENTS], sr_legacy *legacy);

/* Adds to a job's specification what the trial inherits, its budget and its seed, where they are
 * not those of the study. `generation` of the trial. */
sartor_status sr_legacy_specify(sartor_context *ctx, const sr_search *search,
                                const sr_legacy *legacy, int generation, json_t *spec);

/* Weights of a trial that inherits: `spec` is its job's. */
typedef struct sr_inheriting {
    sr_study *study;
    const json_t *spec;
} sr_inheriting;
bool sr_inherits(const json_t *spec);
/* A sr_run_begin_fn; `user` is an sr_inheriting. SARTOR_IO when the weights of a parent are gone.
 */
sartor_status sr_inherit_begin(sartor_context *ctx, void *user, sr_model *model, uint64_t seed);

/* Inside a transaction, when a trial was trained: tokens, and the sums over its lineage. */
sartor_status sr_lineage_store(sartor_context *ctx, sr_study *study, int64_t trial, int64_t tokens);

/* The path of the weights that a finished job left, NULL where the job is not done; release with
 * free(). */
sartor_status sr_finished_model(sartor_context *ctx, sr_study *study, int64_t job, char **path);

/* What is known of a trial's training; see sartor_study_trial(). */
sartor_status sr_answer_training(sartor_context *ctx, sr_study *study, const sr_search *search,
                                 int64_t trial, json_t **training);

/* What the trials that were trained took: {"tokens": int, "flops": x, "stopped": how many of them
 * at a rung}; null where none was. *flops: the sums up to the end of each of the first
 * `generations`, null where not known. */
sartor_status sr_answer_spent(sartor_context *ctx, sr_study *study, size_t generations,
                              json_t **spent, json_t **flops);

#endif
