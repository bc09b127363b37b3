/* How far a study is, read from its rows a few times a second. */
#ifndef SR_SEARCH_PROGRESS_H
#define SR_SEARCH_PROGRESS_H

#include "search/answers.h"
#include "study/local.h"

typedef struct sr_progress_watch {
    sartor_study_progress_fn call;
    void *user;
    int workers;
    /* Kept between polls: */
    sr_search *search;
    int64_t seen; /* finished trials when the best values were read */
    double best[SR_OBJECTIVE_COUNT];
    const char *objectives[SR_OBJECTIVE_COUNT];
} sr_progress_watch;

/* The supervisor's poll; `user` is the sr_progress_watch. */
void sr_progress_poll(void *user, sr_study *study);
void sr_progress_end(sr_progress_watch *watch);

/* sr_local_supervise() with progress reported to `progress` (NULL: to nobody). */
sartor_status sr_supervise_progress(sartor_context *ctx, const sr_local_options *options,
                                    sartor_study_progress_fn progress, void *user);
/* What weights and checkpoints will take in STUDY.d (plan.c); 0 where nothing is trained. */
sartor_status sr_plan_disk(sartor_context *ctx, const sartor_search_options *options,
                           const sr_search_settings *settings, int64_t *bytes);

#endif
