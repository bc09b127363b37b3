/* Loading models from files that may come from anywhere. */
#define _GNU_SOURCE
#include "base/memory.h"
#include "model/file.h"
#include "train/loaded.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

sartor_status sr_model_path(sartor_context *ctx, const char *path, char **file) {
    struct stat st;
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int n = asprintf(file, folder ? "%s/model.safetensors" : "%s", path);
    if (n < 0) {
        *file = NULL;
        return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    }
    if (!folder || stat(*file, &st) == 0) return SARTOR_OK;
    free(*file);
    *file = NULL;
    return sr_fail(ctx, SARTOR_IO,
                   "%s: no model.safetensors in it (a run that is not done has only "
                   "checkpoint.safetensors, which can be named)",
                   path);
}

static sartor_status load(sartor_context *ctx, const char *file, sartor_model *m) {
    sr_st_reader *reader = NULL;
    SR_TRY(sr_model_open(ctx, file, &reader, &m->model));
    const void *blob;
    size_t bytes;
    sartor_status status = sr_model_tokenizer(ctx, reader, &blob, &bytes);
    if (status == SARTOR_OK) status = sr_tokenizer_from_blob(ctx, blob, bytes, &m->tokenizer);
    if (status == SARTOR_OK && sr_tokenizer_vocab(m->tokenizer) != m->model->sizes.vocab)
        status = sr_fail(ctx, SARTOR_FORMAT,
                         "the model has a vocabulary of %" PRId64 ", its tokenizer one of %d",
                         m->model->sizes.vocab, sr_tokenizer_vocab(m->tokenizer));
    if (status != SARTOR_OK) sr_fail_in(ctx, status, "%s", file);
    sr_st_close(&reader);
    return status;
}

sartor_status sartor_model_load(sartor_context *ctx, const char *path, sartor_model **model) {
    *model = NULL;
    char *file;
    sartor_model *m = NULL;
    SR_TRY(sr_model_path(ctx, path, &file));
    sartor_status status = sr_alloc(ctx, 1, sizeof *m, "a model", (void **)&m);
    if (status == SARTOR_OK) status = load(ctx, file, m);
    if (status != SARTOR_OK)
        sartor_model_destroy(&m);
    else
        *model = m;
    free(file);
    return status;
}

void sartor_model_destroy(sartor_model **model) {
    if (model == NULL || *model == NULL) return;
    sr_model_destroy(&(*model)->model);
    sr_tokenizer_free(&(*model)->tokenizer);
    free(*model);
    *model = NULL;
}
