/* A MAD suite as rows of a study: its settings, its runs as jobs, how a worker does one, and what
 * the finished ones say. */
#ifndef SR_PROBE_MAD_STUDY_H
#define SR_PROBE_MAD_STUDY_H

#include "base/hash.h"
#include "probe/mad_run.h"
#include "probe/mad_suite.h"
#include "study/purpose.h"

#define SR_PURPOSE_MAD "mad"
#define SR_KIND_MAD    "mad"

/* What decides the result of a run besides its own specification. */
typedef struct sr_mad_settings {
    sr_sizes sizes; /* width, head dim, window */
    sr_mad_protocol protocol;
    sartor_precision precision;
    int threads;
    uint64_t seed;
    sr_hash data; /* of NumPy files; zero: the tasks draw their own */
} sr_mad_settings;

/* `data`: what the options' files hold, or NULL. */
sartor_status sr_mad_settings_make(sartor_context *ctx, const sartor_mad_options *options,
                                   const sr_mad_data *data, sr_mad_settings *settings);
/* A new reference, NULL when memory is exhausted. */
json_t *sr_mad_settings_json(const sr_mad_settings *settings);
sartor_status sr_mad_settings_read(sartor_context *ctx, const sr_study *study,
                                   sr_mad_settings *settings);

/* One run; strings are the caller's. */
typedef struct sr_mad_job {
    const char *arch;    /* as it was typed */
    const char *genome;  /* canonical */
    const char *id;      /* of the genome */
    const char *setting; /* sr_mad_setting_print() */
    double learning_rate, weight_decay;
    int64_t epochs;
} sr_mad_job;

/* Inside a transaction; work that is there stays, and *id is its id. `cost` in any unit. */
sartor_status sr_mad_job_add(sartor_context *ctx, sr_study *study, const sr_mad_job *job,
                             double cost, int64_t *id);
/* Borrows its strings from `spec`. SARTOR_FORMAT when the study is corrupted. */
sartor_status sr_mad_job_read(sartor_context *ctx, const sr_study *study, const json_t *spec,
                              sr_mad_job *job);

/* Where NumPy files lie, a fact of the study, inside a transaction. */
sartor_status sr_mad_data_put(sartor_context *ctx, sr_study *study, const char *folder);

extern const sr_study_purpose sr_mad_purpose;

/* ---- the answer ---- */

/* Which jobs count: of these architectures and this suite. */
typedef struct sr_mad_asked {
    const char *const *archs; /* as typed */
    char (*ids)[SR_HASH_TEXT];
    int n_archs;
    const sr_mad_suite *suite;
} sr_mad_asked;

/* As sartor_mad() answers, from the jobs that are finished. */
sartor_status sr_mad_answer(sartor_context *ctx, sr_study *study, const sr_mad_asked *asked,
                            json_t **answer);
/* Of all jobs of the study: every architecture, every setting with its epochs, the whole grid. */
sartor_status sr_mad_answer_all(sartor_context *ctx, sr_study *study, json_t **answer);

#endif
