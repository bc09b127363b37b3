#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static sartor_status io_error(sartor_context *ctx, const char *path, const char *doing) {
    return sr_fail(ctx, SARTOR_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

sartor_status sr_file_read(sartor_context *ctx, const char *path, size_t limit, char **data,
                           size_t *size) {
    *data = NULL;
    *size = 0;
    FILE *f = fopen(path, "rb");
    if (f == NULL) return io_error(ctx, path, "open");
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || S_ISDIR(st.st_mode)) {
        fclose(f);
        return sr_fail(ctx, SARTOR_IO, "%s: not a file", path);
    }
    size_t room = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size + 1 : 65536, n = 0;
    char *p = NULL;
    for (;;) {
        if (room > limit + 2) room = limit + 2;
        char *bigger = realloc(p, room);
        if (bigger == NULL) {
            free(p);
            fclose(f);
            return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory to read it", path);
        }
        p = bigger;
        n += fread(p + n, 1, room - 1 - n, f);
        if (n < room - 1 || n > limit) break;
        room *= 2;
    }
    int bad = ferror(f);
    fclose(f);
    if (bad || n > limit) {
        free(p);
        return bad ? io_error(ctx, path, "read")
                   : sr_fail(ctx, SARTOR_FORMAT, "%s: larger than %zu bytes", path, limit);
    }
    p[n] = '\0';
    *data = p;
    *size = n;
    return SARTOR_OK;
}

sartor_status sr_map_open(sartor_context *ctx, const char *path, sr_map *map) {
    *map = (sr_map){(const unsigned char *)"", 0};
    /* Without O_NONBLOCK a named pipe would wait here for a writer. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return io_error(ctx, path, "open");
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return sr_fail(ctx, SARTOR_IO, "%s: not a regular file", path);
    }
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            close(fd);
            return io_error(ctx, path, "map");
        }
        *map = (sr_map){p, (size_t)st.st_size};
    }
    close(fd);
    return SARTOR_OK;
}

void sr_map_close(sr_map *map) {
    if (map->size > 0) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (sr_map){NULL, 0};
}

sartor_status sr_file_create(sartor_context *ctx, const char *path, sr_file *file) {
    struct stat st;
    *file = (sr_file){NULL, NULL, NULL};
    /* A rename would put a file in the place of a device or a pipe. */
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return sr_fail(ctx, SARTOR_IO, "%s: not a regular file", path);
    file->path = strdup(path);
    if (file->path == NULL || asprintf(&file->temporary, "%s.tmp.XXXXXX", path) < 0) {
        file->temporary = NULL;
        sr_file_abandon(file);
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    }
    int fd = mkostemp(file->temporary, O_CLOEXEC);
    if (fd < 0) {
        sartor_status status = io_error(ctx, path, "create");
        free(file->temporary);
        file->temporary = NULL;
        sr_file_abandon(file);
        return status;
    }
    mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
    file->stream = fdopen(fd, "wb");
    if (file->stream == NULL) {
        close(fd);
        sr_file_abandon(file);
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    }
    return SARTOR_OK;
}

/* The rename itself must survive a power cut: sync the folder that holds the name. */
static void sync_folder_of(const char *path) {
    char *folder = strdup(path);
    if (folder == NULL) return;
    char *slash = strrchr(folder, '/');
    if (slash != NULL) slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

sartor_status sr_file_commit(sartor_context *ctx, sr_file *file) {
    bool good =
        fflush(file->stream) == 0 && !ferror(file->stream) && fsync(fileno(file->stream)) == 0;
    good = fclose(file->stream) == 0 && good;
    file->stream = NULL;
    sartor_status status = SARTOR_OK;
    if (!good || rename(file->temporary, file->path) != 0) {
        status = io_error(ctx, file->path, "write");
    } else {
        free(file->temporary);
        file->temporary = NULL;
        sync_folder_of(file->path);
    }
    sr_file_abandon(file);
    return status;
}

void sr_file_abandon(sr_file *file) {
    if (file->stream != NULL) fclose(file->stream);
    if (file->temporary != NULL) {
        unlink(file->temporary);
        free(file->temporary);
    }
    free(file->path);
    *file = (sr_file){NULL, NULL, NULL};
}

sartor_status sr_make_folder(sartor_context *ctx, const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    sartor_status status = SARTOR_OK;
    for (char *p = copy + 1; status == SARTOR_OK; p++) {
        if (*p != '/' && *p != '\0') continue;
        char end = *p;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = io_error(ctx, copy, "create folder");
        *p = end;
        if (end == '\0') break;
    }
    struct stat st;
    if (status == SARTOR_OK && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        status = sr_fail(ctx, SARTOR_IO, "%s: not a folder", path);
    free(copy);
    return status;
}
