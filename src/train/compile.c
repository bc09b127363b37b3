#include "train/compile.h"

#include "base/memory.h"
#include "model/file.h"
#include "train/loaded.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Eight bytes of a length, which text cannot begin with, and an object. */
static bool begins_like_safetensors(const char *name) {
    char head[9];
    FILE *f = fopen(name, "rb");
    const bool is = f != NULL && fread(head, 1, sizeof head, f) == sizeof head && head[7] == '\0' &&
                    head[8] == '{';
    if (f != NULL) fclose(f);
    return is;
}

static bool is_stored(const char *name) {
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(name), k = sizeof suffix - 1;
    struct stat st;
    if (n > k && strcmp(name + n - k, suffix) == 0) return true;
    if (stat(name, &st) != 0) return false;
    return S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && begins_like_safetensors(name));
}

static sartor_status compile_stored(sartor_context *ctx, const char *name, sr_model **model) {
    char *path;
    sr_st_reader *reader;
    SR_TRY(sr_model_path(ctx, name, &path));
    sartor_status status = sr_st_open(ctx, path, &reader);
    if (status == SARTOR_OK) {
        status = sr_model_compile(ctx, path, reader, model);
        sr_st_close(&reader);
    }
    free(path);
    return status;
}

sartor_status sr_compile_named(sartor_context *ctx, const char *name, int livs,
                               const sr_sizes *sizes, sr_model **model) {
    *model = NULL;
    if (is_stored(name)) return compile_stored(ctx, name, model);
    sr_genome *genome;
    SR_TRY(sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome));
    sartor_status status = sr_arch_parse(ctx, name, livs, genome);
    if (status == SARTOR_OK) status = sr_model_create(ctx, genome, sizes, model);
    free(genome);
    return status;
}
