/* Where the files of a job lie: STUDY.d/KIND/JOB/ATTEMPT/.
 *
 * An attempt continues from what the one before left; it takes a copy, so that a worker that was
 * only stopped and wakes up writes where nobody reads. */
#define _GNU_SOURCE
#include "study/attempt.h"

#include "base/file.h"
#include "study/sql.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COPY_LIMIT = 1 << 30 };

char *sr_study_inside(const sr_study *study, const char *format, ...) {
    char *name = NULL, *path = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&name, format, args);
    va_end(args);
    if (n < 0) return NULL;
    if (asprintf(&path, "%s/%s", sr_study_folder(study), name) < 0) path = NULL;
    free(name);
    return path;
}

static char *folder_of(const sr_study *study, const char *kind, int64_t job, int attempt) {
    return sr_study_inside(study, "%s/%" PRId64 "/%d", kind, job, attempt);
}

char *sr_attempt_folder(const sr_study *study, const sr_job *job) {
    return folder_of(study, job->kind, job->id, job->attempt);
}

char *sr_job_model_path(const sr_study *study, const char *kind, int64_t job, int attempt) {
    return sr_study_inside(study, "%s/%" PRId64 "/%d/model.safetensors", kind, job, attempt);
}

sartor_status sr_finished_folder(sartor_context *ctx, sr_study *study, int64_t job, char **folder) {
    sr_query rows;
    *folder = NULL;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT kind, attempt FROM job WHERE id = ? AND state = 'done'", "i", job));
    const bool found = sr_next(&rows) && sr_text(&rows, 0) != NULL;
    if (found) *folder = folder_of(study, sr_text(&rows, 0), job, (int)sr_int(&rows, 1));
    SR_TRY(sr_done(&rows));
    return found && *folder == NULL ? sr_no_memory(ctx) : SARTOR_OK;
}

/* A link in its place is somebody else's folder. */
void sr_remove_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        if (fd >= 0) close(fd);
        return;
    }
    for (const struct dirent *e; (e = readdir(folder)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *inside = NULL;
        if (unlinkat(dirfd(folder), e->d_name, 0) == 0) continue;
        if (asprintf(&inside, "%s/%s", path, e->d_name) < 0) continue;
        sr_remove_folder(inside);
        free(inside);
    }
    closedir(folder);
    (void)rmdir(path);
}

/* A copy under another name; a missing file is none. */
static sartor_status copy_file(sartor_context *ctx, const char *from, const char *to,
                               bool *copied) {
    *copied = false;
    if (access(from, R_OK) != 0) return SARTOR_OK;
    char *data;
    size_t size;
    sr_file file;
    SR_TRY(sr_file_read(ctx, from, COPY_LIMIT, &data, &size));
    sartor_status status = sr_file_create(ctx, to, &file);
    if (status == SARTOR_OK) {
        (void)fwrite(data, 1, size, file.stream);
        status = sr_file_commit(ctx, &file);
    }
    free(data);
    *copied = status == SARTOR_OK;
    return status;
}

/* Files are replaced by renames only: a link keeps what it names. */
static sartor_status take(sartor_context *ctx, const char *from, const char *to, bool *taken) {
    *taken = link(from, to) == 0;
    return *taken || errno == ENOENT ? SARTOR_OK : copy_file(ctx, from, to, taken);
}

/* One file of the attempt before, into this one's folder. Those that are only ever replaced may be
 * links. */
static sartor_status take_file(sartor_context *ctx, const char *before, const char *folder,
                               const sr_attempt_file *file, bool *taken) {
    char *from = NULL, *to = NULL;
    *taken = false;
    if (asprintf(&from, "%s/%s", before, file->name) < 0) from = NULL;
    if (asprintf(&to, "%s/%s", folder, file->name) < 0) to = NULL;
    sartor_status status = from == NULL || to == NULL ? sr_no_memory(ctx)
                           : file->appended           ? copy_file(ctx, from, to, taken)
                                                      : take(ctx, from, to, taken);
    free(from);
    free(to);
    return status;
}

static sartor_status take_some(sartor_context *ctx, const char *before, const char *folder,
                               const sr_attempt_file *files, int n, bool appended, bool *any) {
    for (int i = 0; i < n; i++) {
        bool taken;
        if (files[i].appended != appended) continue;
        SR_TRY(take_file(ctx, before, folder, &files[i], &taken));
        *any |= taken && !appended;
    }
    return SARTOR_OK;
}

/* Logs first, so that who dies on the way never leaves something to continue from without them; and
 * again, so that they are not older than that if its writer was only stopped and went on. */
static sartor_status take_files(sartor_context *ctx, const char *before, const char *folder,
                                const sr_attempt_file *files, int n, bool *any) {
    if (before == NULL) return SARTOR_OK;
    SR_TRY(take_some(ctx, before, folder, files, n, true, any));
    SR_TRY(take_some(ctx, before, folder, files, n, false, any));
    return take_some(ctx, before, folder, files, n, true, any);
}

/* What an earlier attempt left, from the latest that left something to continue from. */
static sartor_status inherit(sartor_context *ctx, const sr_study *study, const sr_job *job,
                             const char *folder, const sr_attempt_file *files, int n, bool *any) {
    sartor_status status = SARTOR_OK;
    for (int attempt = job->attempt - 1; attempt > 0 && !*any && status == SARTOR_OK; attempt--) {
        char *before = folder_of(study, job->kind, job->id, attempt);
        status = take_files(ctx, before, folder, files, n, any);
        free(before);
    }
    return status;
}

sartor_status sr_attempt_begin(sartor_context *ctx, const sr_study *study, const sr_job *job,
                               const sr_attempt_file *files, int n, const char *before,
                               char **folder) {
    bool any = false;
    *folder = sr_attempt_folder(study, job);
    if (*folder == NULL) return sr_no_memory(ctx);
    sartor_status status = sr_make_folder(ctx, *folder);
    if (status == SARTOR_OK) status = inherit(ctx, study, job, *folder, files, n, &any);
    if (status == SARTOR_OK && !any) status = take_files(ctx, before, *folder, files, n, &any);
    if (status == SARTOR_OK) return SARTOR_OK;
    free(*folder);
    *folder = NULL;
    return status;
}

void sr_attempt_forget_earlier(const sr_study *study, const sr_job *job) {
    for (int attempt = 1; attempt < job->attempt; attempt++) {
        char *before = folder_of(study, job->kind, job->id, attempt);
        if (before != NULL) sr_remove_folder(before);
        free(before);
    }
}
