#define _GNU_SOURCE
#include "study/study.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "study/internal.h"
#include "study/schema.h"
#include "study/sql.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { SMALLEST_PAGE = 512 };      /* of an SQLite file */
enum { LARGEST_VALUE = 64 << 20 }; /* bytes of one text */

static _Atomic double patience = 10;
void sr_study_set_patience(double seconds) { atomic_store(&patience, seconds); }

/* ---- connections ---- */

sartor_status sr_study_new(sartor_context *ctx, const char *path, sr_study **out) {
    *out = NULL;
    if (path == NULL || *path == '\0')
        return sr_fail(ctx, SARTOR_INVALID, "study: the file name is empty");
    sr_study *study;
    SR_TRY(sr_alloc(ctx, 1, sizeof *study, "a study", (void **)&study));
    study->patience = atomic_load(&patience);
    study->path = strdup(path);
    if (study->path == NULL || asprintf(&study->folder, "%s.d", path) < 0) {
        free(study->path);
        free(study);
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    }
    *out = study;
    return SARTOR_OK;
}

/* Waits for other connections in steps of 1 to 10 ms; SQLite's own handler goes up to 100 ms, or to
 * a second where it was built without usleep(). */
static int on_busy(void *user, int calls) {
    sr_study *study = user;
    if (calls == 0) study->waiting_since = sr_seconds();
    if (sr_seconds() - study->waiting_since >= study->patience) return 0;
    long ms = calls < 9 ? calls + 1 : 10;
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
    return 1;
}

/* A file may come from anywhere: nothing in its schema runs by itself. */
static void distrust(sqlite3 *db) {
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LARGEST_VALUE);
}

/* SQLite puts its log beside the file that a link names: so does the folder. */
static sartor_status follow_link(sartor_context *ctx, sr_study *study) {
    struct stat st;
    if (lstat(study->path, &st) != 0 || !S_ISLNK(st.st_mode)) return SARTOR_OK;
    char *file = realpath(study->path, NULL), *folder = NULL;
    if (file == NULL)
        return sr_fail(ctx, SARTOR_IO, "%s: cannot open: %s", study->path, strerror(errno));
    bool made = asprintf(&folder, "%s.d", file) >= 0;
    free(file);
    if (!made) return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", study->path);
    free(study->folder);
    study->folder = folder;
    return SARTOR_OK;
}

sartor_status sr_study_connect(sartor_context *ctx, sr_study *study, const char *name, int flags) {
    char *plain = NULL;
    /* SQLite may take a name that begins with "file:" for a URI, and ":memory:" for no file. */
    if (!(flags & SQLITE_OPEN_URI) && *name != '/' && asprintf(&plain, "./%s", name) < 0)
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", study->path);
    int code = sqlite3_open_v2(plain != NULL ? plain : name, &study->db,
                               flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    free(plain);
    if (code != SQLITE_OK) {
        sartor_status status = sr_sql_fail(ctx, study, code, "open");
        sr_study_disconnect(study);
        return status;
    }
    sqlite3_busy_handler(study->db, on_busy, study);
    distrust(study->db);
    return follow_link(ctx, study);
}

void sr_study_disconnect(sr_study *study) {
    sr_sql_finalize_all(study);
    sqlite3_close(study->db);
    study->db = NULL;
}

void sr_study_close(sr_study **handle) {
    if (handle == NULL || *handle == NULL) return;
    sr_study *study = *handle;
    sr_study_disconnect(study);
    sr_study_drop_copy(study);
    json_decref(study->settings);
    free(study->path);
    free(study->folder);
    free(study);
    *handle = NULL;
}

/* ---- what is in the file ---- */

/* One query, one view: somebody may just be making the tables. */
sartor_status sr_study_header_read(sartor_context *ctx, sr_study *study, sr_study_header *header) {
    sr_query rows;
    *header = (sr_study_header){0};
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
                  " FROM pragma_application_id, pragma_user_version",
                  ""));
    if (sr_next(&rows))
        *header = (sr_study_header){sr_int(&rows, 0), sr_int(&rows, 1), sr_int(&rows, 2) == 0};
    return sr_done(&rows);
}

sartor_status sr_study_header_check(sartor_context *ctx, const sr_study *study,
                                    const sr_study_header *header) {
    if (header->application != SR_STUDY_APPLICATION)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is not a sartor study", study->path);
    if (header->version > SR_STUDY_VERSION)
        return sr_fail(ctx, SARTOR_MISMATCH,
                       "%s: was written by a newer sartor (schema %" PRId64 ", this one knows %d)",
                       study->path, header->version, SR_STUDY_VERSION);
    if (header->version < 0)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (schema %" PRId64 ")", study->path,
                       header->version);
    return SARTOR_OK;
}

sartor_status sr_study_load_settings(sartor_context *ctx, sr_study *study) {
    char *text;
    SR_TRY(sr_study_get(ctx, study, "settings", &text));
    study->settings = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    free(text);
    if (!json_is_object(study->settings))
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (no settings)", study->path);
    return SARTOR_OK;
}

/* ---- writers ---- */

static const char *parent_of(const char *path, char **buffer) {
    const char *slash = strrchr(path, '/');
    *buffer = slash == NULL ? NULL : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    return *buffer != NULL ? *buffer : ".";
}

/* Locks on network file systems cannot be trusted, and a write-ahead log needs shared memory. */
static bool is_network(const char *folder) {
    struct statfs fs;
    if (statfs(folder, &fs) != 0) return false;
    unsigned long type = (unsigned long)fs.f_type & 0xFFFFFFFFUL;
    return type == 0x6969 /* NFS */ || type == 0x517B /* SMB */ ||
           type == 0xFF534D42UL /* CIFS */ || type == 0xFE534D42UL /* SMB2 */;
}

sartor_status sr_study_check_place(sartor_context *ctx, const char *path, bool create) {
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR)
        return sr_fail(ctx, SARTOR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (there && !S_ISREG(st.st_mode))
        return sr_fail(ctx, SARTOR_IO, "%s: is %s, not a study", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    /* SQLite takes a file of one byte for an empty one. */
    if (there && st.st_size > 0 && st.st_size < SMALLEST_PAGE)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is not a sartor study", path);
    if (!there && !create) return sr_fail(ctx, SARTOR_IO, "%s: does not exist", path);
    char *buffer;
    const char *folder = parent_of(path, &buffer);
    sartor_status status = SARTOR_OK;
    errno = ENOTDIR;
    if (!there && (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode)))
        status =
            sr_fail(ctx, SARTOR_IO, "%s: cannot create: %s: %s", path, folder, strerror(errno));
    else if (!there && access(folder, W_OK) != 0)
        status = sr_fail(ctx, SARTOR_IO, "%s: cannot create: %s", path, strerror(errno));
    else if (is_network(folder))
        status =
            sr_fail(ctx, SARTOR_IO,
                    "%s: is on a network file system, where a study cannot be locked safely", path);
    free(buffer);
    return status;
}

/* The change to WAL needs the file alone and does not always ask the busy handler. */
static sartor_status use_wal(sartor_context *ctx, sr_study *study) {
    double until = sr_seconds() + study->patience;
    for (;;) {
        sr_query rows;
        SR_TRY(sr_sql(ctx, study, &rows, "PRAGMA journal_mode = WAL", ""));
        bool wal = sr_next(&rows) && strcmp(sr_text(&rows, 0), "wal") == 0;
        sartor_status status = sr_done(&rows);
        if (wal) return SARTOR_OK;
        if (status == SARTOR_OK)
            return sr_fail(ctx, SARTOR_IO, "%s: the file system allows no write-ahead log",
                           study->path);
        if (!study->locked || sr_seconds() >= until) return status;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

sartor_status sr_study_prepare_writing(sartor_context *ctx, sr_study *study) {
    if (sqlite3_db_readonly(study->db, "main") == 1)
        return sr_fail(ctx, SARTOR_IO, "%s: is read-only", study->path);
    int code = sqlite3_exec(study->db, "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON",
                            NULL, NULL, NULL);
    if (code != SQLITE_OK) return sr_sql_fail(ctx, study, code, "open");
    SR_TRY(use_wal(ctx, study));
    return sr_make_folder(ctx, study->folder);
}

/* Older: migrated; the version is asked again where nobody else can change it. */
sartor_status sr_study_migrate(sartor_context *ctx, sr_study *study) {
    SR_TRY(sr_study_begin(ctx, study));
    sr_study_header header;
    sartor_status status = sr_study_header_read(ctx, study, &header);
    if (status == SARTOR_OK && header.version < SR_STUDY_VERSION)
        status = sr_schema_migrate(ctx, study, (int)header.version);
    if (status == SARTOR_OK) return sr_study_commit(ctx, study);
    sr_study_rollback(study);
    return status;
}

static sartor_status open_writing(sartor_context *ctx, sr_study *study) {
    sr_study_header header;
    SR_TRY(sr_study_check_place(ctx, study->path, false));
    SR_TRY(sr_study_connect(ctx, study, study->path, SQLITE_OPEN_READWRITE));
    SR_TRY(sr_study_header_read(ctx, study, &header));
    SR_TRY(sr_study_header_check(ctx, study, &header));
    SR_TRY(sr_study_prepare_writing(ctx, study));
    if (header.version < SR_STUDY_VERSION) SR_TRY(sr_study_migrate(ctx, study));
    return sr_study_load_settings(ctx, study);
}

static sartor_status open_reading(sartor_context *ctx, sr_study *study) {
    sr_study_header header;
    struct stat st;
    if (stat(study->path, &st) != 0)
        return errno == ENOENT
                   ? sr_fail(ctx, SARTOR_IO, "%s: does not exist", study->path)
                   : sr_fail(ctx, SARTOR_IO, "%s: cannot open: %s", study->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return sr_fail(ctx, SARTOR_IO, "%s: is %s, not a study", study->path,
                       S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    SR_TRY(sr_study_connect_reading(ctx, study, &header));
    SR_TRY(sr_study_header_check(ctx, study, &header));
    if (header.version < SR_STUDY_VERSION)
        return sr_fail(ctx, SARTOR_MISMATCH,
                       "%s: was written by an older sartor (schema %" PRId64
                       ", this one reads %d); continuing the study brings it up to date",
                       study->path, header.version, SR_STUDY_VERSION);
    return sr_study_load_settings(ctx, study);
}

sartor_status sr_study_open(sartor_context *ctx, const char *path, sr_study_mode mode,
                            sr_study **study) {
    SR_TRY(sr_study_new(ctx, path, study));
    sartor_status status =
        mode == SR_STUDY_WRITE ? open_writing(ctx, *study) : open_reading(ctx, *study);
    if (status != SARTOR_OK) sr_study_close(study);
    return status;
}

/* ---- the handle ---- */

const char *sr_study_path(const sr_study *study) { return study->path; }
const char *sr_study_folder(const sr_study *study) { return study->folder; }
const json_t *sr_study_settings(const sr_study *study) { return study->settings; }
sqlite3 *sr_study_database(const sr_study *study) { return study->db; }

double sr_study_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

sartor_status sr_study_begin(sartor_context *ctx, sr_study *study) {
    return sr_run_sql(ctx, study, NULL, "BEGIN IMMEDIATE", "");
}
sartor_status sr_study_begin_reading(sartor_context *ctx, sr_study *study) {
    return sr_run_sql(ctx, study, NULL, "BEGIN", "");
}
sartor_status sr_study_commit(sartor_context *ctx, sr_study *study) {
    sartor_status status = sr_run_sql(ctx, study, NULL, "COMMIT", "");
    if (status != SARTOR_OK) sr_study_rollback(study);
    return status;
}
void sr_study_rollback(sr_study *study) {
    sr_sql_reset_all(study);
    /* A full disk has rolled back already. */
    if (!sqlite3_get_autocommit(study->db)) sqlite3_exec(study->db, "ROLLBACK", NULL, NULL, NULL);
}

sartor_status sr_study_get(sartor_context *ctx, sr_study *study, const char *name, char **value) {
    *value = NULL;
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT value FROM fact WHERE name = ?", "s", name));
    bool found = sr_next(&rows) && !sr_is_null(&rows, 0);
    if (found) *value = strdup(sr_text(&rows, 0) != NULL ? sr_text(&rows, 0) : "");
    SR_TRY(sr_done(&rows));
    return found && *value == NULL
               ? sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", study->path)
               : SARTOR_OK;
}
sartor_status sr_study_put(sartor_context *ctx, sr_study *study, const char *name,
                           const char *value) {
    return sr_run_sql(ctx, study, NULL, "INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)",
                      "ss", name, value);
}
sartor_status sr_study_event(sartor_context *ctx, sr_study *study, int64_t job, const char *what) {
    return job > 0
               ? sr_run_sql(ctx, study, NULL, "INSERT INTO event (at, job, what) VALUES (?, ?, ?)",
                            "dis", sr_study_now(), job, what)
               : sr_run_sql(ctx, study, NULL, "INSERT INTO event (at, what) VALUES (?, ?)", "ds",
                            sr_study_now(), what);
}
