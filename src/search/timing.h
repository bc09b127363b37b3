/* How long training takes on this machine, per class: for claiming the longest trial first and for
 * estimating a search before it starts. Nothing that a search finds depends on it. */
#ifndef SR_SEARCH_TIMING_H
#define SR_SEARCH_TIMING_H

#include "search/settings.h"
#include "study/study.h"

typedef struct sr_timing {
    double base;                 /* seconds per token: embedding, loss, optimiser */
    double liv[SR_POOL_CLASSES]; /* what one LIV of a class adds */
} sr_timing;

/* Trains a step of one and of two LIVs of every class in the pool; a few seconds at small sizes. */
sartor_status sr_timing_measure(sartor_context *ctx, const sr_search_settings *settings,
                                sr_timing *timing);
/* Seconds per token of training a genome. */
double sr_timing_of(const sr_timing *timing, const sr_genome *genome);

json_t *sr_timing_json(const sr_timing *timing);
/* False where `text` is no timing. */
bool sr_timing_read(const char *text, sr_timing *timing);

/* What training a genome is expected to take: seconds where the study's machine was timed, else in
 * proportion to FLOPs. The cost of jobs. */
sartor_status sr_expected_work(sartor_context *ctx, sr_study *study, const sr_genome *genome,
                               double flops_per_token, int64_t tokens, double *work);

#define SR_FACT_TIMING "timing" /* of the study: sr_timing_json() */

#endif
