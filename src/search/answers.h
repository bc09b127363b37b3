/* Answers about a study as JSON, from its rows alone: they work while a search runs. */
#ifndef SR_SEARCH_ANSWERS_H
#define SR_SEARCH_ANSWERS_H

#include "search/population.h"

/* The non-dominated among all finished feasible trials: the stored front of the last finished
 * generation and what was finished since, in no order. `in_front`: release with free(). */
sartor_status sr_answer_population(sartor_context *ctx, sr_study *study, const sr_search *search,
                                   bool genomes, sr_population *p, bool **in_front);

/* As documented at sartor_study_front(), _show() and _trial(); new references. */
sartor_status sr_answer_front(sartor_context *ctx, sr_study *study, const sr_search *search,
                              json_t **answer);
sartor_status sr_answer_show(sartor_context *ctx, sr_study *study, const sr_search *search,
                             json_t **answer);
sartor_status sr_answer_trial(sartor_context *ctx, sr_study *study, const sr_search *search,
                              int64_t trial, json_t **answer);

typedef struct sr_trial_counts {
    int64_t done, running, failed, waiting;
} sr_trial_counts;
sartor_status sr_count_trials(sartor_context *ctx, sr_study *study, sr_trial_counts *counts);

/* {"tokens": ..., "seeds": ..., "finals": [...]} of the finals that are done, or finals empty. */
sartor_status sr_answer_finals(sartor_context *ctx, sr_study *study, const sr_search *search,
                               json_t **answer);

/* JSON has no other numbers than finite ones, and no absent text. */
json_t *sr_number_or_null(double x);
json_t *sr_string_or_null(const char *s);

#endif
