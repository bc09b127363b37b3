/* Objectives: what a search minimises, where each value comes from, and its scale. */
#ifndef SR_SEARCH_OBJECTIVES_H
#define SR_SEARCH_OBJECTIVES_H

#include "genome/genome.h"
#include "liv/sizes.h"
#include "search/pareto.h"

/* Append only. */
typedef enum sr_objective_id {
    SR_BPB,     /* validation bits per byte after the training budget */
    SR_PARAMS,  /* backbone parameters, shared ones once */
    SR_CACHE,   /* bytes of decode state at the context, f16, batch 1 */
    SR_FLOPS,   /* forward FLOPs per token, mean over a full context */
    SR_MEMORY,  /* peak bytes while decoding: weights, state and scratch, as planned */
    SR_PREFILL, /* seconds per prompt token, measured */
    SR_DECODE,  /* seconds per generated token, measured */
    SR_MAD,     /* 1 - the score of a MAD suite (probe/mad_run.h) */
    SR_OBJECTIVE_COUNT
} sr_objective_id;

typedef enum sr_objective_source {
    SR_TRAINED,
    SR_COMPUTED,
    SR_MEASURED,
    SR_PROBED
} sr_objective_source;

typedef struct sr_objective {
    const char *name, *unit, *summary;
    sr_objective_source source;
} sr_objective;
const sr_objective *sr_objective_get(int id);      /* NULL out of range */
int sr_objective_find(const char *name, size_t n); /* -1: none */
/* All names, for messages: "bpb, params, ...". */
enum { SR_OBJECTIVE_NAMES = 128 };
void sr_objective_names(char text[SR_OBJECTIVE_NAMES]);

/* "bpb,params,cache": ids in the order given, each once. SARTOR_INVALID with the names there are.
 */
sartor_status sr_objectives_parse(sartor_context *ctx, const char *text,
                                  int ids[SR_OBJECTIVE_COUNT], int *n);

/* Fills the computed ones; the others become NaN. `sizes` as for training. */
sartor_status sr_objectives_compute(sartor_context *ctx, const sr_genome *genome,
                                    const sr_sizes *sizes, double values[SR_OBJECTIVE_COUNT]);

/* Scaling for hypervolume and weighted sums; depends on the space, never on a seed. Linear:
 * (x - best) / (worst - best); logarithmic (seconds): the same of log(1 + x), x in units of `best`
 * where that is between 0 and 1. `worst` is the reference point: bpb 8; parameters, cache, FLOPs
 * and memory the largest in the space; seconds per token 1. `best`: bpb 0, the smallest in the
 * space (over uniform backbones without sharing: heavy sharing gives values below 0), 1e-7 s. */
typedef struct sr_scale {
    double best, worst;
    bool logarithmic;
} sr_scale;
sartor_status sr_scales_make(sartor_context *ctx, const sr_pool *pool, int livs,
                             const sr_sizes *sizes, sr_scale scales[SR_OBJECTIVE_COUNT]);
double sr_scaled(const sr_scale *scale, double value); /* +infinity stays */

/* "params=2M", "decode=0.002", "bpb=2.2": suffixes k, M, G are decimal. */
typedef struct sr_limit {
    int objective;
    double most;
} sr_limit;
sartor_status sr_limit_parse(sartor_context *ctx, const char *text, sr_limit *limit);
/* The sum over limits of (value / most - 1) where above; values that are NaN count as within. */
double sr_violation(const sr_limit *limits, int n, const double values[SR_OBJECTIVE_COUNT]);

/* Classes of the pool that the sizes exclude (heads that do not divide ...) are taken out; `why`
 * tells them in one line ("" when none). SARTOR_INVALID when nothing remains. */
enum { SR_EXCLUDED_TEXT = 512 };
sartor_status sr_pool_fit(sartor_context *ctx, sr_pool *pool, const sr_sizes *sizes,
                          char why[SR_EXCLUDED_TEXT]);

#endif
