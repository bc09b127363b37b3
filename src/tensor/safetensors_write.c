/* Writing safetensors. The header grows as a JSON object in the order of the calls, which jansson
 * keeps, so that equal calls give equal bytes; it is written when the first data arrives. */
#define _POSIX_C_SOURCE 200809L
#include "tensor/safetensors.h"

#include "base/file.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct sr_st_writer {
    char *path;
    sr_file file;
    json_t *header, *metadata;
    bool started; /* the header is in the file */
    size_t bytes; /* of all declared tensors */
    int count, room;
    struct declared {
        char *name;
        size_t bytes;
    } * tensors;
    int current; /* the tensor that the next data belong to */
    size_t done; /* its bytes so far */
    size_t narrowest;
};

static sartor_status no_memory(sartor_context *ctx, const sr_st_writer *w) {
    return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", w->path);
}

sartor_status sr_st_create(sartor_context *ctx, const char *path, sr_st_writer **writer) {
    *writer = NULL;
    sr_st_writer *w = calloc(1, sizeof *w);
    if (w == NULL) return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    w->path = strdup(path);
    w->header = json_object();
    w->metadata = json_object();
    w->narrowest = SIZE_MAX;
    sartor_status status = SARTOR_OK;
    if (w->path == NULL || json_object_set_new(w->metadata, "format", json_string("pt")) != 0 ||
        json_object_set(w->header, "__metadata__", w->metadata) != 0)
        status = sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    if (status == SARTOR_OK) status = sr_file_create(ctx, path, &w->file);
    if (status != SARTOR_OK) sr_st_abandon(&w);
    *writer = w;
    return status;
}

sartor_status sr_st_set_metadata(sartor_context *ctx, sr_st_writer *w, const char *key,
                                 const char *value) {
    if (w->started)
        return sr_fail(ctx, SARTOR_INVALID, "%s: metadata '%s' comes after data", w->path, key);
    if (json_object_size(w->metadata) >= SR_ST_MAX_METADATA)
        return sr_fail(ctx, SARTOR_INVALID, "%s: more than %d metadata strings", w->path,
                       SR_ST_MAX_METADATA);
    if (json_object_set_new(w->metadata, key, json_string(value)) != 0)
        return sr_fail(ctx, SARTOR_INVALID, "%s: metadata '%s' is not UTF-8", w->path, key);
    return SARTOR_OK;
}

/* The header's entry for one tensor, or NULL when memory is exhausted. */
static json_t *make_entry(sr_st_type type, int rank, const int64_t *dims, size_t begin,
                          size_t end) {
    json_t *shape = json_array();
    int bad = shape == NULL;
    for (int i = 0; i < rank; i++) bad |= json_array_append_new(shape, json_integer(dims[i]));
    json_t *entry = bad ? NULL
                        : json_pack("{s:s, s:O, s:[I, I]}", "dtype", sr_st_type_name(type), "shape",
                                    shape, "data_offsets", (json_int_t)begin, (json_int_t)end);
    json_decref(shape);
    return entry;
}

sartor_status sr_st_declare(sartor_context *ctx, sr_st_writer *w, const char *name, sr_st_type type,
                            int rank, const int64_t *dims) {
    int64_t count = 0;
    size_t bytes = 0, end = 0, each = sr_st_type_bytes(type);
    const char *wrong = NULL;
    if (w->started)
        wrong = "is declared after data";
    else if (!sr_st_elements(rank, dims, &count))
        wrong = "its rank or shape is out of range";
    else if (__builtin_mul_overflow((size_t)count, each, &bytes) ||
             __builtin_add_overflow(w->bytes, bytes, &end) || end > INT64_MAX)
        wrong = "is too large";
    else if (json_object_get(w->header, name) != NULL)
        wrong = "is declared twice";
    else if (each > w->narrowest)
        wrong = "its elements are wider than those declared before";
    else if (w->count == SR_ST_MAX_TENSORS)
        wrong = "is one tensor too many";
    if (wrong != NULL)
        return sr_fail(ctx, SARTOR_INVALID, "%s: tensor '%s' %s", w->path, name, wrong);
    if (w->count == w->room) {
        int room = w->room > 0 ? 2 * w->room : 64;
        struct declared *more = realloc(w->tensors, (size_t)room * sizeof *more);
        if (more == NULL) return no_memory(ctx, w);
        w->tensors = more;
        w->room = room;
    }
    json_t *entry = make_entry(type, rank, dims, w->bytes, end);
    struct declared *slot = &w->tensors[w->count];
    slot->name = strdup(name);
    slot->bytes = bytes;
    if (slot->name != NULL) w->count++;
    if (entry == NULL || slot->name == NULL) {
        json_decref(entry);
        return no_memory(ctx, w);
    }
    if (json_object_set_new(w->header, name, entry) != 0)
        return sr_fail(ctx, SARTOR_INVALID, "%s: tensor name '%s' is not UTF-8", w->path, name);
    w->narrowest = each;
    w->bytes = end;
    return SARTOR_OK;
}

static sartor_status put(sartor_context *ctx, sr_st_writer *w, const void *data, size_t bytes) {
    if (bytes == 0 || fwrite(data, 1, bytes, w->file.stream) == bytes) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_IO, "%s: cannot write: %s", w->path, strerror(errno));
}

/* The header, padded with spaces so that the data begin at a multiple of 8. */
static sartor_status start(sartor_context *ctx, sr_st_writer *w) {
    if (w->started) return SARTOR_OK;
    char *text = json_dumps(w->header, JSON_COMPACT);
    if (text == NULL) return no_memory(ctx, w);
    size_t n = strlen(text), padding = (8 - n % 8) % 8;
    uint64_t total = n + padding;
    sartor_status status = SARTOR_OK;
    if (total > SR_ST_MAX_HEADER)
        status = sr_fail(ctx, SARTOR_INVALID, "%s: the header would have %zu bytes (at most %d)",
                         w->path, n, SR_ST_MAX_HEADER);
    if (status == SARTOR_OK) status = put(ctx, w, &total, sizeof total);
    if (status == SARTOR_OK) status = put(ctx, w, text, n);
    if (status == SARTOR_OK) status = put(ctx, w, "       ", padding);
    free(text);
    w->started = true;
    return status;
}

static void skip_complete(sr_st_writer *w) {
    while (w->current < w->count && w->done == w->tensors[w->current].bytes) {
        w->current++;
        w->done = 0;
    }
}

sartor_status sr_st_write(sartor_context *ctx, sr_st_writer *w, const char *name, const void *data,
                          size_t bytes) {
    SR_TRY(start(ctx, w));
    if (bytes == 0) return SARTOR_OK;
    skip_complete(w);
    const struct declared *t = w->current < w->count ? &w->tensors[w->current] : NULL;
    if (t == NULL || strcmp(t->name, name) != 0)
        return sr_fail(ctx, SARTOR_INVALID, "%s: data for tensor '%s' come where '%s' is next",
                       w->path, name, t != NULL ? t->name : "the end");
    if (bytes > t->bytes - w->done)
        return sr_fail(ctx, SARTOR_INVALID, "%s: tensor '%s' gets more than its %zu bytes", w->path,
                       name, t->bytes);
    w->done += bytes;
    return put(ctx, w, data, bytes);
}

sartor_status sr_st_commit(sartor_context *ctx, sr_st_writer **writer) {
    sr_st_writer *w = *writer;
    sartor_status status = start(ctx, w);
    skip_complete(w);
    if (status == SARTOR_OK && w->current < w->count)
        status =
            sr_fail(ctx, SARTOR_INVALID, "%s: tensor '%s' is incomplete: %zu of %zu bytes", w->path,
                    w->tensors[w->current].name, w->done, w->tensors[w->current].bytes);
    if (status == SARTOR_OK) status = sr_file_commit(ctx, &w->file);
    sr_st_abandon(writer);
    return status;
}

void sr_st_abandon(sr_st_writer **writer) {
    sr_st_writer *w = *writer;
    if (w == NULL) return;
    sr_file_abandon(&w->file);
    json_decref(w->metadata);
    json_decref(w->header);
    for (int i = 0; i < w->count; i++) free(w->tensors[i].name);
    free(w->tensors);
    free(w->path);
    free(w);
    *writer = NULL;
}
