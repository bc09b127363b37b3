/* Everything that decides the weights of a run: resolved, checked, and as text to compare. */
#ifndef SR_TRAIN_SETTINGS_H
#define SR_TRAIN_SETTINGS_H

#include "data/source.h"
#include "data/tokenizer.h"
#include "model/model.h"
#include "train/growth_steps.h"
#include "train/trainer.h"
#include <jansson.h>
#include <sartor/train.h>

enum { SR_MAX_THREADS = 256 };

/* Options with every default replaced by its value. Steps are those asked for, without
 * extensions. */
typedef struct sr_run_settings {
    sr_genome *genome; /* canonical; the caller's */
    sr_sizes sizes;
    int64_t batch, accumulate, steps, warmup;
    double rate, min_rate, weight_decay, clip;
    sartor_precision precision;
    int threads;
    uint64_t seed;
    sr_hash tokenizer, data, validation; /* identities */
    sr_hash origin;          /* of the weights that the run begins with; zero: new ones */
    sr_growth_steps *growth; /* the caller's; none: its count is 0 */
    sr_generation born;      /* how what is new then learns */
} sr_run_settings;

/* The public sizes as a model's. */
sr_sizes sr_sizes_from(const sartor_sizes *sizes, int64_t vocab);
sr_numbers sr_numbers_from(sartor_precision precision);
/* Of this machine, at most SR_MAX_THREADS. */
int sr_cores(void);
/* 0: every core. SARTOR_INVALID outside 0..SR_MAX_THREADS. */
sartor_status sr_threads_resolve(sartor_context *ctx, int threads, int *resolved);
/* SARTOR_INVALID unless F32 or BF16. */
sartor_status sr_precision_check(sartor_context *ctx, sartor_precision precision);

/* Checks the numbers and fills in defaults; identities stay zero. `genome` and the sizes are those
 * of `origin`, a model with weights, or of `arch` where that is NULL; `growth` is filled from
 * `grow`. */
sartor_status sr_settings_resolve(sartor_context *ctx, const sartor_train_options *options,
                                  int64_t vocab, const sr_model *origin, sr_genome *genome,
                                  sr_growth_steps *growth, sr_run_settings *settings);

/* A JSON object of strings, one per setting; NULL when memory is exhausted. */
json_t *sr_settings_json(const sr_run_settings *settings);

/* SARTOR_MISMATCH naming the first setting that differs, with both values. `where`: the run's
 * folder, for the message. */
sartor_status sr_settings_compare(sartor_context *ctx, const char *where, const json_t *stored,
                                  const json_t *wanted);

#endif
