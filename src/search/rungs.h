/* Early stopping over several objectives.
 *
 * The rungs of a study are shares of a trial's training budget. At each a trial pauses: its job
 * ends with the bits per byte of that moment. When no job of the generation is left, those that no
 * other trial at the rung dominates go on, in a new job that continues the same run (the learning
 * rate is that of the whole budget); the others are done with the values they have. So who goes on
 * is a function of the rows, whoever trained what and when. */
#ifndef SR_SEARCH_RUNGS_H
#define SR_SEARCH_RUNGS_H

#include "search/population.h"

/* Share of the budget at which a trial was stopped; none: it trained to its end. */
#define SR_VALUE_STOPPED "stopped"

/* Of a population at least one in four goes on, the best by rank and crowding distance. */
static inline int sr_rung_least(int population) { return (population + 3) / 4; }

/* "0.25,0.5": rising, between 0 and 1; "" or NULL: none. SARTOR_INVALID says what is wrong. */
sartor_status sr_rungs_parse(sartor_context *ctx, const char *text, double rung[SR_MAX_RUNGS],
                             int *n);
/* One spelling of them; release with free(), NULL when memory is exhausted. */
char *sr_rungs_print(const double *rung, int n);

/* Where stage 0, 1 ... of a trial ends, as a share of the budget: at a rung, and last at 1. */
double sr_stage_end(const sr_search_settings *settings, int stage);
/* The stage that a job's specification names. */
int sr_stage_of(const json_t *spec);
/* Into the specification of a trial's first job; studies without rungs do not mention it. */
sartor_status sr_stage_specify(sartor_context *ctx, const sr_search *search, json_t *spec);

/* Inside a transaction, when the trials that are open have all that is measured: if all of them
 * stand at a rung, decides who goes on, adds the jobs of these and closes the others. */
sartor_status sr_rungs_decide(sartor_context *ctx, sr_study *study, const sr_search *search);

/* Whether a trial trains no more. */
sartor_status sr_trained(sartor_context *ctx, sr_study *study, const sr_search *search,
                         int64_t trial, bool *trained);

/* What a trial showed at its rungs: [{"share": x, "tokens": int, "bpb": x}], and "stopped": x|null,
 * into the answer about its training. */
sartor_status sr_answer_rungs(sartor_context *ctx, sr_study *study, const sr_search *search,
                              int64_t trial, json_t *training);

#endif
