/* Working on a study on this machine: as one worker, or by starting several of them. */
#ifndef SR_STUDY_LOCAL_H
#define SR_STUDY_LOCAL_H

#include "study/purpose.h"

/* Facts of a study that workers go by: the lease in seconds, and the machine that made the study.
 * Inside a transaction. */
sartor_status sr_local_facts_put(sartor_context *ctx, sr_study *study, double lease);
/* SARTOR_MISMATCH when this machine computes with other instructions or libraries than the one that
 * made the study. */
sartor_status sr_machine_check(sartor_context *ctx, sr_study *study);

/* Be a worker of this name (NULL: any) until nothing is left to do, or nothing of `only`. `user`:
 * what purpose->open() made. */
sartor_status sr_local_work(sartor_context *ctx, sr_study *study, const sr_study_purpose *purpose,
                            const char *name, sr_job_set only, void *user);

typedef struct sr_local_options {
    const char *study;
    const char *program; /* the sartor program that workers run; NULL: this process' own */
    int workers;
    bool mixed, jobs_only; /* as in sartor_work_options */
    const char *jobs;      /* likewise */
    /* About four times a second with a connection for reading; may be NULL. */
    void (*poll)(void *user, sr_study *study);
    void *poll_user;
} sr_local_options;

/* How many workers of `threads` threads the cores carry, where `asked` is 0. */
int sr_local_workers(int asked, int threads);

/* Starts worker processes (`sartor work STUDY`), watches over them and waits for their end
 * (supervisor.h); then the study is one file again. */
sartor_status sr_local_supervise(sartor_context *ctx, const sr_local_options *options);

#endif
