/* Reading safetensors. The header is parsed by jansson into a tree that stays alive with the
 * reader: names and metadata point into it. Two sorted orders are kept: by place in the data, which
 * makes the tiling check one pass, and by name for lookup. Nothing here is quadratic in the
 * tensors. */
#define _POSIX_C_SOURCE 200809L
#include "tensor/safetensors.h"

#include "base/file.h"
#include "base/memory.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensor data is used in place");

/* A header needs a nesting of 3. The number of values bounds what the JSON tree can cost: a few
 * bytes of text, such as "[],", become about a hundred bytes of tree. */
enum { MAX_NESTING = 8, MAX_VALUES = 1 << 20, NAME_SHOWN = 100 };

static const struct {
    const char *name;
    unsigned char bytes;
} types[] = {
    [SR_ST_F64] = {"F64", 8},         [SR_ST_F32] = {"F32", 4}, [SR_ST_F16] = {"F16", 2},
    [SR_ST_BF16] = {"BF16", 2},       [SR_ST_I64] = {"I64", 8}, [SR_ST_I32] = {"I32", 4},
    [SR_ST_I16] = {"I16", 2},         [SR_ST_I8] = {"I8", 1},   [SR_ST_U64] = {"U64", 8},
    [SR_ST_U32] = {"U32", 4},         [SR_ST_U16] = {"U16", 2}, [SR_ST_U8] = {"U8", 1},
    [SR_ST_BOOL] = {"BOOL", 1},       [SR_ST_C64] = {"C64", 8}, [SR_ST_F8_E4M3] = {"F8_E4M3", 1},
    [SR_ST_F8_E5M2] = {"F8_E5M2", 1},
};
enum { TYPES = sizeof types / sizeof types[0] };

struct sr_st_reader {
    char *path;
    sr_map map; /* what sr_st_open() mapped; size 0 for memory of the caller */
    json_t *header;
    const json_t *metadata; /* inside header; NULL: none */
    int count;
    sr_st_tensor *tensors;        /* by place */
    const sr_st_tensor **by_name; /* sorted by strcmp() */
};

/* A tensor while its range is checked; `tensor.data` is set when all ranges are known to be good.
 */
typedef struct placed {
    sr_st_tensor tensor;
    uint64_t begin, end;
} placed;

const char *sr_st_type_name(sr_st_type type) { return types[type].name; }
size_t sr_st_type_bytes(sr_st_type type) { return types[type].bytes; }

sr_st_type sr_st_type_of(sr_dtype type) {
    switch (type) {
    case SR_F32:
        return SR_ST_F32;
    case SR_F64:
        return SR_ST_F64;
    case SR_BF16:
        return SR_ST_BF16;
    case SR_F16:
        return SR_ST_F16;
    case SR_I32:
        return SR_ST_I32;
    }
    return SR_ST_F32;
}

bool sr_st_elements(int rank, const int64_t *dims, int64_t *count) {
    if (rank < 0 || rank > SR_ST_MAX_RANK) return false;
    int64_t bound = 1;
    *count = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return false;
        if (__builtin_mul_overflow(bound, dims[i] > 0 ? dims[i] : 1, &bound)) return false;
        *count *= dims[i] > 0 ? 1 : 0;
    }
    *count *= bound;
    return true;
}

static sartor_status bad_tensor(sartor_context *ctx, const sr_st_reader *r, const char *name,
                                const char *what) {
    return sr_fail(ctx, SARTOR_FORMAT, "%s: tensor '%.*s': %s", r->path, NAME_SHOWN, name, what);
}

/* Refuses deep nesting and a great number of values before the parser builds anything. Text that is
 * not JSON passes; the parser refuses it. */
static sartor_status check_shape_of_json(sartor_context *ctx, const sr_st_reader *r,
                                         const char *text, size_t n) {
    int depth = 0, values = 1;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            continue;
        }
        if (c == '"')
            quoted = true;
        else if (c == '{' || c == '[')
            depth++, values++;
        else if (c == '}' || c == ']')
            depth--;
        else if (c == ',')
            values++;
        if (depth > MAX_NESTING)
            return sr_fail(ctx, SARTOR_FORMAT, "%s: header nests deeper than %d levels", r->path,
                           MAX_NESTING);
        if (values > MAX_VALUES)
            return sr_fail(ctx, SARTOR_FORMAT, "%s: header has more than %d values", r->path,
                           MAX_VALUES);
    }
    return SARTOR_OK;
}

static sartor_status parse_json(sartor_context *ctx, sr_st_reader *r, const char *text, size_t n) {
    if (n == 0 || text[0] != '{')
        return sr_fail(ctx, SARTOR_FORMAT,
                       "%s: not a safetensors file: header is not a JSON object", r->path);
    SR_TRY(check_shape_of_json(ctx, r, text, n));
    json_error_t error;
    r->header = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (r->header != NULL) return SARTOR_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory for the header", r->path);
    return sr_fail(ctx, SARTOR_FORMAT, "%s: header is not valid JSON: %s", r->path, error.text);
}

static sartor_status read_metadata(sartor_context *ctx, sr_st_reader *r) {
    json_t *metadata = json_object_get(r->header, "__metadata__");
    if (metadata == NULL) return SARTOR_OK;
    if (!json_is_object(metadata))
        return sr_fail(ctx, SARTOR_FORMAT, "%s: __metadata__ is not an object", r->path);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            return sr_fail(ctx, SARTOR_FORMAT, "%s: metadata '%.*s' is not a string", r->path,
                           NAME_SHOWN, key);
    }
    r->metadata = metadata;
    return SARTOR_OK;
}

static sartor_status read_shape(sartor_context *ctx, const sr_st_reader *r, const json_t *shape,
                                sr_st_tensor *t) {
    if (!json_is_array(shape)) return bad_tensor(ctx, r, t->name, "shape is not an array");
    if (json_array_size(shape) > SR_ST_MAX_RANK)
        return bad_tensor(ctx, r, t->name, "shape has more than 8 dimensions");
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return bad_tensor(ctx, r, t->name, "shape has an entry that is no natural number");
        t->dims[i] = json_integer_value(d);
    }
    size_t each = sr_st_type_bytes(t->type);
    if (!sr_st_elements(t->rank, t->dims, &t->count) ||
        __builtin_mul_overflow((size_t)t->count, each, &t->bytes))
        return bad_tensor(ctx, r, t->name, "the product of its shape overflows");
    return SARTOR_OK;
}

static sartor_status read_range(sartor_context *ctx, const sr_st_reader *r, const json_t *range,
                                size_t data_bytes, placed *p) {
    const sr_st_tensor *t = &p->tensor;
    const json_t *begin = json_array_get(range, 0), *end = json_array_get(range, 1);
    if (json_array_size(range) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return bad_tensor(ctx, r, t->name, "data_offsets is not a pair [begin, end] of bytes");
    p->begin = (uint64_t)json_integer_value(begin);
    p->end = (uint64_t)json_integer_value(end);
    if (p->end > data_bytes)
        return sr_fail(ctx, SARTOR_FORMAT,
                       "%s: tensor '%.*s': ends at byte %" PRIu64
                       " of %zu bytes of data: the file is "
                       "truncated or damaged",
                       r->path, NAME_SHOWN, t->name, p->end, data_bytes);
    if (p->end - p->begin != t->bytes)
        return sr_fail(ctx, SARTOR_FORMAT,
                       "%s: tensor '%.*s': its shape needs %zu bytes, data_offsets give %" PRIu64,
                       r->path, NAME_SHOWN, t->name, t->bytes, p->end - p->begin);
    return SARTOR_OK;
}

static sartor_status read_tensor(sartor_context *ctx, const sr_st_reader *r, const char *name,
                                 const json_t *entry, size_t data_bytes, placed *p) {
    p->tensor.name = name;
    if (!json_is_object(entry)) return bad_tensor(ctx, r, name, "its entry is not an object");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    if (type == NULL) return bad_tensor(ctx, r, name, "dtype is missing or not a string");
    int k = 0;
    while (k < TYPES && strcmp(types[k].name, type) != 0) k++;
    if (k == TYPES)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: tensor '%.*s': dtype '%.20s' is not known", r->path,
                       NAME_SHOWN, name, type);
    p->tensor.type = (sr_st_type)k;
    SR_TRY(read_shape(ctx, r, json_object_get(entry, "shape"), &p->tensor));
    return read_range(ctx, r, json_object_get(entry, "data_offsets"), data_bytes, p);
}

/* Empty tensors before the one that begins at the same byte. */
static int compare_places(const void *a, const void *b) {
    const placed *p = a, *q = b;
    if (p->begin != q->begin) return p->begin < q->begin ? -1 : 1;
    if (p->end != q->end) return p->end < q->end ? -1 : 1;
    return strcmp(p->tensor.name, q->tensor.name);
}

static int compare_names(const void *a, const void *b) {
    const sr_st_tensor *const *p = a, *const *q = b;
    return strcmp((*p)->name, (*q)->name);
}

/* Sorts `p` and checks that the ranges follow each other from 0 to `data_bytes`. */
static sartor_status check_tiling(sartor_context *ctx, const sr_st_reader *r, placed *p, int n,
                                  size_t data_bytes) {
    uint64_t at = 0;
    if (n > 0) qsort(p, (size_t)n, sizeof *p, compare_places);
    for (int i = 0; i < n; i++) {
        if (p[i].begin != at)
            return sr_fail(ctx, SARTOR_FORMAT, "%s: tensor '%.*s': %s at byte %" PRIu64, r->path,
                           NAME_SHOWN, p[i].tensor.name,
                           p[i].begin < at ? "overlaps another tensor" : "leaves a hole before it",
                           p[i].begin);
        at = p[i].end;
    }
    if (at != data_bytes)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: %" PRIu64 " bytes follow the last tensor", r->path,
                       (uint64_t)data_bytes - at);
    return SARTOR_OK;
}

static sartor_status read_tensors(sartor_context *ctx, sr_st_reader *r, const unsigned char *data,
                                  size_t data_bytes) {
    size_t n = json_object_size(r->header) - (r->metadata != NULL);
    if (n > SR_ST_MAX_TENSORS)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: more than %d tensors", r->path, SR_ST_MAX_TENSORS);
    void *block = NULL;
    SR_TRY(sr_alloc(ctx, n, sizeof(placed), "the header", &block));
    placed *p = block;
    sartor_status status = SARTOR_OK;
    const char *name;
    json_t *entry;
    int k = 0;
    json_object_foreach(r->header, name, entry) {
        if (entry == r->metadata) continue;
        status = read_tensor(ctx, r, name, entry, data_bytes, &p[k++]);
        if (status != SARTOR_OK) break;
    }
    if (status == SARTOR_OK) status = check_tiling(ctx, r, p, k, data_bytes);
    if (status == SARTOR_OK) status = sr_alloc(ctx, n, sizeof *r->tensors, "the header", &block);
    if (status == SARTOR_OK) {
        r->tensors = block;
        status = sr_alloc(ctx, n, sizeof *r->by_name, "the header", &block);
    }
    if (status == SARTOR_OK) {
        r->by_name = block;
        r->count = k;
        for (int i = 0; i < k; i++) {
            r->tensors[i] = p[i].tensor;
            r->tensors[i].data = data + p[i].begin;
            r->by_name[i] = &r->tensors[i];
        }
        if (k > 0) qsort(r->by_name, (size_t)k, sizeof *r->by_name, compare_names);
    }
    free(p);
    return status;
}

static sartor_status read_all(sartor_context *ctx, sr_st_reader *r, const unsigned char *data,
                              size_t size) {
    if (size < 8)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: not a safetensors file: only %zu bytes", r->path,
                       size);
    uint64_t n;
    memcpy(&n, data, 8);
    if (n > SR_ST_MAX_HEADER)
        return sr_fail(ctx, SARTOR_FORMAT,
                       "%s: not a safetensors file: its header would have %" PRIu64
                       " bytes (at most %d are read)",
                       r->path, n, SR_ST_MAX_HEADER);
    if (n > size - 8)
        return sr_fail(ctx, SARTOR_FORMAT,
                       "%s: truncated: the header has %" PRIu64 " bytes, the file %zu", r->path, n,
                       size);
    SR_TRY(parse_json(ctx, r, (const char *)data + 8, (size_t)n));
    SR_TRY(read_metadata(ctx, r));
    return read_tensors(ctx, r, data + 8 + n, size - 8 - (size_t)n);
}

/* Takes over `map` (what must be unmapped, possibly nothing). */
static sartor_status open_bytes(sartor_context *ctx, const char *name, const void *data,
                                size_t size, sr_map map, sr_st_reader **reader) {
    sr_st_reader *r = calloc(1, sizeof *r);
    char *path = strdup(name);
    if (r == NULL || path == NULL) {
        free(path);
        free(r);
        if (map.size > 0) sr_map_close(&map);
        return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", name);
    }
    r->path = path;
    r->map = map;
    sartor_status status = read_all(ctx, r, data, size);
    if (status != SARTOR_OK) sr_st_close(&r);
    *reader = r;
    return status;
}

sartor_status sr_st_open(sartor_context *ctx, const char *path, sr_st_reader **reader) {
    *reader = NULL;
    sr_map map;
    SR_TRY(sr_map_open(ctx, path, &map));
    return open_bytes(ctx, path, map.data, map.size, map, reader);
}

sartor_status sr_st_open_memory(sartor_context *ctx, const char *name, const void *data,
                                size_t size, sr_st_reader **reader) {
    *reader = NULL;
    return open_bytes(ctx, name, data, size, (sr_map){NULL, 0}, reader);
}

void sr_st_close(sr_st_reader **reader) {
    sr_st_reader *r = *reader;
    if (r == NULL) return;
    if (r->map.size > 0) sr_map_close(&r->map);
    json_decref(r->header);
    free(r->tensors);
    free(r->by_name);
    free(r->path);
    free(r);
    *reader = NULL;
}

int sr_st_count(const sr_st_reader *reader) { return reader->count; }

const sr_st_tensor *sr_st_at(const sr_st_reader *reader, int i) { return &reader->tensors[i]; }

const sr_st_tensor *sr_st_find(const sr_st_reader *reader, const char *name) {
    int low = 0, high = reader->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(reader->by_name[middle]->name, name);
        if (order == 0) return reader->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* "F32 [3, 4]" */
static void describe(char *text, size_t size, sr_st_type type, int rank, const int64_t *dims) {
    int n = snprintf(text, size, "%s [", types[type].name);
    for (int i = 0; i < rank && n >= 0 && (size_t)n < size; i++)
        n += snprintf(text + n, size - (size_t)n, "%s%" PRId64, i > 0 ? ", " : "", dims[i]);
    if (n >= 0 && (size_t)n < size) snprintf(text + n, size - (size_t)n, "]");
}

sartor_status sr_st_expect(sartor_context *ctx, const sr_st_reader *reader, const char *name,
                           sr_st_type type, int rank, const int64_t *dims,
                           const sr_st_tensor **tensor) {
    const sr_st_tensor *t = sr_st_find(reader, name);
    if (t == NULL)
        return sr_fail(ctx, SARTOR_MISMATCH, "%s: tensor '%s' is missing", reader->path, name);
    bool same = t->type == type && t->rank == rank;
    for (int i = 0; same && i < rank; i++) same = t->dims[i] == dims[i];
    if (!same) {
        char have[256], want[256];
        describe(have, sizeof have, t->type, t->rank, t->dims);
        describe(want, sizeof want, type, rank, dims);
        return sr_fail(ctx, SARTOR_MISMATCH, "%s: tensor '%s' is %s, not %s", reader->path, name,
                       have, want);
    }
    *tensor = t;
    return SARTOR_OK;
}

const char *sr_st_metadata(const sr_st_reader *reader, const char *key) {
    return json_string_value(json_object_get(reader->metadata, key));
}
