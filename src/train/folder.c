#define _GNU_SOURCE
#include "train/folder.h"

#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static char *inside(const char *folder, const char *name) {
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* Temporary names are those of base/file.h: NAME.tmp.XXXXXX. Only files that a run writes. */
static void remove_leftovers(const char *path) {
    static const char *const ours[] = {"checkpoint.safetensors.tmp.", "model.safetensors.tmp."};
    DIR *folder = opendir(path);
    if (folder == NULL) return;
    for (const struct dirent *e; (e = readdir(folder)) != NULL;)
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            if (strncmp(e->d_name, ours[i], strlen(ours[i])) == 0)
                (void)unlinkat(dirfd(folder), e->d_name, 0);
    closedir(folder);
}

sartor_status sr_run_folder_open(sartor_context *ctx, const char *path, sr_run_folder *f) {
    *f = (sr_run_folder){.lock = -1};
    SR_TRY(sr_make_folder(ctx, path));
    f->path = strdup(path);
    f->checkpoint = inside(path, "checkpoint.safetensors");
    f->model = inside(path, "model.safetensors");
    f->state = inside(path, "state.safetensors");
    f->metrics = inside(path, "metrics.jsonl");
    sartor_status status = SARTOR_OK;
    if (f->path == NULL || f->checkpoint == NULL || f->model == NULL || f->state == NULL ||
        f->metrics == NULL)
        status = sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    if (status == SARTOR_OK) {
        f->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* File systems without locks are used without. */
        if (f->lock >= 0 && flock(f->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            status = sr_fail(ctx, SARTOR_IO, "%s: another process is training there", path);
    }
    if (status == SARTOR_OK && access(path, W_OK | X_OK) != 0)
        status = sr_fail(ctx, SARTOR_IO, "%s: cannot write there: %s", path, strerror(errno));
    if (status == SARTOR_OK)
        remove_leftovers(path);
    else
        sr_run_folder_close(f);
    return status;
}

void sr_run_folder_close(sr_run_folder *f) {
    free(f->path);
    free(f->checkpoint);
    free(f->model);
    free(f->state);
    free(f->metrics);
    if (f->lock >= 0) close(f->lock);
    *f = (sr_run_folder){.lock = -1};
}
