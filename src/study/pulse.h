/* The pulse of a worker: a few numbers in a file that outlive the process that wrote them.
 *
 * STUDY.d/workers/NAME is mapped into the worker, which stores where it is with plain atomic
 * stores; they are in the page cache at once, so that a supervisor reads them after any death. The
 * worker holds a lock on the file, which ends with the process: who gets the lock knows it dead. */
#ifndef SR_STUDY_PULSE_H
#define SR_STUDY_PULSE_H

#include "base/context.h"
#include <stdint.h>

typedef struct sr_pulse {
    _Atomic int64_t *field; /* job, attempt, step; NULL: no pulse is kept */
    char *path;
    int lock; /* file descriptor */
} sr_pulse;

/* `folder`: STUDY.d. */
sartor_status sr_pulse_open(sartor_context *ctx, const char *folder, const char *name,
                            sr_pulse *pulse);
void sr_pulse_start(sr_pulse *pulse, int64_t job, int64_t attempt);
void sr_pulse_step(sr_pulse *pulse, int64_t step);
/* Removes the file. */
void sr_pulse_close(sr_pulse *pulse);

/* From outside: the step at which the worker was in that attempt of that job; 0 when it was not yet
 * there or no pulse is left. Removes the file. */
int64_t sr_pulse_take(const char *folder, const char *name, int64_t job, int64_t attempt);

/* Whether the worker of that name left a pulse and lives no more. */
bool sr_pulse_is_dead(const char *folder, const char *name);

/* Names become file names: 1 to 200 letters, digits, and "-_.~@+=", no dot first. */
bool sr_pulse_name_good(const char *name);

#endif
