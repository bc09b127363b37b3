/* Runs a fuzz target without a fuzzer: every file of the folders and every file named on the
 * command line is one input, in the order of their names. With --mutate N each is followed by N
 * damaged copies (bytes changed, cut or repeated), always the same ones. A crash or a trap is the
 * failure; an empty corpus is one, too. */
#define _POSIX_C_SOURCE 200809L
#include "base/rng.h"

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LARGEST = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static long mutations, inputs;

/* A copy of exactly the input's size, so that a sanitizer sees the first byte read behind it. */
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) exit(1);
    if (size > 0) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    inputs++;
}

static void run_damaged(const uint8_t *data, size_t size, uint64_t seed) {
    sr_rng rng = {seed, SR_FOR_TEST, 0};
    uint64_t k = 0;
    uint8_t *copy = malloc(2 * size + 1);
    if (copy == NULL) exit(1);
    memcpy(copy, data, size);
    size_t n = size;
    for (uint64_t edits = 1 + sr_rng_below(rng, k++, 4); edits > 0 && n > 0; edits--) {
        size_t at = (size_t)sr_rng_below(rng, k++, n);
        size_t length = 1 + (size_t)sr_rng_below(rng, k++, n - at < 16 ? n - at : 16);
        switch (sr_rng_below(rng, k++, 5)) {
        case 0:
            copy[at] = (uint8_t)sr_rng_u64(rng, k++);
            break;
        case 1:
            copy[at] ^= (uint8_t)(1u << sr_rng_below(rng, k++, 8));
            break;
        case 2:
            copy[at] = (uint8_t) "\"[]{},:-0919\\"[sr_rng_below(rng, k++, 13)];
            break;
        case 3:
            memmove(copy + at, copy + at + length, n - at - length);
            n -= length;
            break;
        case 4:
            if (n + length > 2 * size) break;
            memmove(copy + at + length, copy + at, n - at);
            n += length;
            break;
        }
    }
    run(copy, n);
    free(copy);
}

static void run_file(const char *path) {
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, room = 1 << 16;
    for (;;) {
        data = f != NULL ? realloc(data, room) : NULL;
        if (data == NULL || room > LARGEST) {
            fprintf(stderr, "replay: cannot read %s\n", path);
            exit(1);
        }
        size += fread(data + size, 1, room - size, f);
        if (size < room) break;
        room *= 2;
    }
    fclose(f);
    run(data, size);
    for (long i = 0; i < mutations && size > 0; i++) run_damaged(data, size, (uint64_t)i);
    free(data);
}

static void run_path(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *child = malloc(strlen(path) + strlen(names[i]->d_name) + 2);
        if (child == NULL) exit(1);
        if (names[i]->d_name[0] != '.') {
            snprintf(child, strlen(path) + strlen(names[i]->d_name) + 2, "%s/%s", path,
                     names[i]->d_name);
            run_path(child);
        }
        free(child);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutate") == 0 && i + 1 < argc)
            mutations = strtol(argv[++i], NULL, 10);
        else
            run_path(argv[i]);
    }
    printf("%ld inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}
