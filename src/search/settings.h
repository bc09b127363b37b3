/* Everything that decides the results of a search, as stored in its study.
 *
 * A flat JSON object is the one form: options become it (with identities of data and tokenizer),
 * the study keeps and compares it, and whoever works on the study reads it back. */
#ifndef SR_SEARCH_SETTINGS_H
#define SR_SEARCH_SETTINGS_H

#include "model/model.h"
#include "probe/mad_suite.h"
#include "search/algorithm.h"
#include "search/objectives.h"
#include "search/star.h"
#include "train/corpus.h"
#include <jansson.h>
#include <sartor/search.h>

enum {
    SR_MAX_RUNGS = 8,
    SR_MAX_LIMITS = 16,
    SR_MAX_POPULATION = 10000,
    SR_MAX_GENERATIONS = 1000000
};

typedef struct sr_search_settings {
    int objective[SR_OBJECTIVE_COUNT], n_objectives;
    sr_limit limit[SR_MAX_LIMITS];
    int n_limits;
    sr_scale scale[SR_OBJECTIVE_COUNT];
    const sr_algorithm *algorithm;
    sr_survival survival;
    int population, livs, threads;
    sr_sizes sizes;
    int64_t train_tokens, validation_tokens, batch;
    bool inherit;              /* the evaluator: children begin with their parents' weights */
    int64_t inherit_tokens;    /* trained on by such a child */
    double rung[SR_MAX_RUNGS]; /* rising shares of a trial's budget: search/rungs.h */
    int rungs;
    double learning_rate;
    sartor_precision precision;
    const char *seed_with; /* the JSON's; NULL: none */
    uint64_t seed;
    int64_t memory_limit; /* bytes of one trial */
    sr_mad_suite mad;     /* where `mad` is needed */
    sr_star star;         /* pool, fitted to the sizes */
} sr_search_settings;

/* The tokenizer, and the text that `options` name: it may be missing (*source NULL) where nothing
 * is trained. The caller closes both, also after an error. */
sartor_status sr_search_input_open(sartor_context *ctx, const sartor_search_options *options,
                                   sr_tokenizer **tokenizer, sr_source **source);

/* Options as settings, with the identities of tokenizer and text (`source` may be NULL).
 * `excluded`: the classes that the sizes exclude. SARTOR_INVALID for whatever is wrong. */
sartor_status sr_search_settings_make(sartor_context *ctx, const sartor_search_options *options,
                                      const sr_tokenizer *tokenizer, const sr_source *source,
                                      char excluded[SR_EXCLUDED_TEXT], json_t **settings);

/* The settings of a study; `settings` borrows from `json`. SARTOR_FORMAT when something is missing
 * or out of range: a study file is input like any other. */
sartor_status sr_search_settings_read(sartor_context *ctx, const json_t *json,
                                      sr_search_settings *settings);

/* Whether trials are trained (bits per byte is an objective or limited), measured (speeds are) or
 * probed (the MAD score is). */
bool sr_search_needs(const sr_search_settings *settings, sr_objective_source source);

/* Whether any of these. */
bool sr_search_has_jobs(const sr_search_settings *settings);

/* {"livs": ..., "width": ...} as in answers. */
json_t *sr_search_sizes_json(const sr_search_settings *settings);

#endif
