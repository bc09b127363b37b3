/* Searching architectures on text: a study in a file, worker processes, a Pareto front.
 *
 * A study is an SQLite file and a folder STUDY.d/ for weights. Everything that decides results is a
 * setting fixed when the study is made. Answers are JSON text, {"version": 1, ...}; release them
 * with free(). */
#ifndef SARTOR_SEARCH_H
#define SARTOR_SEARCH_H

#include <sartor/train.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sartor_survival {
    SARTOR_ELITIST = 0,       /* two elites and new children (STAR) */
    SARTOR_MU_PLUS_LAMBDA = 1 /* the best of parents and children (textbook NSGA-II) */
} sartor_survival;

/* How a trial gets its quality. */
typedef enum sartor_evaluator {
    SARTOR_SCRATCH = 0, /* trained from random weights on all of its tokens */
    SARTOR_INHERIT = 1  /* a child begins with its parents' weights and trains on fewer */
} sartor_evaluator;

/* Whose weights are kept when a generation is done. Where children inherit, parents' always are. */
typedef enum sartor_keep {
    SARTOR_KEEP_FRONT = 0,
    SARTOR_KEEP_PARENTS = 1,
    SARTOR_KEEP_ALL = 2
} sartor_keep;

/* How far a study is; pointers are valid during the call. */
typedef struct sartor_study_progress {
    int generation, generations;            /* the one being evaluated, from 0; the total, 0 where
                                               the study is no search */
    int64_t done, running, failed, waiting; /* trials; where it is no search, jobs */
    int64_t trials;                         /* expected in all */
    int64_t jobs_left;                      /* of any kind (finals, measurements) */
    double hypervolume;                     /* of the last finished generation; NaN before */
    int n_objectives;
    const char *const *objectives;
    const double *best;  /* smallest value of each so far; NaN: none */
    double seconds_left; /* NaN: not known yet */
    /* The job that runs longest: */
    const char *kind; /* NULL: none runs */
    int64_t step, steps;
    double loss;
} sartor_study_progress;
typedef void (*sartor_study_progress_fn)(void *user, const sartor_study_progress *progress);

typedef struct sartor_search_options {
    const char *study;      /* file */
    sartor_text text;       /* may name none where sartor_search_reads_text() is false */
    const char *tokenizer;  /* NULL: bytes */
    const char *objectives; /* "bpb,params,cache" */
    const char *algorithm;  /* "nsga2", "ga", "firefly", "random" */
    sartor_survival survival;
    int population, generations; /* generations is a total: a larger one continues a study */
    sartor_sizes sizes;
    sartor_evaluator evaluator;
    int64_t train_tokens;   /* per trial, rounded up to whole steps */
    int64_t inherit_tokens; /* per trial that inherits, at most train_tokens; 0: 0.4 of them */
    /* Shares of its tokens at which a trial pauses, "0.25,0.5": only those go on that no other of
     * the generation dominates there, at least a quarter of the population. NULL: none. */
    const char *rungs;
    int64_t batch;
    double learning_rate;
    sartor_precision precision;
    const char *const *limits; /* "params=2M" ... */
    int n_limits;
    const char *seed_with; /* "transformer++,lfm2"; NULL: none */
    const char *mad_suite; /* of the objective mad, as in sartor_mad(); NULL: "quick" */
    bool extended_pool;    /* all classes instead of the paper's 17 */
    int threads;           /* per trial */
    uint64_t seed;
    sartor_keep keep;
    int64_t memory_limit; /* bytes that one trial may need; 0: the machine's */
    double lease;         /* seconds after which a silent worker loses its job */

    int workers;         /* local processes; 0: one per core and `threads` */
    const char *program; /* the sartor program that workers run; NULL: this process' own */
    sartor_study_progress_fn progress;
    void *progress_user;
} sartor_search_options;
void sartor_search_defaults(sartor_search_options *options);
/* Whether anything is trained: bits per byte is an objective, or limited. */
bool sartor_search_reads_text(const sartor_search_options *options);

/* What a search will take, before it starts; nothing is written. */
typedef struct sartor_search_plan {
    int64_t trials;
    int64_t inherit_tokens; /* of trials that inherit; 0: all train from scratch */
    double seconds;     /* estimated from a few measured steps, over all workers; no trial is taken
                           to be stopped at a rung */
    int64_t disk_bytes; /* of weights and checkpoints under the keep policy */
    int64_t memory_bytes; /* of all workers at once, largest candidates */
    int64_t largest_trial_bytes;
    char excluded[512]; /* classes that the sizes exclude, and why; "" */
} sartor_search_plan;
sartor_status sartor_search_plan_make(sartor_context *context, const sartor_search_options *options,
                                      sartor_search_plan *plan);

/* Creates or continues the study, runs workers until `generations` are done. The same call again
 * does nothing more. SARTOR_MISMATCH: other settings or other data than the study's. */
sartor_status sartor_search(sartor_context *context, const sartor_search_options *options);

typedef struct sartor_work_options {
    const char *study;
    int workers;         /* processes; 0: one */
    const char *program; /* as above */
    bool mixed;          /* work although instruction set or libraries differ from the study's */
    bool jobs_only;      /* finish the jobs there are, propose no new candidates */
    const char *jobs;    /* "12-40,52": do these jobs and no others; NULL: all */
    /* NULL: supervise `workers` processes. Else: be one worker of this name in this process. */
    const char *worker_name;
    sartor_study_progress_fn progress;
    void *progress_user;
} sartor_work_options;
/* Joins a study until nothing is left to do. */
sartor_status sartor_work(sartor_context *context, const sartor_work_options *options);

typedef struct sartor_finals_options {
    const char *study;
    int top;               /* of the front, by quality; 8 */
    int64_t tokens;        /* of training, each */
    int seeds;             /* runs of each, 3 */
    const char *baselines; /* presets trained beside them; NULL: transformer++,striped-mamba,lfm2 */
    int workers;
    const char *program;
    sartor_study_progress_fn progress;
    void *progress_user;
} sartor_finals_options;
void sartor_finals_defaults(sartor_finals_options *options);
/* Trains from random weights, measures on the test split, and answers
 * {"version": 1, "tokens": int, "seeds": int, "finals": [{"trial": int|null, "id": str, "genome":
 * str, "baseline": str|null, "bpb": {"mean": x, "std": x, "values": [x]}, "params": int, "cache":
 * int, "flops": x, "prefill": x, "decode": x, "validation": as "bpb", on the validation text of the
 * search, "search": null|{"bpb": x, ... as "training" of sartor_study_trial()}}]}, best mean first;
 * x in seconds per token. "search": what the search saw, on the same validation text; a final of
 * its "tokens_from_scratch" tokens costs as much as the trial and all that it inherits from. */
sartor_status sartor_finals(sartor_context *context, const sartor_finals_options *options,
                            char **json);

/* The front of a study; see docs/manual.md for the fields. Works while a search runs. */
sartor_status sartor_study_front(sartor_context *context, const char *study, char **json);
sartor_status sartor_study_show(sartor_context *context, const char *study, char **json);
/* One trial: genome, lineage, values, curve: {"version": 1, "trial": int, "id": str, "genome": str,
 * "names": str, "sizes": {...}, "generation": int, "state": "open"|"done"|"failed", "reason":
 * str|null, "baseline": str|null, "operator": str, "parents": [int], "mutations": int, "repairs":
 * int, "refused": int,
 * "objectives": {name: x}, "front": bool, "model": str|null, "curve": [[step, tokens, loss|null,
 * bpb|null]], "training": {"tokens": int|null, "flops": x|null, "inherits": [int],
 * "inherited_share": x, "lineage": {"trials": int|null, "tokens": int|null, "flops": x|null},
 * "tokens_from_scratch": int|null, "stopped": x|null, "rungs": [{"share": x, "tokens": int, "bpb":
 * x}]}}. "model": the file with its weights. "training": what the trial
 * itself trained on (a step counts as three forward passes), which trials it inherits from and what
 * share of its parameters; the sums over it and all that it inherits from, directly or not, each
 * once; the tokens for which this architecture, trained from scratch, would take as many FLOPs; the
 * share of its budget after which it was stopped, and what it showed at rungs. An object with
 * genome and sizes is an ARCH. */
sartor_status sartor_study_trial(sartor_context *context, const char *study, int64_t trial,
                                 char **json);
/* One self-contained HTML page. */
sartor_status sartor_study_report(sartor_context *context, const char *study, const char *path);

#ifdef __cplusplus
}
#endif
#endif
