/* How far a study is, read from its rows a few times a second. */
#ifndef SR_SEARCH_PROGRESS_H
#define SR_SEARCH_PROGRESS_H

#include "search/answers.h"

typedef struct sr_progress_watch {
    sartor_context *ctx; /* for its log only; failures to read are not told */
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

/* Starts `workers` processes of `program` on the study and watches them (search.c). */
sartor_status sr_search_supervise(sartor_context *ctx, const char *path, const char *program,
                                  int workers, bool mixed, bool jobs_only,
                                  sartor_study_progress_fn progress, void *user);
/* What weights and checkpoints will take in STUDY.d (plan.c); 0 where nothing is trained. */
sartor_status sr_plan_disk(sartor_context *ctx, const sartor_search_options *options,
                           const sr_search_settings *settings, int64_t *bytes);
/* 0: as many as the cores carry. */
int sr_search_workers(int asked, int threads);

#endif
