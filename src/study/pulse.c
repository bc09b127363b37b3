#define _GNU_SOURCE
#include "study/pulse.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

enum { JOB, ATTEMPT, STEP, FIELDS, LONGEST_NAME = 200 };
enum { BYTES = FIELDS * sizeof(int64_t) };

bool sr_pulse_name_good(const char *name) {
    size_t n = strlen(name);
    return n > 0 && n <= LONGEST_NAME && *name != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~@+=") ==
               n;
}

/* Written, not only extended: on a full disk a store into a hole would kill the process. */
static _Atomic int64_t *map_fields(const char *path, int *fd) {
    static const char zeros[BYTES];
    *fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (*fd < 0) return NULL;
    void *fields = MAP_FAILED;
    errno = ENOSPC;
    if (write(*fd, zeros, BYTES) == BYTES && flock(*fd, LOCK_EX | LOCK_NB) == 0)
        fields = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    return fields == MAP_FAILED ? NULL : fields;
}

sartor_status sr_pulse_open(sartor_context *ctx, const char *folder, const char *name,
                            sr_pulse *pulse) {
    *pulse = (sr_pulse){.lock = -1};
    char *workers;
    if (asprintf(&workers, "%s/workers", folder) < 0)
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", folder);
    sartor_status status = sr_make_folder(ctx, workers);
    if (status == SARTOR_OK && asprintf(&pulse->path, "%s/%s", workers, name) < 0) {
        pulse->path = NULL;
        status = sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", folder);
    }
    free(workers);
    SR_TRY(status);
    pulse->field = map_fields(pulse->path, &pulse->lock);
    if (pulse->field != NULL) return SARTOR_OK;
    status = sr_fail(ctx, SARTOR_IO, "%s: cannot write: %s", pulse->path, strerror(errno));
    sr_pulse_close(pulse);
    return status;
}

void sr_pulse_start(sr_pulse *pulse, int64_t job, int64_t attempt) {
    if (pulse->field == NULL) return;
    atomic_store(&pulse->field[JOB], 0);
    atomic_store(&pulse->field[STEP], 0);
    atomic_store(&pulse->field[ATTEMPT], attempt);
    atomic_store(&pulse->field[JOB], job);
}

void sr_pulse_step(sr_pulse *pulse, int64_t step) {
    if (pulse->field != NULL) atomic_store(&pulse->field[STEP], step);
}

void sr_pulse_close(sr_pulse *pulse) {
    if (pulse->field != NULL) munmap((void *)pulse->field, BYTES);
    if (pulse->path != NULL) {
        unlink(pulse->path);
        if (pulse->lock >= 0) close(pulse->lock);
    }
    free(pulse->path);
    *pulse = (sr_pulse){.lock = -1};
}

bool sr_pulse_is_dead(const char *folder, const char *name) {
    char *path;
    if (!sr_pulse_name_good(name) || asprintf(&path, "%s/workers/%s", folder, name) < 0)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    bool dead = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) close(fd);
    return dead;
}

int64_t sr_pulse_take(const char *folder, const char *name, int64_t job, int64_t attempt) {
    char *path;
    int64_t fields[FIELDS] = {0};
    if (asprintf(&path, "%s/workers/%s", folder, name) < 0) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool read_all = fd >= 0 && read(fd, fields, BYTES) == BYTES;
    if (fd >= 0) close(fd);
    unlink(path);
    free(path);
    return read_all && fields[JOB] == job && fields[ATTEMPT] == attempt ? fields[STEP] : 0;
}
