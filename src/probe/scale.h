/* sartor scale: which models of which size are trained on how much, as jobs of a study.
 *
 * A family is an architecture whose size grows: a pattern of LIVs that is repeated as the width
 * grows, or stays as it is. A run is one size at one budget. Everything that is known of a run
 * before it starts is in the specification of its job, so that answers compute nothing anew. */
#ifndef SR_PROBE_SCALE_H
#define SR_PROBE_SCALE_H

#include "genome/genome.h"
#include "liv/sizes.h"
#include "study/purpose.h"
#include <sartor/probe.h>

#define SR_PURPOSE_SCALE "scale"
#define SR_KIND_SCALE    "scale"

/* What decides the result of a run besides its own specification; width of `sizes` is none. */
typedef struct sr_scale_settings {
    sr_sizes sizes;
    int64_t batch, validation_tokens;
    double learning_rate;
    sartor_precision precision;
    int threads;
    uint64_t seed;
} sr_scale_settings;

/* A step: `accumulate` micro-batches of `windows`. */
typedef struct sr_scale_batch {
    int64_t windows, accumulate;
} sr_scale_batch;
/* The batch at a budget: DeepSeek-AI (2024, arXiv 2401.02954) measured an optimum that grows as the
 * budget to the power 0.33, and Poli et al. (2024) keep it constant inside a budget. */
sr_scale_batch sr_scale_batch_at(const sr_scale_settings *settings, double budget);
/* The peak rate at a width falls with its square root, as in Vaswani et al. (2017, section 5.3).
 * With Adam that is right where updates are not aligned with their inputs; full alignment would ask
 * for 1/width (Everett et al. 2024, arXiv 2407.05872). */
double sr_scale_rate(const sr_scale_settings *settings, int64_t width);

enum { SR_FAMILY_TEXT = SR_HASH_TEXT + 16, SR_SCALE_RUNS = 1 << 14 /* of a study, at most */ };
typedef struct sr_scale_run {
    char family[SR_FAMILY_TEXT];  /* identity of pattern and rule of depth */
    const char *arch;             /* as it was typed */
    const char *pattern, *genome; /* of the family, and at this depth */
    double budget;
    int livs;
    int64_t width, params, cache, tokens, steps;
    sr_scale_batch batch;
    double flops_per_token; /* forward */
    double learning_rate;
} sr_scale_run;

typedef struct sr_scale_runs {
    sr_scale_run *run;
    int n, room;
} sr_scale_runs;

/* The runs that the options ask for; `arch` is the caller's. SARTOR_INVALID where an architecture
 * has fewer than three sizes at a budget. Release with sr_scale_runs_free(), also after a failure.
 */
sartor_status sr_scale_plan(sartor_context *ctx, const sartor_scale_options *options,
                            const sr_scale_settings *settings, sr_scale_runs *runs);
void sr_scale_runs_free(sr_scale_runs *runs);

/* ---- as rows of a study ---- */

sartor_status sr_scale_settings_make(sartor_context *ctx, const sartor_scale_options *options,
                                     int64_t vocab, sr_scale_settings *settings);
/* Without the text (study/text.h); a new reference, NULL when memory is exhausted. */
json_t *sr_scale_settings_json(const sr_scale_settings *settings);
sartor_status sr_scale_settings_read(sartor_context *ctx, const sr_study *study,
                                     sr_scale_settings *settings);

/* Inside a transaction; work that is there stays. */
sartor_status sr_scale_add(sartor_context *ctx, sr_study *study, const sr_scale_run *run,
                           int64_t *id);
/* Borrows its strings from `spec`. SARTOR_FORMAT when the study is corrupted. */
sartor_status sr_scale_run_read(sartor_context *ctx, const sr_study *study, const json_t *spec,
                                sr_scale_run *run);

extern const sr_study_purpose sr_scale_purpose;

/* ---- the answer ---- */

/* `bands`: with what the laws say at many budgets, for drawing. */
sartor_status sr_scale_answer(sartor_context *ctx, sr_study *study, bool bands, json_t **answer);

#endif
