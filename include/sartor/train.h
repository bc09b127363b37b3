/* Training a language model on text, and measuring one.
 *
 * A run lives in a folder: checkpoint.safetensors while it runs, model.safetensors when it is done,
 * with the optimiser in state.safetensors for extending it; metrics.jsonl, a line per step, beside
 * them. Calling again with the same options continues or, when it is done, changes nothing;
 * whatever is killed when, the final weights are the same bits. */
#ifndef SARTOR_TRAIN_H
#define SARTOR_TRAIN_H

#include <sartor/architecture.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where text comes from. Paths are files or folders. */
typedef struct sartor_text {
    const char *const *paths;
    int n_paths;
    const char *validation;    /* file or folder instead of the hashed 5 %; NULL */
    const char *test;          /* likewise */
    const char *doc_separator; /* line that separates documents in a file; NULL: none */
    const char *cache;         /* folder of token caches; NULL: $XDG_CACHE_HOME/sartor */
} sartor_text;

/* How far a run is; `done` of `total` steps. Loss is the mean over the last reported steps. */
typedef struct sartor_progress {
    int64_t step, steps, tokens;
    double loss, bits_per_byte, learning_rate, gradient_norm;
    double validation_bits_per_byte; /* the last measured one; NaN before */
    double tokens_per_second, seconds_left;
} sartor_progress;
typedef void (*sartor_progress_fn)(void *user, const sartor_progress *progress);

typedef struct sartor_train_options {
    const char *arch;
    /* Instead of `arch`, sizes and `tokenizer`: a model file, or a folder with one, whose model is
     * trained further as a new run, with a new optimiser. */
    const char *from;
    sartor_sizes sizes; /* vocab follows from the tokenizer */
    sartor_text text;
    const char *tokenizer; /* SentencePiece .model file; NULL: bytes */
    const char *out;       /* folder */
    int64_t batch, accumulate;
    int64_t steps, tokens; /* one of them; tokens are rounded up to whole steps; 0: the other */
    double learning_rate, min_learning_rate; /* peak and floor of the cosine; min < 0: a tenth */
    int64_t warmup;                          /* steps; < 0: a twentieth, at most 500 */
    double weight_decay, clip;
    sartor_precision precision;
    int threads;
    uint64_t seed;
    int64_t checkpoint_every; /* steps; 0: chosen by time, about every 30 seconds */
    /* Steps added behind `steps`, on the cosine of the longer run. Asking again for as many adds
     * none; for more, those that are missing. */
    int64_t extend;
    /* Growth on the way, each after so many steps: "2000: width=256; 6000: livs=SA-3,GMemless@end"
     * (items as in <sartor/grow.h>, with blanks between them); NULL: none. What is new learns at
     * `new_rate` times the schedule's rate (< 0: 1), reached after `new_warmup` steps of its own
     * (< 0: 200); with `freeze_old` everything older rests until the model grows again. */
    const char *grow;
    double new_rate;
    int64_t new_warmup;
    bool freeze_old;
    sartor_progress_fn progress;
    void *progress_user;
} sartor_train_options;
void sartor_train_defaults(sartor_train_options *options);

/* Totals include earlier parts of a resumed run. Of validation data beyond 2 Mi tokens, training
 * scores about so many, spread evenly. */
typedef struct sartor_measure {
    double loss; /* validation (or evaluated) nats per token */
    double bits_per_byte, perplexity;
    int64_t tokens;
    double seconds, tokens_per_second;
    int64_t peak_rss_bytes, peak_anonymous_bytes;
} sartor_measure;

/* SARTOR_INTERRUPTED after sartor_interrupt(): the state is saved. SARTOR_NOT_FINITE: the last good
 * checkpoint is kept. SARTOR_MISMATCH: the folder holds a run with other settings or data. */
sartor_status sartor_train(sartor_context *context, const sartor_train_options *options,
                           sartor_measure *result);

/* The folders of runs, one or several to compare, as one self-contained HTML page: losses, rates
 * and speed against steps, tokens, time and compute, with each growth marked. Works while they run.
 * SARTOR_INVALID when there are none or more than SARTOR_REPORT_RUNS; SARTOR_FORMAT names the line
 * of metrics.jsonl that is none. */
enum { SARTOR_REPORT_RUNS = 8 };
sartor_status sartor_run_report(sartor_context *context, const char *const *folders, int count,
                                const char *path);

#ifdef __cplusplus
}
#endif
#endif
