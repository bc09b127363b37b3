/* The tables of a study, and how an older study becomes a newer one. */
#ifndef SR_STUDY_SCHEMA_H
#define SR_STUDY_SCHEMA_H

#include "study/study.h"

enum {
    SR_STUDY_APPLICATION = 0x73727472, /* PRAGMA application_id: "srtr" */
    SR_STUDY_VERSION = 1               /* PRAGMA user_version */
};

/* Statements that make version v + 1 of version v. */
typedef struct sr_schema_step {
    const char *const *statements;
    size_t n;
} sr_schema_step;
/* Runs those of the `n` steps that follow `version` and writes the ids into the file. */
sartor_status sr_schema_apply(sartor_context *ctx, sr_study *study, const sr_schema_step *steps,
                              int n, int version);

/* Brings the database (inside a transaction) from `version` (0: empty) to SR_STUDY_VERSION, step by
 * step; migrations are append-only. */
sartor_status sr_schema_migrate(sartor_context *ctx, sr_study *study, int version);

#endif
