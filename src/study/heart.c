#define _GNU_SOURCE
#include "study/heart.h"

#include "base/clock.h"
#include "study/internal.h"
#include "study/sql.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_MS = 40 };                /* how often interruptions are looked for */
static const double short_wait = 0.02; /* for locks: a beat that misses one is repeated */

bool sr_heart_orphan(const sr_heart *heart) {
    if (heart->supervisor == 0) return false;
    if (heart->is_parent) return getppid() != heart->supervisor;
    return kill((pid_t)heart->supervisor, 0) != 0 && errno == ESRCH;
}

/* One beat of `job` (id 0: none runs). *ours stays true when the study cannot be asked: a beat that
 * fails is repeated soon, and what is finished is guarded anyway. */
static bool beat(sr_heart *heart, sartor_context *ctx, sr_study **study, const sr_job *job,
                 bool *ours) {
    *ours = true;
    if (*study == NULL) {
        if (sr_study_open(ctx, heart->study, SR_STUDY_WRITE, study) != SARTOR_OK) return false;
        (*study)->patience = short_wait;
    }
    bool still = true;
    if (job->id != 0) {
        if (sr_job_extend(ctx, *study, job, heart->lease, atomic_load(&heart->step),
                          atomic_load(&heart->steps), atomic_load(&heart->loss),
                          &still) != SARTOR_OK)
            return false;
        *ours = still;
    }
    return sr_run_sql(ctx, *study, NULL, "UPDATE worker SET seen = ? WHERE name = ?", "ds",
                      sr_study_now(), heart->worker) == SARTOR_OK;
}

/* With the mutex held; let go of while the study is asked. */
static bool beat_unlocked(sr_heart *heart, sartor_context *ctx, sr_study **study) {
    sr_job job = {0};
    if (heart->job_context != NULL) job = heart->job;
    pthread_mutex_unlock(&heart->mutex);
    bool ours, good = beat(heart, ctx, study, &job, &ours);
    pthread_mutex_lock(&heart->mutex);
    /* Only if that attempt still runs here. */
    if (!ours && heart->job_context != NULL && heart->job.id == job.id &&
        heart->job.attempt == job.attempt) {
        heart->lost = true;
        sartor_interrupt(heart->job_context);
    }
    return good;
}

static void wait_a_moment(sr_heart *heart) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += WATCH_MS * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_nsec -= 1000000000L;
        t.tv_sec++;
    }
    pthread_cond_timedwait(&heart->wake, &heart->mutex, &t);
}

static void *live(void *user) {
    sr_heart *heart = user;
    double interval = fmin(fmax(heart->lease / 6, 0.05), 1), next = 0;
    sr_study *study = NULL;
    sartor_context *ctx = sartor_context_create();
    pthread_mutex_lock(&heart->mutex);
    while (!heart->quit) {
        if (sr_heart_orphan(heart)) sartor_interrupt(heart->outer);
        if (heart->job_context != NULL && sr_interrupted(heart->outer))
            sartor_interrupt(heart->job_context);
        if (ctx == NULL) ctx = sartor_context_create();
        if (ctx != NULL && sr_seconds() >= next)
            next = sr_seconds() + (beat_unlocked(heart, ctx, &study) ? interval : 0);
        if (!heart->quit) wait_a_moment(heart);
    }
    pthread_mutex_unlock(&heart->mutex);
    sr_study_close(&study);
    sartor_context_destroy(&ctx);
    return NULL;
}

sartor_status sr_heart_start(sartor_context *ctx, sr_heart *heart) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&heart->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&heart->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    /* Signals are for the program's own threads. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int error = pthread_create(&heart->thread, NULL, live, heart);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error == 0) return SARTOR_OK;
    pthread_cond_destroy(&heart->wake);
    pthread_mutex_destroy(&heart->mutex);
    return sr_fail(ctx, SARTOR_LIBRARY, "study: cannot start a thread: %s", strerror(error));
}

void sr_heart_stop(sr_heart *heart) {
    pthread_mutex_lock(&heart->mutex);
    heart->quit = true;
    pthread_cond_signal(&heart->wake);
    pthread_mutex_unlock(&heart->mutex);
    pthread_join(heart->thread, NULL);
    pthread_cond_destroy(&heart->wake);
    pthread_mutex_destroy(&heart->mutex);
}

void sr_heart_take(sr_heart *heart, const sr_job *job, sartor_context *job_context) {
    atomic_store(&heart->step, 0);
    atomic_store(&heart->steps, 0);
    atomic_store(&heart->loss, NAN);
    pthread_mutex_lock(&heart->mutex);
    heart->job = (sr_job){.id = job->id, .attempt = job->attempt};
    heart->job_context = job_context;
    heart->lost = false;
    pthread_mutex_unlock(&heart->mutex);
}

bool sr_heart_drop(sr_heart *heart) {
    pthread_mutex_lock(&heart->mutex);
    bool lost = heart->lost;
    heart->job_context = NULL;
    pthread_mutex_unlock(&heart->mutex);
    return lost;
}
