/* The heart of a worker: a thread that keeps the lease of the job that runs and tells the job's
 * context when to stop.
 *
 * It has a context and a connection of its own. What it shares with the worker's thread is guarded
 * by one mutex; progress is atomic. */
#ifndef SR_STUDY_HEART_H
#define SR_STUDY_HEART_H

#include "study/jobs.h"
#include <pthread.h>

typedef struct sr_heart {
    const char *study, *worker; /* file, name */
    double lease;
    sartor_context *outer; /* of the worker: interrupted from outside, or by us for an orphan */
    long supervisor;       /* its process id; 0: none */
    bool is_parent;        /* the supervisor is the parent process */
    _Atomic int64_t step, steps;
    _Atomic double loss;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool quit;
    sartor_context *job_context; /* NULL: no job runs */
    sr_job job;                  /* id and attempt */
    bool lost;
} sr_heart;

/* The fields up to is_parent are set. */
sartor_status sr_heart_start(sartor_context *ctx, sr_heart *heart);
void sr_heart_stop(sr_heart *heart);

/* Between these the job's lease is kept, and `job_context` is interrupted when the worker is or
 * when the job has moved on. The second tells whether it has. */
void sr_heart_take(sr_heart *heart, const sr_job *job, sartor_context *job_context);
bool sr_heart_drop(sr_heart *heart);

/* The process that started this one as its worker is gone. */
bool sr_heart_orphan(const sr_heart *heart);

#endif
