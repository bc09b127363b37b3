/* The study: one SQLite database that is the only truth about a search, and a folder beside it.
 *
 * STUDY holds settings, jobs, results and lineage; STUDY.d/ holds weights and checkpoints. No state
 * of a search lives only in a process. A handle is one connection and belongs to one thread; every
 * change happens inside a short transaction (sr_study_begin()), training never does. Failures of
 * SQLite become one line that names the file: locked, corrupted, read-only, disk full, written by a
 * newer sartor. */
#ifndef SR_STUDY_STUDY_H
#define SR_STUDY_STUDY_H

#include "base/context.h"
#include <jansson.h>
#include <sqlite3.h>
#include <stdint.h>

typedef struct sr_study sr_study;

/* Makes the database and its folder, or opens what is there. `settings`: a flat JSON object,
 * everything that decides results. Where the study exists its settings must be equal:
 * SARTOR_MISMATCH names the first that differs, with both values. Two processes may create at
 * once. `created` tells which it was. */
sartor_status sr_study_create(sartor_context *ctx, const char *path, const json_t *settings,
                              sr_study **study, bool *created);

typedef enum sr_study_mode { SR_STUDY_READ, SR_STUDY_WRITE } sr_study_mode;
/* Opens an existing study; WRITE migrates an older schema forwards. READ works while a search runs,
 * from a read-only folder, and after a crash; the study stays what it is. SARTOR_IO, SARTOR_FORMAT
 * (not a study, corrupted), SARTOR_MISMATCH (newer). */
sartor_status sr_study_open(sartor_context *ctx, const char *path, sr_study_mode mode,
                            sr_study **study);
void sr_study_close(sr_study **study);

const char *sr_study_path(const sr_study *study);
const char *sr_study_folder(const sr_study *study); /* STUDY.d */
const json_t *sr_study_settings(const sr_study *study);
sqlite3 *sr_study_database(const sr_study *study);

/* BEGIN IMMEDIATE (waits for other writers, up to a bounded time), COMMIT, ROLLBACK. A reader that
 * wants one consistent view uses sr_study_begin_reading() and rollback. */
sartor_status sr_study_begin(sartor_context *ctx, sr_study *study);
sartor_status sr_study_begin_reading(sartor_context *ctx, sr_study *study);
sartor_status sr_study_commit(sartor_context *ctx, sr_study *study);
void sr_study_rollback(sr_study *study);

/* Facts that may change and do not decide results (how many generations in all ...): text by name.
 * get: *value is NULL where there is none; release with free(). put: inside a transaction. */
sartor_status sr_study_get(sartor_context *ctx, sr_study *study, const char *name, char **value);
sartor_status sr_study_put(sartor_context *ctx, sr_study *study, const char *name,
                           const char *value);

/* A line in the table of events, inside a transaction. job 0: none. */
sartor_status sr_study_event(sartor_context *ctx, sr_study *study, int64_t job, const char *what);

/* Wall clock in seconds since 1970: what leases and time stamps are in. */
double sr_study_now(void);

#endif
