/* What a grown file says of its growth, from arbitrary text: refused with one line, or a way back
 * that stays within the buffers of both models. The note's hash is made to fit, so that what stands
 * behind it is reached. */
#include "base/hash.h"
#include "grow/request.h"
#include "train/growth_note.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

/* The model of the file, made once: its note is the seed "whole". */
static sr_model *grown_model(sartor_context *ctx) {
    static sr_model *model;
    static const char arch[] = "SA-3 GMemless", request[] = "width=20 ff=50 key=6 livs=MLP@1";
    const sr_sizes sizes = {
        .width = 16, .head_dim = 4, .window = 5, .vocab = 11, .context = 8, .filter_length = 8};
    if (model != NULL) return model;
    sr_genome *genome = malloc(sizeof *genome);
    sr_model *small;
    sr_growth *g;
    sr_growth_request r;
    require(genome != NULL && sr_arch_parse(ctx, arch, 0, genome) == SARTOR_OK &&
            sr_model_create(ctx, genome, &sizes, &small) == SARTOR_OK &&
            sr_growth_request_parse(ctx, request, strlen(request), &r) == SARTOR_OK &&
            sr_growth_plan(ctx, small, &r, &g) == SARTOR_OK);
    model = g->to;
    g->to = NULL;
    require(sr_model_allocate(ctx, model) == SARTOR_OK);
    sr_model_init(model, 1);
    sr_growth_request_free(&r);
    sr_growth_destroy(&g);
    sr_model_destroy(&small);
    free(genome);
    return model;
}

/* A file without tensors that has the note; NULL where the text can be in no file. */
static sr_st_reader *open_note(sartor_context *ctx, const sr_model *model, const uint8_t *data,
                               size_t size, char **file) {
    char hash[SR_HASH_TEXT];
    json_error_t error;
    json_t *note = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &error);
    sr_hash_text(
        sr_hash_bytes(model->params, (size_t)model->schema.elements * sizeof *model->params, 0),
        hash);
    if (json_is_string(json_object_get(note, "weights")))
        json_object_set_new(note, "weights", json_string(hash));
    char *text = note != NULL ? json_dumps(note, JSON_COMPACT) : NULL;
    json_t *header =
        json_pack("{s:{s:o}}", "__metadata__", sr_growth_note_key,
                  text != NULL ? json_string(text) : json_stringn((const char *)data, size));
    char *json = header != NULL ? json_dumps(header, JSON_COMPACT) : NULL;
    sr_st_reader *reader = NULL;
    *file = NULL;
    if (json != NULL) {
        const uint64_t n = strlen(json);
        *file = malloc(sizeof n + n);
        require(*file != NULL);
        memcpy(*file, &n, sizeof n);
        memcpy(*file + sizeof n, json, n);
        if (sr_st_open_memory(ctx, "input", (uint8_t *)*file, sizeof n + n, &reader) != SARTOR_OK)
            reader = NULL;
    }
    free(json);
    json_decref(header);
    free(text);
    json_decref(note);
    return reader;
}

static void go_back(const sr_model *model, const sr_growth_undo *u) {
    const size_t n = (size_t)u->from->schema.elements;
    float *from = calloc(n, sizeof *from);
    uint8_t *generation = calloc((size_t)model->schema.elements, 1), *old = calloc(n, 1);
    require(from != NULL && generation != NULL && old != NULL);
    sr_growth_shrink(u->growth, model->params, from);
    sr_growth_shrink_generations(u->growth, generation, old);
    free(from);
    free(generation);
    free(old);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sartor_context *ctx = sartor_context_create();
    require(ctx != NULL);
    const sr_model *model = grown_model(ctx);
    char *file;
    sr_st_reader *reader = open_note(ctx, model, data, size, &file);
    sr_growth_undo undo;
    if (reader != NULL && sr_growth_note_read(ctx, reader, model, &undo) == SARTOR_OK) {
        go_back(model, &undo);
        sr_growth_undo_free(&undo);
    } else if (reader != NULL) {
        require(strlen(sartor_error(ctx)) > 8 && strchr(sartor_error(ctx), '\n') == NULL);
    }
    sr_st_close(&reader);
    free(file);
    sartor_context_destroy(&ctx);
    return 0;
}
