#define _GNU_SOURCE
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20 };

static sartor_status exhausted(sartor_context *ctx, size_t count, size_t size, const char *what) {
    return sr_fail(ctx, SARTOR_MEMORY, "not enough memory for %s (%.3g GB)", what,
                   (double)count * (double)size / 1e9);
}

sartor_status sr_alloc(sartor_context *ctx, size_t count, size_t size, const char *what,
                       void **out) {
    *out = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    return *out != NULL ? SARTOR_OK : exhausted(ctx, count, size, what);
}

sartor_status sr_alloc_aligned(sartor_context *ctx, size_t count, size_t size, const char *what,
                               void **out) {
    size_t bytes = 0;
    *out = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return exhausted(ctx, count, size, what);
    size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : SR_ALIGN;
    bytes = (bytes + 2 * SR_ALIGN + align - 1) / align * align;
    void *p = NULL;
    if (posix_memalign(&p, align, bytes) != 0) return exhausted(ctx, count, size, what);
    if (align == HUGE_PAGE) (void)madvise(p, bytes, MADV_HUGEPAGE);
    memset(p, 0, bytes);
    *out = p;
    return SARTOR_OK;
}

/* The number after `key` in /proc/self/status, in bytes. */
static int64_t status_field(const char *key) {
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL) return 0;
    char line[256];
    long long kb = 0;
    size_t n = strlen(key);
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, n) == 0 && sscanf(line + n, " %lld", &kb) == 1) break;
    fclose(f);
    return (int64_t)kb * 1024;
}

int64_t sr_anonymous_bytes(void) { return status_field("RssAnon:"); }

int64_t sr_peak_rss_bytes(void) {
    /* getrusage() remembers what the process was before it ran this program: its parent's size. */
    const int64_t bytes = status_field("VmHWM:");
    struct rusage usage;
    if (bytes > 0) return bytes;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

int64_t sr_machine_memory_bytes(void) {
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "r");
    long long limit = 0;
    if (f != NULL) {
        if (fscanf(f, "%lld", &limit) == 1 && limit > 0 && limit < bytes) bytes = limit;
        fclose(f);
    }
    return bytes;
}
