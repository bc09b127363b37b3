/* The insides of a study's handle, shared by the files of this folder. */
#ifndef SR_STUDY_INTERNAL_H
#define SR_STUDY_INTERNAL_H

#include "study/study.h"

typedef struct sr_statement {
    const char *sql; /* the literal's address is the key */
    sqlite3_stmt *statement;
    bool busy; /* started and not done */
} sr_statement;

struct sr_study {
    sqlite3 *db;
    char *path, *folder;
    char *copy; /* a temporary folder with a copy that is read instead; NULL: none */
    json_t *settings;
    sr_statement *statements;
    int n_statements, room;
    double patience;      /* seconds to wait for a lock */
    double waiting_since; /* of the busy handler */
    bool locked;          /* the last failure was that of a lock held by somebody else */
};

/* A handle without a connection. */
sartor_status sr_study_new(sartor_context *ctx, const char *path, sr_study **study);
/* Opens `name` (a path, or with SQLITE_OPEN_URI a URI) for the handle. */
sartor_status sr_study_connect(sartor_context *ctx, sr_study *study, const char *name, int flags);
/* Closes the connection, keeps the handle. */
void sr_study_disconnect(sr_study *study);

/* What the file says it is. */
typedef struct sr_study_header {
    int64_t application, version;
    bool empty; /* no tables */
} sr_study_header;
sartor_status sr_study_header_read(sartor_context *ctx, sr_study *study, sr_study_header *header);

sartor_status sr_study_header_check(sartor_context *ctx, const sr_study *study,
                                    const sr_study_header *header);
/* A regular file on a local file system, or (create) a place for one. */
sartor_status sr_study_check_place(sartor_context *ctx, const char *path, bool create);
/* What a connected writer needs: its pragmas, the log, the folder. */
sartor_status sr_study_prepare_writing(sartor_context *ctx, sr_study *study);
sartor_status sr_study_migrate(sartor_context *ctx, sr_study *study);
sartor_status sr_study_load_settings(sartor_context *ctx, sr_study *study);

/* Connects for reading, whatever the folder allows, and reads the header. */
sartor_status sr_study_connect_reading(sartor_context *ctx, sr_study *study,
                                       sr_study_header *header);
void sr_study_drop_copy(sr_study *study);

/* Ends every query, so that their texts may be started again. */
void sr_sql_reset_all(sr_study *study);
void sr_sql_finalize_all(sr_study *study);

/* How long handles that are made from now on wait for a lock: 10 seconds; for tests. */
void sr_study_set_patience(double seconds);

/* JSON as it is stored: compact, numbers exact. Release with free(). */
sartor_status sr_json_value_text(sartor_context *ctx, const json_t *json, char **text);

#endif
