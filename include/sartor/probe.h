/* Probing architectures: what a family of models trained under one protocol tells.
 *
 * Probes are studies like searches: a file, worker processes, any of which may be killed; the same
 * call again continues. Answers are JSON text, {"version": 1, ...}; release them with free(). */
#ifndef SARTOR_PROBE_H
#define SARTOR_PROBE_H

#include <sartor/search.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- scaling laws ---- */

/* The IsoFLOP protocol (docs/scale.md): for each budget of training FLOPs several sizes of each
 * architecture are trained on as many tokens as the budget pays for. Settings of the study: all but
 * archs, budgets, widths, points, sizes.livs and those of workers; a later call may add more of
 * these to the same study. */
typedef struct sartor_scale_options {
    const char *study; /* file */
    const char *const *archs;
    int n_archs;
    sartor_text text;
    const char *tokenizer; /* NULL: bytes */
    const double *budgets; /* training FLOPs, three times those of a forward pass */
    int n_budgets;
    /* Widths to train at every budget; NULL: `points` sizes around the one that reads 80 bytes or
     * 20 pieces a parameter, from 8 times to an eighth of them. */
    const int64_t *widths;
    int n_widths, points;
    /* width and vocab do not count; livs 0: depth follows width, a LIV for every 16 channels, in
     * whole repeats of the architecture's pattern. */
    sartor_sizes sizes;
    int64_t batch;        /* windows at 1e12 FLOPs; grows with the cube root of the budget */
    double learning_rate; /* at width 128; falls with the square root of the width */
    sartor_precision precision;
    int threads; /* per run */
    uint64_t seed;
    double lease; /* seconds after which a silent worker loses its run */

    int workers; /* local processes; 0: one per core and `threads` */
    const char *program;
    sartor_study_progress_fn progress;
    void *progress_user;
} sartor_scale_options;
void sartor_scale_defaults(sartor_scale_options *options);

/* What would be trained; nothing is written: {"version": 1, "runs": [{"arch", "budget", "width",
 * "livs", "params", "tokens", "steps", "batch", "learning_rate", "cache"}], "flops": x,
 * "text_bytes": int, "memory_bytes": int}. */
sartor_status sartor_scale_plan(sartor_context *context, const sartor_scale_options *options,
                                char **json);

/* Trains what is missing and answers; docs/manual.md lists the fields. SARTOR_MISMATCH: other
 * settings or other data than the study's. */
sartor_status sartor_scale(sartor_context *context, const sartor_scale_options *options,
                           char **json);

/* The answer of sartor_scale() from the runs that are finished; works while others train. */
sartor_status sartor_scale_results(sartor_context *context, const char *study, char **json);

/* ---- MAD ---- */

/* What is decided on the test set, and how (docs/mad.md). */
typedef enum sartor_mad_protocol {
    SARTOR_MAD_FAITHFUL = 0, /* as the benchmark's published code does it */
    SARTOR_MAD_PAPER = 1     /* as its paper says; decisions on a validation set */
} sartor_mad_protocol;

/* MAD (Poli et al. 2024): every architecture is trained on every setting of a suite of synthetic
 * tasks, once for every pair of learning rate and weight decay. Settings of the study: all but
 * archs, suite, tasks, epochs, rates, decays, sizes.livs and those of workers; a later call may ask
 * for more of these, and what is there is not trained again. */
typedef struct sartor_mad_options {
    const char *study; /* file; NULL: one in the cache folder that holds all such runs */
    const char *const *archs;
    int n_archs;
    const char *suite; /* "quick", "full" (the benchmark's 66), or one setting: "recall:vocab=32" */
    const char *tasks; /* of the suite, with commas; NULL: all */
    sartor_mad_protocol protocol;
    int64_t epochs;       /* at most; 0: the suite's */
    const double *rates;  /* learning rates; n_rates 0: the suite's */
    const double *decays; /* weight decays; likewise */
    int n_rates, n_decays;
    /* A folder of NumPy files to train and test on instead of what the task draws; the suite is
     * then one setting, which says what they are. NULL: none. */
    const char *data;
    sartor_sizes sizes; /* context and vocab do not count: they are the tasks' */
    sartor_precision precision;
    int threads;   /* per run */
    uint64_t seed; /* of weights and order; the examples have the benchmark's own seed */
    double lease;  /* seconds after which a silent worker loses its run */

    int workers; /* local processes; 0: one per core and `threads` */
    const char *program;
    sartor_study_progress_fn progress;
    void *progress_user;
} sartor_mad_options;
void sartor_mad_defaults(sartor_mad_options *options);

/* What would be trained; nothing is written: {"version": 1, "study": str, "settings": [{"task",
 * "setting", "examples", "length", "vocab", "epochs", "steps"}], "runs": int, "flops": x,
 * "memory_bytes": int}; steps and flops without early stopping. */
sartor_status sartor_mad_plan(sartor_context *context, const sartor_mad_options *options,
                              char **json);

/* Trains what is missing and answers {"version": 1, "results": [{"arch": str, "tasks": {name:
 * {"score": x, "settings": [{"setting": str, "score": x, "accuracy": x, "accuracy_macro": x,
 * "perplexity": x, ...}]}}, "mad": x}]}, in the order of `archs`; x is null where every run failed.
 * SARTOR_MISMATCH: other settings than the study's. */
sartor_status sartor_mad(sartor_context *context, const sartor_mad_options *options, char **json);

/* Writes the examples of the suite as NumPy files: into `folder` those of one setting, into a
 * folder inside it named by the setting those of several. Architectures do not count. */
sartor_status sartor_mad_write(sartor_context *context, const sartor_mad_options *options,
                               const char *folder);

#ifdef __cplusplus
}
#endif
#endif
