#include "study/schema.h"

#include "study/sql.h"
#include <stdio.h>

/* Version 1. Times are seconds since 1970; JSON is text. */
static const char *const version_1[] = {
    /* Settings ("settings") and facts by name. */
    "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",

    /* Work: a kind, what makes it the same work (name), a specification, and its result. */
    "CREATE TABLE job ("
    " id INTEGER PRIMARY KEY,"
    " kind TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " spec TEXT NOT NULL,"     /* JSON */
    " cost REAL NOT NULL,"     /* expected work in any unit: largest first */
    " alone INTEGER NOT NULL," /* 1: nothing else of the study runs beside it */
    " state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),"
    " attempt INTEGER NOT NULL DEFAULT 0," /* claims so far; fences late results */
    " worker TEXT,"                        /* of the last claim */
    " lease_until REAL,"
    " crashes INTEGER NOT NULL DEFAULT 0," /* in a row, at crash_step */
    " crash_step INTEGER,"
    " step INTEGER NOT NULL DEFAULT 0," /* progress: step of steps, and the loss there */
    " steps INTEGER NOT NULL DEFAULT 0,"
    " loss REAL,"
    " result TEXT," /* JSON, of done */
    " reason TEXT," /* of failed */
    " created REAL NOT NULL,"
    " started REAL," /* last claim */
    " finished REAL,"
    " seconds REAL," /* of work, all attempts that count */
    " UNIQUE (kind, name))",
    "CREATE INDEX job_open ON job (state, alone, cost DESC, id)"
    " WHERE state = 'waiting' OR state = 'running'",
    "CREATE INDEX job_worker ON job (worker) WHERE state = 'running'",
    "CREATE INDEX job_state ON job (kind, state)",

    "CREATE TABLE attempt ("
    " job INTEGER NOT NULL REFERENCES job, attempt INTEGER NOT NULL, worker TEXT NOT NULL,"
    " started REAL NOT NULL, ended REAL, outcome TEXT,"
    " PRIMARY KEY (job, attempt)) WITHOUT ROWID",

    "CREATE TABLE curve ("
    " job INTEGER NOT NULL REFERENCES job, step INTEGER NOT NULL, tokens INTEGER NOT NULL,"
    " loss REAL, bits_per_byte REAL," /* training; validation, where it was measured */
    " PRIMARY KEY (job, step)) WITHOUT ROWID",

    "CREATE TABLE event (id INTEGER PRIMARY KEY, at REAL NOT NULL, job INTEGER, what TEXT NOT "
    "NULL)",

    "CREATE TABLE worker ("
    " name TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, machine TEXT NOT NULL,"
    " version TEXT NOT NULL, started REAL NOT NULL, seen REAL NOT NULL) WITHOUT ROWID",

    /* Search: candidates, where they come from, what they are worth. */
    "CREATE TABLE trial ("
    " id INTEGER PRIMARY KEY," /* from 1, in the order of generation and slot */
    " generation INTEGER NOT NULL,"
    " slot INTEGER NOT NULL,"
    " genome TEXT NOT NULL,"
    " arch TEXT NOT NULL UNIQUE," /* `id` of the architecture */
    " parent1 INTEGER REFERENCES trial,"
    " parent2 INTEGER REFERENCES trial,"
    " operator TEXT NOT NULL," /* sample, crossover, mutation, crossover+mutation, move, seed */
    " mutations INTEGER NOT NULL DEFAULT 0,"
    " repairs INTEGER NOT NULL DEFAULT 0," /* integers set right after recombination */
    " refused INTEGER NOT NULL DEFAULT 0," /* children of the slot drawn before: seen, or beyond a
                                              limit */
    " baseline TEXT,"                      /* the preset it is */
    " job INTEGER REFERENCES job,"         /* its training; NULL where nothing is trained */
    " measure INTEGER REFERENCES job,"     /* of its speed */
    " state TEXT NOT NULL CHECK (state IN ('open', 'done', 'failed')))",
    "CREATE INDEX trial_generation ON trial (generation, slot)",
    "CREATE INDEX trial_open ON trial (id) WHERE state = 'open'",
    "CREATE INDEX trial_job ON trial (job)",

    "CREATE TABLE value ("
    " trial INTEGER NOT NULL REFERENCES trial, name TEXT NOT NULL, value REAL NOT NULL,"
    " PRIMARY KEY (trial, name)) WITHOUT ROWID",

    /* Members of the parent population of generation + 1, best first. */
    "CREATE TABLE parent ("
    " generation INTEGER NOT NULL, place INTEGER NOT NULL, trial INTEGER NOT NULL REFERENCES trial,"
    " PRIMARY KEY (generation, place)) WITHOUT ROWID",

    /* A row for every finished generation; front: the ids of all that is non-dominated so far. */
    "CREATE TABLE generation ("
    " number INTEGER PRIMARY KEY, finished REAL NOT NULL, hypervolume REAL, front TEXT NOT NULL)",
};

static const sr_schema_step steps[] = {
    {version_1, sizeof version_1 / sizeof *version_1},
};
_Static_assert(sizeof steps / sizeof *steps == SR_STUDY_VERSION, "one step a version");

static sartor_status run(sartor_context *ctx, sr_study *study, const char *sql) {
    int code = sqlite3_exec(sr_study_database(study), sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? SARTOR_OK : sr_sql_fail(ctx, study, code, "make the tables");
}

sartor_status sr_schema_apply(sartor_context *ctx, sr_study *study, const sr_schema_step *list,
                              int n, int version) {
    for (int v = version; v < n; v++)
        for (size_t i = 0; i < list[v].n; i++) SR_TRY(run(ctx, study, list[v].statements[i]));
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", SR_STUDY_APPLICATION);
    SR_TRY(run(ctx, study, pragma));
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", n);
    return run(ctx, study, pragma);
}

sartor_status sr_schema_migrate(sartor_context *ctx, sr_study *study, int version) {
    return sr_schema_apply(ctx, study, steps, SR_STUDY_VERSION, version);
}
