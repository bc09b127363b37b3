#define _GNU_SOURCE
#include "data/source.h"
#include "data/walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The key of the hash that picks a document's part. It is part of the meaning of every stored
 * result: never change it. */
static const uint64_t SPLIT_KEY = 0x7361725f73706c74u;

enum {
    BINARY_LOOK = 8192,
    KIB = 1024,
    CUT_ABOVE = 1024 * KIB,
    BLOCK = 64 * KIB,
    FINE_BLOCKS = 128
};

typedef struct input_file {
    char *path; /* owned by the list */
    uint64_t size;
    sr_split role; /* SR_ALL_SPLITS: hashed, else the one part it was named for */
    bool named;    /* directly, not found in a folder */
    bool binary;
} input_file;

struct sr_source {
    sr_file_list list;
    input_file *files;
    sr_document *documents;
    size_t count, room;
    char *separator;
    bool val_named, test_named;
    sr_map map; /* of file `mapped`, if is_mapped */
    uint32_t mapped;
    bool is_mapped;
};

static const struct {
    const char *name, *words;
    sr_split split;
} parts[] = {{"train", "training", SR_TRAIN},
             {"val", "validation", SR_VAL},
             {"test", "test", SR_TEST},
             {"all", "whole", SR_ALL_SPLITS}};

sartor_status sr_split_parse(sartor_context *ctx, const char *text, sr_split *split) {
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(text, parts[i].name) == 0) {
            *split = parts[i].split;
            return SARTOR_OK;
        }
    return sr_fail(ctx, SARTOR_INVALID, "split '%s' is not all, train, val or test", text);
}

const char *sr_split_name(sr_split split) {
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (split == parts[i].split) return parts[i].name;
    return "mixed";
}

/* ---- cutting ---- */

/* A NUL, or more control characters than any text has (random bytes have one in ten). */
static bool looks_binary(const unsigned char *p, size_t n) {
    if (n > BINARY_LOOK) n = BINARY_LOOK;
    size_t controls = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == 0) return true;
        controls += (p[i] < 0x20 && (p[i] < 7 || p[i] > 13) && p[i] != 0x1b) || p[i] == 0x7f;
    }
    return controls > 8 && controls > n / 20;
}

/* The end of the line that holds p[at], after its line break. */
static size_t line_end(const unsigned char *p, size_t n, size_t at) {
    const unsigned char *q = memchr(p + at, '\n', n - at);
    return q != NULL ? (size_t)(q - p) + 1 : n;
}

static bool is_blank(const unsigned char *p, size_t from, size_t to) {
    while (from < to && (p[from] == ' ' || p[from] == '\t' || p[from] == '\r' || p[from] == '\n'))
        from++;
    return from == to;
}

/* Bytes of the first block of p[0..n): what is left if that is at most 1.5 blocks, else up to the
 * end of the first blank lines after one block (searched for half a block), else the first line
 * end, else one block less what would split a UTF-8 character. */
static size_t first_block(const unsigned char *p, size_t n, size_t block) {
    size_t limit = block + block / 2;
    if (n <= limit) return n;
    size_t line = line_end(p, limit, block - 1);
    if (line == limit && p[limit - 1] != '\n') {
        size_t at = block;
        for (int i = 0; i < 3 && (p[at] & 0xc0) == 0x80; i++) at--;
        return (p[at] & 0xc0) == 0x80 ? block : at;
    }
    for (size_t from = line, to; from < limit; from = to) {
        to = line_end(p, limit, from);
        if (!is_blank(p, from, to) || p[to - 1] != '\n') continue;
        while (to < limit) { /* all of a run of blank lines */
            size_t next = line_end(p, limit, to);
            if (!is_blank(p, to, next) || p[next - 1] != '\n') break;
            to = next;
        }
        return to;
    }
    return line;
}

static sr_split part_of(const sr_source *s, sr_split role, sr_hash hash) {
    if (role != SR_ALL_SPLITS) return role;
    uint64_t twentieth = hash.high / (UINT64_MAX / 20 + 1);
    if (twentieth == 18 && !s->val_named) return SR_VAL;
    if (twentieth == 19 && !s->test_named) return SR_TEST;
    return SR_TRAIN;
}

static sartor_status add_document(sartor_context *ctx, sr_source *s, uint32_t file,
                                  const unsigned char *p, uint64_t offset, uint64_t size) {
    if (s->count == s->room) {
        size_t room = s->room > 0 ? 2 * s->room : 256;
        sr_document *bigger = realloc(s->documents, room * sizeof *bigger);
        if (bigger == NULL)
            return sr_fail(ctx, SARTOR_MEMORY, "not enough memory for a table of %zu documents",
                           room);
        s->documents = bigger;
        s->room = room;
    }
    sr_hash hash = sr_hash_bytes(p + offset, size, SPLIT_KEY);
    s->documents[s->count++] = (sr_document){.offset = offset,
                                             .size = size,
                                             .hash = hash,
                                             .file = file,
                                             .split = part_of(s, s->files[file].role, hash)};
    return SARTOR_OK;
}

/* One separated part of a file: a document, or several blocks when it is longer than `above`. */
static sartor_status add_part(sartor_context *ctx, sr_source *s, uint32_t file,
                              const unsigned char *p, size_t from, size_t to, size_t above,
                              size_t block) {
    size_t step = to - from <= above ? to - from : 0;
    for (; from < to; from += step) {
        if (to - from > above || step == 0 || step > to - from)
            step = first_block(p + from, to - from, block);
        else if (above < to)
            step = first_block(p + from, to - from, block);
        SR_TRY(add_document(ctx, s, file, p, from, step));
    }
    return SARTOR_OK;
}

static sartor_status add_file(sartor_context *ctx, sr_source *s, uint32_t file,
                              const unsigned char *p, size_t n, size_t above, size_t block) {
    size_t length = strlen(s->separator), from = 0;
    while (length > 0 && from < n) {
        const unsigned char *q = memmem(p + from, n - from, s->separator, length);
        if (q == NULL) break;
        size_t at = (size_t)(q - p), next = at + length, end = line_end(p, n, next < n ? next : n);
        SR_TRY(add_part(ctx, s, file, p, from, at, above, block));
        from = next < n && is_blank(p, next, end) ? end : next;
    }
    return add_part(ctx, s, file, p, from, n, above, block);
}

/* ---- reading ---- */

static sartor_status map_file(sartor_context *ctx, sr_source *s, uint32_t file) {
    if (s->is_mapped && s->mapped == file) return SARTOR_OK;
    if (s->is_mapped) sr_map_close(&s->map);
    s->is_mapped = false;
    SR_TRY(sr_map_open(ctx, s->files[file].path, &s->map));
    s->mapped = file;
    s->is_mapped = true;
    return SARTOR_OK;
}

/* Fills the document table from all files. */
static sartor_status scan(sartor_context *ctx, sr_source *s, size_t above, size_t block) {
    s->count = 0;
    for (size_t i = 0; i < s->list.count; i++) {
        input_file *f = &s->files[i];
        if (sr_interrupted(ctx)) return sr_fail(ctx, SARTOR_INTERRUPTED, "interrupted");
        SR_TRY(map_file(ctx, s, (uint32_t)i));
        f->size = s->map.size;
        f->binary = looks_binary(s->map.data, s->map.size);
        if (f->binary && f->named)
            return sr_fail(ctx, SARTOR_INVALID, "%s: binary data, not text", f->path);
        if (!f->binary)
            SR_TRY(add_file(ctx, s, (uint32_t)i, s->map.data, s->map.size, above, block));
    }
    return SARTOR_OK;
}

static sartor_status add_paths(sartor_context *ctx, sr_source *s, const char *const *paths,
                               size_t count, sr_split role) {
    for (size_t i = 0; i < count; i++) {
        size_t first = s->list.count;
        bool folder = false;
        SR_TRY(sr_file_list_add(ctx, &s->list, paths[i], &folder));
        if (folder && s->list.count == first)
            return sr_fail(ctx, SARTOR_INVALID, "%s: a folder without text files", paths[i]);
        input_file *bigger = realloc(s->files, s->list.count * sizeof *bigger);
        if (bigger == NULL) return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", paths[i]);
        s->files = bigger;
        for (size_t j = first; j < s->list.count; j++)
            s->files[j] = (input_file){.path = s->list.paths[j], .role = role, .named = !folder};
    }
    return SARTOR_OK;
}

static int by_hash(const void *x, const void *y) {
    const sr_hash *a = x, *b = y;
    if (a->high != b->high) return a->high < b->high ? -1 : 1;
    return a->low < b->low ? -1 : a->low > b->low;
}

/* Named validation and test files may repeat training documents: worth a warning, not an error. */
static void warn_of_leaks(sartor_context *ctx, const sr_source *s) {
    if (!s->val_named && !s->test_named) return;
    sr_hash *held = malloc((s->count + 1) * sizeof *held);
    if (held == NULL) return;
    size_t n = 0, leaks = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->documents[i].split != SR_TRAIN) held[n++] = s->documents[i].hash;
    qsort(held, n, sizeof *held, by_hash);
    for (size_t i = 0; i < s->count; i++)
        if (s->documents[i].split == SR_TRAIN)
            leaks +=
                n > 0 && bsearch(&s->documents[i].hash, held, n, sizeof *held, by_hash) != NULL;
    free(held);
    if (leaks > 0)
        sr_log(ctx, "warning: %zu training documents are in the validation or test files too",
               leaks);
}

static void log_skipped(sartor_context *ctx, const sr_source *s) {
    uint64_t binary = 0;
    for (size_t i = 0; i < s->list.count; i++) binary += s->files[i].binary;
    if (binary + s->list.other > 0)
        sr_log(ctx, "data: skipped %" PRIu64 " binary, %" PRIu64 " hidden, %" PRIu64 " other files",
               binary, s->list.hidden, s->list.other);
}

static bool has_empty_part(const sr_source *s) {
    if (s->val_named && s->test_named) return false;
    bool seen[SR_ALL_SPLITS + 1] = {[SR_VAL] = s->val_named, [SR_TEST] = s->test_named};
    for (size_t i = 0; i < s->count; i++) seen[s->documents[i].split] = true;
    return !seen[SR_TRAIN] || !seen[SR_VAL] || !seen[SR_TEST];
}

static sartor_status open_source(sartor_context *ctx, sr_source *s, const sr_source_options *o) {
    s->separator = strdup(o->separator != NULL ? o->separator : "");
    if (s->separator == NULL) return sr_fail(ctx, SARTOR_MEMORY, "data: not enough memory");
    s->val_named = o->val_count > 0;
    s->test_named = o->test_count > 0;
    if (o->data_count == 0) return sr_fail(ctx, SARTOR_INVALID, "data: no file or folder given");
    SR_TRY(add_paths(ctx, s, o->data, o->data_count, SR_ALL_SPLITS));
    size_t data_files = s->list.count;
    SR_TRY(add_paths(ctx, s, o->val, o->val_count, SR_VAL));
    SR_TRY(add_paths(ctx, s, o->test, o->test_count, SR_TEST));
    SR_TRY(scan(ctx, s, CUT_ABOVE, BLOCK));
    uint64_t hashed = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->documents[i].file < data_files) hashed += s->documents[i].size;
    log_skipped(ctx, s);
    if (hashed == 0)
        return sr_fail(ctx, SARTOR_INVALID, "%s%s: empty: there is no text in it", o->data[0],
                       o->data_count > 1 ? " and the other data" : "");
    if (!o->whole && has_empty_part(s)) {
        size_t block = hashed / FINE_BLOCKS < BLOCK ? (size_t)(hashed / FINE_BLOCKS) : BLOCK;
        if (block < KIB) block = KIB;
        SR_TRY(scan(ctx, s, 2 * block, block));
        sr_log(ctx, "data: few documents, therefore cut into %zu blocks of about %zu bytes",
               s->count, block);
    }
    warn_of_leaks(ctx, s);
    return SARTOR_OK;
}

sartor_status sr_source_open(sartor_context *ctx, const sr_source_options *options,
                             sr_source **out) {
    *out = NULL;
    sr_source *s = calloc(1, sizeof *s);
    if (s == NULL) return sr_fail(ctx, SARTOR_MEMORY, "data: not enough memory");
    sartor_status status = open_source(ctx, s, options);
    if (status != SARTOR_OK) sr_source_close(&s);
    *out = s;
    return status;
}

void sr_source_close(sr_source **source) {
    sr_source *s = *source;
    if (s == NULL) return;
    if (s->is_mapped) sr_map_close(&s->map);
    sr_file_list_free(&s->list);
    free(s->files);
    free(s->documents);
    free(s->separator);
    free(s);
    *source = NULL;
}

sartor_status sr_source_require(sartor_context *ctx, const sr_source *source, sr_split split) {
    for (size_t i = 0; i < 3; i++)
        if ((split & parts[i].split) != 0 && sr_source_bytes(source, parts[i].split) == 0)
            return sr_fail(
                ctx, SARTOR_INVALID,
                "the %s part has no text: too few documents (%zu) to split; give more text%s%s",
                parts[i].words, source->count, i > 0 ? " or name files with --" : "",
                i > 0 ? parts[i].name : "");
    return SARTOR_OK;
}

/* ---- asking ---- */

size_t sr_source_count(const sr_source *source) { return source->count; }

const sr_document *sr_source_document(const sr_source *source, size_t index) {
    return &source->documents[index];
}

const char *sr_source_path(const sr_source *source, uint32_t file) {
    return source->files[file].path;
}

uint64_t sr_source_bytes(const sr_source *source, sr_split split) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < source->count; i++)
        if ((source->documents[i].split & split) != 0) bytes += source->documents[i].size;
    return bytes;
}

uint64_t sr_source_documents(const sr_source *source, sr_split split) {
    uint64_t n = 0;
    for (size_t i = 0; i < source->count; i++) n += (source->documents[i].split & split) != 0;
    return n;
}

sr_hash sr_source_identity(const sr_source *source, sr_split split) {
    sr_hash state = {0, 0};
    for (size_t i = 0; i < source->count; i++) {
        const sr_document *d = &source->documents[i];
        if ((d->split & split) == 0) continue;
        uint64_t link[5] = {state.high, state.low, d->hash.high, d->hash.low, d->size};
        state = sr_hash_bytes(link, sizeof link, 0);
    }
    return state;
}

sartor_status sr_source_read(sartor_context *ctx, sr_source *source, size_t index,
                             const unsigned char **data) {
    const sr_document *d = &source->documents[index];
    SR_TRY(map_file(ctx, source, d->file));
    if (source->map.size != source->files[d->file].size)
        return sr_fail(ctx, SARTOR_MISMATCH, "%s: changed while it was being read",
                       source->files[d->file].path);
    *data = source->map.data + d->offset;
    return SARTOR_OK;
}
