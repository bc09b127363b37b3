#include "train/compile.h"

#include "base/memory.h"
#include "model/file.h"
#include "train/loaded.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_stored(const char *name) {
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(name), k = sizeof suffix - 1;
    struct stat st;
    return (n > k && strcmp(name + n - k, suffix) == 0) ||
           (stat(name, &st) == 0 && S_ISDIR(st.st_mode));
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
