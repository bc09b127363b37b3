#define _GNU_SOURCE
#include "study/worker.h"

#include "base/clock.h"
#include "study/heart.h"
#include "study/internal.h"
#include "study/pulse.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <sartor/sartor.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HOST = 64, MOST_LOCKED = 6 }; /* waits for a lock in a row, of sr_study's patience each */
static const double busy_pause = 0.06, first_pause = 0.01, longest_pause = 0.5;

struct sr_worker {
    sartor_context *ctx;
    const sr_worker_options *options;
    char host[HOST], name[256];
    sr_study *study;
    sr_pulse pulse;
    sr_heart heart;
    int locked; /* failures in a row because of locks */
};

void sr_worker_progress(sr_worker *worker, int64_t step, int64_t steps, double loss) {
    atomic_store_explicit(&worker->heart.step, step, memory_order_relaxed);
    atomic_store_explicit(&worker->heart.steps, steps, memory_order_relaxed);
    atomic_store_explicit(&worker->heart.loss, loss, memory_order_relaxed);
    sr_pulse_step(&worker->pulse, step);
}

sr_study *sr_worker_study(sr_worker *worker) { return worker->study; }

/* ---- small things ---- */

/* Signals are noticed within a slice. */
static void sleep_for(const sr_worker *w, double seconds) {
    double until = sr_seconds() + seconds;
    for (double left = seconds; left > 0 && !sr_interrupted(w->ctx); left = until - sr_seconds()) {
        double slice = left < 0.05 ? left : 0.05;
        nanosleep(&(struct timespec){.tv_nsec = (long)(slice * 1e9)}, NULL);
    }
}

static sartor_status interrupted(const sr_worker *w) {
    return sr_fail(w->ctx, SARTOR_INTERRUPTED, "%s: interrupted; run again to continue",
                   w->options->study);
}

/* Whether a failure is that of a lock which may yet be let go of. */
static bool worth_another_try(sr_worker *w, sartor_status status) {
    if (status == SARTOR_OK || !w->study->locked) {
        w->locked = 0;
        return false;
    }
    return ++w->locked < MOST_LOCKED && !sr_interrupted(w->ctx);
}

static sartor_status begin(sr_worker *w) {
    sartor_status status;
    do {
        status = sr_study_begin(w->ctx, w->study);
    } while (worth_another_try(w, status));
    return status;
}

/* ---- what becomes of a job ---- */

static void tell_lost(const sr_worker *w, const sr_job *job) {
    sr_log(w->ctx, "job %" PRId64 " moved on to another worker", job->id);
}

/* The result of a run, in one transaction with what the kind makes of it. */
static sartor_status keep(sr_worker *w, const sr_job_kind *kind, const sr_job *job,
                          const json_t *result, const char *reason) {
    bool ours = false;
    SR_TRY(begin(w));
    sartor_status status = sr_job_finish(w->ctx, w->study, job, result, reason, &ours);
    if (status == SARTOR_OK && ours && reason == NULL && kind->store != NULL)
        status = kind->store(w->ctx, w->study, w->options->user, job, result);
    if (status != SARTOR_OK) {
        sr_study_rollback(w->study);
        return status;
    }
    SR_TRY(sr_study_commit(w->ctx, w->study));
    if (!ours) tell_lost(w, job);
    return SARTOR_OK;
}

/* As well as it goes: if it fails, the lease runs out. Leaves the recorded failure alone. False:
 * the job has moved on. */
static bool give_back(sr_worker *w, const sr_job *job, const char *outcome) {
    bool ours = true;
    sartor_context *ctx = sartor_context_create();
    if (ctx != NULL && sr_study_begin(ctx, w->study) == SARTOR_OK) {
        bool asked = sr_job_give_back(ctx, w->study, job, outcome, &ours) == SARTOR_OK;
        if (asked)
            (void)sr_study_commit(ctx, w->study);
        else
            sr_study_rollback(w->study);
        ours = ours || !asked;
    }
    sartor_context_destroy(&ctx);
    return ours;
}

static bool is_fault_of_job(sartor_status status) {
    return status == SARTOR_NOT_FINITE || status == SARTOR_INVALID || status == SARTOR_FORMAT ||
           status == SARTOR_MISMATCH;
}

/* `status` and the message in `inner` are what the run returned. */
static sartor_status settle(sr_worker *w, const sr_job_kind *kind, const sr_job *job,
                            sartor_status status, const sartor_context *inner, const json_t *result,
                            bool lost) {
    const char *message = sartor_error(inner);
    if (*message == '\0') message = sartor_status_name(status);
    if (lost) { /* somebody else has it, or it has been given up */
        tell_lost(w, job);
        return SARTOR_OK;
    }
    if (status == SARTOR_OK || is_fault_of_job(status)) {
        sartor_status kept = keep(w, kind, job, status == SARTOR_OK ? result : NULL,
                                  status == SARTOR_OK ? NULL : message);
        if (kept != SARTOR_OK) (void)give_back(w, job, sartor_error(w->ctx));
        return kept;
    }
    /* Who has the job now may have removed the files under a worker that was stopped. */
    if (!give_back(w, job, message) && status != SARTOR_INTERRUPTED) {
        tell_lost(w, job);
        return SARTOR_OK;
    }
    return status == SARTOR_INTERRUPTED ? interrupted(w) : sr_fail(w->ctx, status, "%s", message);
}

static const sr_job_kind *find_kind(const sr_worker_options *o, const char *name) {
    for (int i = 0; i < o->n_kinds; i++)
        if (strcmp(o->kinds[i].name, name) == 0) return &o->kinds[i];
    return NULL;
}

static void pass_on(void *user, const char *line) {
    const sr_worker *w = user;
    sr_log(w->ctx, "%s", line);
}

static sartor_status work_on(sr_worker *w, const sr_job *job) {
    const sr_job_kind *kind = find_kind(w->options, job->kind);
    sartor_context *inner = kind != NULL ? sartor_context_create() : NULL;
    if (inner == NULL) {
        sartor_status status =
            kind != NULL
                ? sr_fail(w->ctx, SARTOR_MEMORY, "study: not enough memory")
                : sr_fail(w->ctx, SARTOR_MISMATCH, "%s: this sartor knows no jobs of kind %.80s",
                          w->options->study, job->kind);
        (void)give_back(w, job, sartor_error(w->ctx));
        return status;
    }
    sartor_set_log(inner, pass_on, w);
    sr_heart_take(&w->heart, job, inner);
    json_t *result = NULL;
    sartor_status status = kind->run(inner, w, w->options->user, job, &result);
    bool lost = sr_heart_drop(&w->heart);
    status = settle(w, kind, job, status, inner, result, lost);
    json_decref(result);
    sartor_context_destroy(&inner);
    return status;
}

/* ---- the loop ---- */

static sartor_status claim(sr_worker *w, sr_job *job, sr_claim *claimed) {
    sartor_status status;
    do {
        status = sr_job_claim(w->ctx, w->study, w->name, w->options->lease, w->options->only, job,
                              claimed);
    } while (worth_another_try(w, status));
    if (status == SARTOR_OK && *claimed == SR_CLAIMED)
        sr_pulse_start(&w->pulse, job->id, job->attempt);
    return status;
}

/* `pause` grows while neither a claim nor advance finds anything to do. */
static sartor_status loop(sr_worker *w) {
    double pause = 0;
    for (bool finished = false; !finished;) {
        if (sr_interrupted(w->ctx)) return interrupted(w);
        sr_job job;
        sr_claim claimed;
        SR_TRY(claim(w, &job, &claimed));
        if (claimed == SR_CLAIMED) {
            sartor_status status = work_on(w, &job);
            sr_job_release(&job);
            SR_TRY(status);
            pause = 0;
        } else if (claimed == SR_CLAIM_BUSY) {
            sleep_for(w, busy_pause);
            pause = 0;
        } else {
            sleep_for(w, pause);
            pause = pause == 0 ? first_pause : fmin(1.5 * pause, longest_pause);
            if (sr_interrupted(w->ctx)) return interrupted(w);
            finished = w->options->advance == NULL;
            if (!finished)
                SR_TRY(w->options->advance(w->ctx, w->study, w->options->user, &finished));
        }
    }
    return SARTOR_OK;
}

/* ---- beginning and end ---- */

static sartor_status choose_name(sr_worker *w) {
    if (gethostname(w->host, sizeof w->host) != 0) snprintf(w->host, sizeof w->host, "host");
    w->host[sizeof w->host - 1] = '\0';
    const char *name = w->options->name;
    if (name == NULL)
        snprintf(w->name, sizeof w->name, "%s-%ld-%" PRId64, w->host, (long)getpid(),
                 (int64_t)(sr_study_now() * 1000));
    else if (!sr_pulse_name_good(name))
        return sr_fail(w->ctx, SARTOR_INVALID,
                       "worker name: expected at most 200 letters, digits and -_.~@+=");
    else
        snprintf(w->name, sizeof w->name, "%s", name);
    return SARTOR_OK;
}

/* A supervisor gives names that end in "~" and its process id. */
static void find_supervisor(sr_worker *w) {
    const char *mark = strrchr(w->name, '~');
    char *rest;
    long pid = mark != NULL ? strtol(mark + 1, &rest, 10) : 0;
    if (pid <= 1 || *rest != '\0') return;
    w->heart.supervisor = pid;
    w->heart.is_parent = getppid() == pid;
}

static sartor_status sign_in(sr_worker *w) {
    double now = sr_study_now();
    return sr_run_sql(w->ctx, w->study, NULL,
                      "INSERT OR REPLACE INTO worker"
                      " (name, host, pid, machine, version, started, seen)"
                      " VALUES (?, ?, ?, ?, ?, ?, ?)",
                      "ssissdd", w->name, w->host, (int64_t)getpid(),
                      w->options->machine != NULL ? w->options->machine : "", sartor_version(), now,
                      now);
}

static sartor_status work(sr_worker *w) {
    const sr_worker_options *o = w->options;
    SR_TRY(choose_name(w));
    find_supervisor(w);
    if (sr_heart_orphan(&w->heart)) return interrupted(w);
    SR_TRY(sr_study_open(w->ctx, o->study, SR_STUDY_WRITE, &w->study));
    SR_TRY(sign_in(w));
    SR_TRY(sr_pulse_open(w->ctx, sr_study_folder(w->study), w->name, &w->pulse));
    w->heart.study = o->study;
    w->heart.worker = w->name;
    w->heart.lease = o->lease;
    w->heart.outer = w->ctx;
    SR_TRY(sr_heart_start(w->ctx, &w->heart));
    sartor_status status = loop(w);
    sr_heart_stop(&w->heart);
    return status;
}

sartor_status sr_worker_run(sartor_context *ctx, const sr_worker_options *options) {
    if (!isfinite(options->lease) || options->lease <= 0)
        return sr_fail(ctx, SARTOR_INVALID, "study: the lease is %g seconds", options->lease);
    sr_worker *w = calloc(1, sizeof *w);
    if (w == NULL) return sr_fail(ctx, SARTOR_MEMORY, "study: not enough memory");
    w->ctx = ctx;
    w->options = options;
    sartor_status status = work(w);
    sr_pulse_close(&w->pulse);
    sr_study_close(&w->study);
    free(w);
    return status;
}
