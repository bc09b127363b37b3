/* SQL in a line: prepared statements cached by text, typed binding, errors as one sentence.
 *
 *     sr_query rows;
 *     SR_TRY(sr_sql(ctx, study, &rows, "SELECT genome FROM trial WHERE id = ?", "i", id));
 *     while (sr_next(&rows)) use(sr_text(&rows, 0));
 *     SR_TRY(sr_done(&rows));
 *
 * Binding codes: i int64_t, d double (NaN becomes NULL), s const char * (NULL becomes NULL;
 * copied).
 */
#ifndef SR_STUDY_SQL_H
#define SR_STUDY_SQL_H

#include "study/study.h"

typedef struct sr_query {
    sartor_context *ctx;
    sr_study *study;
    sqlite3_stmt *statement;
    int code; /* of the last step */
} sr_query;

/* Starts a query. After sr_next() has returned false, or to end early, call sr_done(). The same
 * text may not be started again before it is done. `sql` is a literal (cached by its address). */
sartor_status sr_sql(sartor_context *ctx, sr_study *study, sr_query *rows, const char *sql,
                     const char *types, ...);
bool sr_next(sr_query *rows);
sartor_status sr_done(sr_query *rows);

int64_t sr_int(const sr_query *rows, int column);
double sr_real(const sr_query *rows, int column);      /* NULL: NaN */
const char *sr_text(const sr_query *rows, int column); /* NULL: NULL; until the next step */
bool sr_is_null(const sr_query *rows, int column);
bool sr_is_integer(const sr_query *rows, int column);

/* A statement without rows. *changed (may be NULL): rows it changed. */
sartor_status sr_run_sql(sartor_context *ctx, sr_study *study, int64_t *changed, const char *sql,
                         const char *types, ...);

/* The failure that SQLite's last code stands for. */
sartor_status sr_sql_fail(sartor_context *ctx, const sr_study *study, int code, const char *doing);

#endif
