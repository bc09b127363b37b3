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

static sartor_status map_descriptor(sartor_context *ctx, const char *path, int fd, sr_map *map) {
    struct stat st;
    *map = (sr_map){(const unsigned char *)"", 0};
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return sr_fail(ctx, SARTOR_IO, "%s: not a regular file", path);
    if (st.st_size == 0) return SARTOR_OK;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return io_error(ctx, path, "map");
    *map = (sr_map){p, (size_t)st.st_size};
    return SARTOR_OK;
}

sartor_status sr_map_open(sartor_context *ctx, const char *path, sr_map *map) {
    *map = (sr_map){(const unsigned char *)"", 0};
    /* Without O_NONBLOCK a named pipe would wait here for a writer. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return io_error(ctx, path, "open");
    sartor_status status = map_descriptor(ctx, path, fd, map);
    close(fd);
    return status;
}

void sr_map_close(sr_map *map) {
    if (map->size > 0) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (sr_map){NULL, 0};
}

/* ---- writing ---- */

/* Of a path whose last part is a file's name; NULL: no memory. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

#define OPEN_FILES "/proc/self/fd" /* gives a file without a name one */

/* Negative where there are no files without a name. */
static int open_unnamed(const char *path) {
    char *folder = access(OPEN_FILES, X_OK) == 0 ? folder_of(path) : NULL;
    const int fd = folder != NULL ? open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666) : -1;
    free(folder);
    return fd;
}

/* Negative with errno set; file->temporary is then NULL. */
static int open_temporary(sr_file *file) {
    if (asprintf(&file->temporary, "%s.tmp.XXXXXX", file->path) < 0) {
        file->temporary = NULL;
        errno = ENOMEM;
        return -1;
    }
    const int fd = mkostemp(file->temporary, O_CLOEXEC);
    if (fd < 0) {
        free(file->temporary);
        file->temporary = NULL;
        return -1;
    }
    const mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
    return fd;
}

sartor_status sr_file_create(sartor_context *ctx, const char *path, sr_file *file) {
    struct stat st;
    *file = (sr_file){NULL, NULL, NULL};
    /* A rename would put a file in the place of a device or a pipe. */
    const bool there = lstat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return sr_fail(ctx, SARTOR_IO, "%s: not a regular file", path);
    /* A name that cannot be is refused now, not when all is written. */
    if (!there && errno != ENOENT) return io_error(ctx, path, "create");
    file->path = strdup(path);
    if (file->path == NULL) return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    int fd = open_unnamed(path);
    if (fd < 0) fd = open_temporary(file);
    if (fd < 0) {
        sartor_status status = io_error(ctx, path, "create");
        sr_file_abandon(file);
        return status;
    }
    file->stream = fdopen(fd, "wb");
    if (file->stream == NULL) {
        close(fd);
        sr_file_abandon(file);
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    }
    return SARTOR_OK;
}

sartor_status sr_file_map(sartor_context *ctx, const sr_file *file, sr_map *map) {
    return map_descriptor(ctx, file->path, fileno(file->stream), map);
}

/* The rename itself must survive a power cut: sync the folder that holds the name. */
static void sync_folder_of(const char *path) {
    char *folder = folder_of(path);
    if (folder == NULL) return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

static bool link_as(const sr_file *file, const char *name) {
    char open_file[64];
    snprintf(open_file, sizeof open_file, OPEN_FILES "/%d", fileno(file->stream));
    return linkat(AT_FDCWD, open_file, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

/* A link replaces nothing. Where a file is there already, the new one gets a name beside it for the
 * moment until it is renamed. */
static bool name_file(sr_file *file, bool *in_place) {
    enum { NAMES = 1000 };
    *in_place = link_as(file, file->path);
    if (*in_place || errno != EEXIST) return *in_place;
    for (unsigned i = 0; i < NAMES; i++) {
        if (asprintf(&file->temporary, "%s.tmp.%06x", file->path,
                     ((unsigned)getpid() * NAMES + i) & 0xffffffU) < 0) {
            file->temporary = NULL;
            errno = ENOMEM;
            return false;
        }
        if (link_as(file, file->temporary)) return true;
        const int error = errno;
        free(file->temporary);
        file->temporary = NULL;
        errno = error;
        if (error != EEXIST) return false;
    }
    return false;
}

/* Where a file without a name cannot have one after all: a copy that has. */
static bool copy_to_name(sr_file *file) {
    char block[1 << 16];
    const int from = fileno(file->stream), to = open_temporary(file);
    off_t at = 0;
    ssize_t n = -1;
    if (to < 0) return false;
    while ((n = pread(from, block, sizeof block, at)) > 0) {
        const ssize_t written = write(to, block, (size_t)n);
        if (written < 0) break;
        at += written;
    }
    const bool good = n == 0 && fsync(to) == 0;
    const int error = errno;
    close(to);
    errno = error;
    return good;
}

sartor_status sr_file_commit(sartor_context *ctx, sr_file *file) {
    bool in_place = false, good = fflush(file->stream) == 0 && !ferror(file->stream) &&
                                  fsync(fileno(file->stream)) == 0;
    if (good && file->temporary == NULL) good = name_file(file, &in_place) || copy_to_name(file);
    if (good && !in_place) good = rename(file->temporary, file->path) == 0;
    if (!good) {
        sartor_status status = io_error(ctx, file->path, "write");
        sr_file_abandon(file);
        return status;
    }
    free(file->temporary); /* its name is gone */
    file->temporary = NULL;
    sync_folder_of(file->path);
    sr_file_abandon(file);
    return SARTOR_OK;
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
