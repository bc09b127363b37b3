#include "study/sql.h"

#include "study/internal.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- failures ---- */

static bool disk_is_full(const sr_study *study, int code) {
    int error = study->db != NULL ? sqlite3_system_errno(study->db) : 0;
    return (code & 0xff) == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE ||
           ((code & 0xff) == SQLITE_IOERR &&
            (error == ENOSPC || error == EDQUOT || error == EFBIG));
}

sartor_status sr_sql_fail(sartor_context *ctx, const sr_study *study, int code, const char *doing) {
    const char *path = study->path;
    const char *text = study->db != NULL ? sqlite3_errmsg(study->db) : sqlite3_errstr(code);
    if (disk_is_full(study, code))
        return sr_fail(ctx, SARTOR_IO, "%s: cannot %s: disk full", path, doing);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return sr_fail(ctx, SARTOR_IO, "%s: is locked by another program", path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return sr_fail(ctx, SARTOR_IO, "%s: cannot %s: the file is read-only", path, doing);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_NOLFS:
    case SQLITE_PROTOCOL:
        return sr_fail(ctx, SARTOR_IO, "%s: cannot %s: %s", path, doing, text);
    case SQLITE_NOTADB:
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is not a sartor study", path);
    case SQLITE_CORRUPT:
    case SQLITE_FORMAT:
    case SQLITE_TOOBIG:
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (%s)", path, text);
    case SQLITE_NOMEM:
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory to %s", path, doing);
    case SQLITE_ERROR: /* a file may claim to be a study and lack a table or column */
        if (strncmp(text, "no such ", 8) == 0 || strstr(text, "has no column") != NULL ||
            strcmp(text, "unsupported file format") == 0)
            return sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (%s)", path, text);
        break;
    default:
        break;
    }
    return sr_fail(ctx, SARTOR_LIBRARY, "%s: cannot %s: %s", path, doing, text);
}

/* ---- cached statements ---- */

static sartor_status prepare(sartor_context *ctx, sr_study *study, const char *sql,
                             sr_statement **found) {
    for (int i = 0; i < study->n_statements; i++) {
        if (study->statements[i].sql != sql) continue;
        *found = &study->statements[i];
        if (strcmp(sqlite3_sql((*found)->statement), sql) != 0)
            return sr_fail(ctx, SARTOR_LIBRARY, "%s: a query's text is no literal", study->path);
        return SARTOR_OK;
    }
    if (study->n_statements == study->room) {
        int room = study->room > 0 ? 2 * study->room : 32;
        sr_statement *bigger = realloc(study->statements, (size_t)room * sizeof *bigger);
        if (bigger == NULL)
            return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", study->path);
        study->statements = bigger;
        study->room = room;
    }
    sr_statement *new = &study->statements[study->n_statements];
    *new = (sr_statement){sql, NULL, false};
    int code =
        sqlite3_prepare_v3(study->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &new->statement, NULL);
    study->locked = (code & 0xff) == SQLITE_BUSY;
    if (code != SQLITE_OK) return sr_sql_fail(ctx, study, code, "prepare a query");
    if (new->statement == NULL)
        return sr_fail(ctx, SARTOR_LIBRARY, "%s: an empty query", study->path);
    study->n_statements++;
    *found = new;
    return SARTOR_OK;
}

/* Entries move when the cache grows: rows refer to their statement, not to its entry. */
static void mark_done(sr_study *study, sqlite3_stmt *statement) {
    for (int i = 0; i < study->n_statements; i++)
        if (study->statements[i].statement == statement) study->statements[i].busy = false;
}

void sr_sql_reset_all(sr_study *study) {
    for (int i = 0; i < study->n_statements; i++) {
        sqlite3_reset(study->statements[i].statement);
        study->statements[i].busy = false;
    }
}

void sr_sql_finalize_all(sr_study *study) {
    for (int i = 0; i < study->n_statements; i++) sqlite3_finalize(study->statements[i].statement);
    free(study->statements);
    study->statements = NULL;
    study->n_statements = study->room = 0;
}

/* ---- queries ---- */

static int bind_one(sqlite3_stmt *statement, int place, char type, va_list *values) {
    switch (type) {
    case 'i':
        return sqlite3_bind_int64(statement, place, va_arg(*values, int64_t));
    case 'd': {
        double value = va_arg(*values, double);
        return isnan(value) ? sqlite3_bind_null(statement, place)
                            : sqlite3_bind_double(statement, place, value);
    }
    case 's': {
        const char *text = va_arg(*values, const char *);
        return text == NULL ? sqlite3_bind_null(statement, place)
                            : sqlite3_bind_text(statement, place, text, -1, SQLITE_TRANSIENT);
    }
    default:
        return SQLITE_MISUSE;
    }
}

static sartor_status start(sartor_context *ctx, sr_study *study, sr_query *rows, const char *sql,
                           const char *types, va_list *values) {
    *rows = (sr_query){.ctx = ctx, .study = study, .code = SQLITE_OK};
    sr_statement *entry = NULL;
    SR_TRY(prepare(ctx, study, sql, &entry));
    if (entry->busy)
        return sr_fail(ctx, SARTOR_LIBRARY, "%s: a query was started twice: %s", study->path, sql);
    sqlite3_stmt *statement = entry->statement;
    if (strlen(types) != (size_t)sqlite3_bind_parameter_count(statement))
        return sr_fail(ctx, SARTOR_LIBRARY, "%s: a query has %d parameters, not %zu: %s",
                       study->path, sqlite3_bind_parameter_count(statement), strlen(types), sql);
    for (int i = 0; types[i] != '\0'; i++) {
        int code = bind_one(statement, i + 1, types[i], values);
        if (code != SQLITE_OK) {
            sartor_status status = sr_sql_fail(ctx, study, code, "bind a value");
            sqlite3_clear_bindings(statement);
            return status;
        }
    }
    entry->busy = true;
    rows->statement = statement;
    return SARTOR_OK;
}

sartor_status sr_sql(sartor_context *ctx, sr_study *study, sr_query *rows, const char *sql,
                     const char *types, ...) {
    va_list values;
    va_start(values, types);
    sartor_status status = start(ctx, study, rows, sql, types, &values);
    va_end(values);
    return status;
}

bool sr_next(sr_query *rows) {
    if (rows->statement == NULL || (rows->code != SQLITE_OK && rows->code != SQLITE_ROW))
        return false;
    rows->code = sqlite3_step(rows->statement);
    return rows->code == SQLITE_ROW;
}

sartor_status sr_done(sr_query *rows) {
    if (rows->statement == NULL) return SARTOR_OK;
    sartor_status status = SARTOR_OK;
    int code = rows->code;
    rows->study->locked = (code & 0xff) == SQLITE_BUSY;
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) /* before the reset */
        status = sr_sql_fail(rows->ctx, rows->study, code,
                             sqlite3_stmt_readonly(rows->statement) ? "read" : "write");
    sqlite3_reset(rows->statement);
    sqlite3_clear_bindings(rows->statement);
    mark_done(rows->study, rows->statement);
    rows->statement = NULL;
    return status;
}

int64_t sr_int(const sr_query *rows, int column) {
    return sqlite3_column_int64(rows->statement, column);
}
double sr_real(const sr_query *rows, int column) {
    return sr_is_null(rows, column) ? NAN : sqlite3_column_double(rows->statement, column);
}
const char *sr_text(const sr_query *rows, int column) {
    return (const char *)sqlite3_column_text(rows->statement, column);
}
bool sr_is_null(const sr_query *rows, int column) {
    return sqlite3_column_type(rows->statement, column) == SQLITE_NULL;
}
bool sr_is_integer(const sr_query *rows, int column) {
    return sqlite3_column_type(rows->statement, column) == SQLITE_INTEGER;
}

sartor_status sr_run_sql(sartor_context *ctx, sr_study *study, int64_t *changed, const char *sql,
                         const char *types, ...) {
    sr_query rows;
    va_list values;
    va_start(values, types);
    sartor_status status = start(ctx, study, &rows, sql, types, &values);
    va_end(values);
    SR_TRY(status);
    while (sr_next(&rows)) continue;
    int64_t n = rows.code == SQLITE_DONE ? sqlite3_changes64(study->db) : 0;
    if (changed != NULL) *changed = n;
    return sr_done(&rows);
}
