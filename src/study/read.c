/* Reading a study where nothing can be written: a write-ahead log wants its index beside it.
 *
 * First as everybody; where the folder refuses that, a file without a log in it is complete and
 * cannot change (immutable); a file with a log is copied, both together, and the copy is read. */
#define _GNU_SOURCE
#include "study/internal.h"
#include "study/sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 16, TRIES = 50 };

/* Unreserved characters and slashes stay, all else becomes %XX. "//" keeps a path that starts with
 * two slashes from being read as a host. */
static char *immutable_uri(const char *path) {
    size_t n = strlen(path);
    char *uri = malloc(3 * n + 32), *p = uri;
    if (uri == NULL) return NULL;
    p += snprintf(p, 16, *path == '/' ? "file://" : "file:./");
    for (; *path != '\0'; path++) {
        unsigned char c = (unsigned char)*path;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     strchr("/-._~", c) != NULL;
        p += snprintf(p, 4, plain ? "%c" : "%%%02X", c);
    }
    snprintf(p, 16, "?immutable=1");
    return uri;
}

/* ---- a copy ---- */

void sr_study_drop_copy(sr_study *study) {
    static const char *const names[] = {"study", "study-wal", "study-shm", "study-journal"};
    if (study->copy == NULL) return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path;
        if (asprintf(&path, "%s/%s", study->copy, names[i]) < 0) continue;
        unlink(path);
        free(path);
    }
    rmdir(study->copy);
    free(study->copy);
    study->copy = NULL;
}

static bool copy_bytes(FILE *from, FILE *to) {
    static const size_t room = COPY_BYTES;
    char *buffer = malloc(room);
    if (buffer == NULL) return false;
    size_t n;
    bool good = true;
    while (good && (n = fread(buffer, 1, room, from)) > 0) good = fwrite(buffer, 1, n, to) == n;
    free(buffer);
    return good && !ferror(from);
}

static sartor_status copy_file(sartor_context *ctx, const char *from, const char *folder,
                               const char *name) {
    char *to;
    if (asprintf(&to, "%s/%s", folder, name) < 0)
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", from);
    FILE *in = fopen(from, "rbe"), *out = in != NULL ? fopen(to, "wbe") : NULL;
    bool good = in != NULL && out != NULL && copy_bytes(in, out);
    int error = errno;
    if (in != NULL) fclose(in);
    if (out != NULL && fclose(out) != 0) {
        good = false;
        error = errno;
    }
    sartor_status status =
        good ? SARTOR_OK
             : sr_fail(ctx, SARTOR_IO, "%s: cannot copy to %s: %s", from, folder, strerror(error));
    free(to);
    return status;
}

/* Equal before and after: nobody wrote in between. */
typedef struct sr_stamp {
    off_t size[2];
    struct timespec time[2];
} sr_stamp;

static sr_stamp stamp_of(const char *path, const char *wal) {
    sr_stamp s;
    memset(&s, 0, sizeof s);
    const char *names[2] = {path, wal};
    struct stat st;
    for (int i = 0; i < 2; i++)
        if (stat(names[i], &st) == 0) {
            s.size[i] = st.st_size;
            s.time[i] = st.st_mtim;
        }
    return s;
}

static bool same_stamp(const sr_stamp *a, const sr_stamp *b) {
    for (int i = 0; i < 2; i++)
        if (a->size[i] != b->size[i] || a->time[i].tv_sec != b->time[i].tv_sec ||
            a->time[i].tv_nsec != b->time[i].tv_nsec)
            return false;
    return true;
}

static sartor_status make_copy(sartor_context *ctx, sr_study *study, const char *wal) {
    const char *place = getenv("TMPDIR");
    if (place == NULL || *place == '\0') place = "/tmp";
    if (asprintf(&study->copy, "%s/sartor-read.XXXXXX", place) < 0) study->copy = NULL;
    if (study->copy == NULL)
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", study->path);
    if (mkdtemp(study->copy) == NULL) {
        free(study->copy);
        study->copy = NULL;
        return sr_fail(ctx, SARTOR_IO,
                       "%s: the folder is read-only, and there is no place for a copy: %s: %s",
                       study->path, place, strerror(errno));
    }
    for (int i = 0; i < TRIES; i++) {
        sr_stamp before = stamp_of(study->path, wal);
        SR_TRY(copy_file(ctx, study->path, study->copy, "study"));
        SR_TRY(copy_file(ctx, wal, study->copy, "study-wal"));
        sr_stamp after = stamp_of(study->path, wal);
        if (same_stamp(&before, &after)) return SARTOR_OK;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return sr_fail(ctx, SARTOR_IO, "%s: changes too fast to be copied", study->path);
}

static sartor_status connect_copy(sartor_context *ctx, sr_study *study, const char *wal) {
    SR_TRY(make_copy(ctx, study, wal));
    char *name;
    if (asprintf(&name, "%s/study", study->copy) < 0)
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", study->path);
    sartor_status status = sr_study_connect(ctx, study, name, SQLITE_OPEN_READWRITE);
    free(name);
    return status;
}

/* ---- the three ways ---- */

static sartor_status connect_frozen(sartor_context *ctx, sr_study *study) {
    char *wal, *uri;
    if (asprintf(&wal, "%s-wal", study->path) < 0)
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", study->path);
    struct stat st;
    sartor_status status;
    if (stat(wal, &st) == 0 && st.st_size > 0) {
        status = connect_copy(ctx, study, wal);
    } else if ((uri = immutable_uri(study->path)) != NULL) {
        status = sr_study_connect(ctx, study, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
        free(uri);
    } else {
        status = sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", study->path);
    }
    free(wal);
    return status;
}

/* Able to write where that is allowed, for the log's sake alone: whoever closes a study last puts
 * its log away, and a connection that can only read would leave it there. */
static sartor_status connect_any(sartor_context *ctx, sr_study *study, sr_study_header *header) {
    SR_TRY(sr_study_connect(ctx, study, study->path, SQLITE_OPEN_READWRITE));
    return sr_study_header_read(ctx, study, header);
}

static sartor_status forbid_writing(sartor_context *ctx, sr_study *study) {
    int code = sqlite3_exec(study->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
    return code == SQLITE_OK ? SARTOR_OK : sr_sql_fail(ctx, study, code, "open");
}

sartor_status sr_study_connect_reading(sartor_context *ctx, sr_study *study,
                                       sr_study_header *header) {
    if (access(study->path, R_OK) != 0)
        return sr_fail(ctx, SARTOR_IO, "%s: cannot open: %s", study->path, strerror(errno));
    sartor_status status = connect_any(ctx, study, header);
    int code = study->db != NULL ? sqlite3_errcode(study->db) & 0xff : SQLITE_CANTOPEN;
    if (status != SARTOR_OK && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY)) {
        sr_study_disconnect(study);
        SR_TRY(connect_frozen(ctx, study));
        status = sr_study_header_read(ctx, study, header);
    }
    SR_TRY(status);
    return forbid_writing(ctx, study);
}
