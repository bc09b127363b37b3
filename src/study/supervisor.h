/* The supervisor: local worker processes, restarted when they die, and told apart from jobs that
 * kill them.
 *
 * A worker is a fresh process (fork and exec: OpenMP and SQLite do not survive a bare fork) that
 * ends, as interrupted, when the supervisor dies: its name tells whose death to watch for. The
 * supervisor itself only reads the study and counts deaths; a job is given up after SR_MOST_CRASHES
 * deaths in a row at the same step. */
#ifndef SR_STUDY_SUPERVISOR_H
#define SR_STUDY_SUPERVISOR_H

#include "study/jobs.h"

typedef struct sr_supervisor_options {
    const char *study;
    /* argv of a worker process; argv[0] is a path. The supervisor adds "--worker-name NAME" at the
     * end. */
    const char *const *command;
    int workers;
    /* About four times a second with a connection for reading; may be NULL. */
    void (*poll)(void *user, sr_study *study);
    void *user;
} sr_supervisor_options;

/* Returns when all workers ended by themselves. Exit code 0: finished. A worker that ends with an
 * error (code 1: disk full, other machine ...) ends the others, and its last line on standard error
 * is the reason: SARTOR_IO. Interrupted: workers get SIGTERM and are waited for. */
sartor_status sr_supervise(sartor_context *ctx, const sr_supervisor_options *options);

#endif
