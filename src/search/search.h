/* A search at work: its settings, its space, and the text once it is needed.
 *
 * What a generation is follows from the rows of the study and the settings alone; this struct holds
 * nothing that a restart would miss. */
#ifndef SR_SEARCH_SEARCH_H
#define SR_SEARCH_SEARCH_H

#include "search/settings.h"
#include "study/attempt.h"
#include "study/purpose.h"
#include "study/text.h"

typedef struct sr_search {
    sr_search_settings settings;
    sr_space space; /* over settings.star */
    sr_evolution evolution;
    bool jobs_only;     /* propose nothing new */
    sr_study_text text; /* opened by the first job that needs it */
    json_t *curve;      /* of the job that was run last, for its store function */
} sr_search;

/* From the study's settings. The struct must not move afterwards. */
sartor_status sr_search_open(sartor_context *ctx, const sr_study *study, sr_search *search);
void sr_search_close(sr_search *search); /* also of {0} */

/* Facts of a study besides its settings. */
#define SR_FACT_GENERATIONS "generations" /* total */
#define SR_FACT_KEEP        "keep"        /* front, parents, all */
#define SR_FACT_TIMING      "timing"      /* search/timing.h */
#define SR_FACT_EXHAUSTED   "exhausted"   /* the space has no more candidates */

extern const sr_study_purpose sr_search_purpose;

/* ---- generations (generation.c) ---- */

/* The worker's advance function; `user` is the sr_search. */
sartor_status sr_search_advance(sartor_context *ctx, sr_study *study, void *user, bool *finished);

/* ---- kinds of jobs (kinds.c, trial.c) ---- */

#define SR_KIND_TRIAL   "trial"
#define SR_KIND_MEASURE "measure"
#define SR_KIND_FINAL   "final"
#define SR_KIND_PROBE   "probe" /* named by the architecture of its trial */
enum { SR_SEARCH_KINDS = 4 };
/* In SQL: whether a row of job is work on a row of trial. */
#define SR_JOB_OF_TRIAL                                                                            \
    "(job.id IN (trial.job, trial.measure) OR (job.kind = '" SR_KIND_PROBE                         \
    "' AND job.name = trial.arch))"
extern const sr_job_kind sr_search_kinds[SR_SEARCH_KINDS];

/* Removes the weights that the policy does not keep. Best effort: repeated at every generation. */
void sr_search_prune(sartor_context *ctx, sr_study *study, const sr_search *search);

#endif
