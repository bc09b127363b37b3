#define _GNU_SOURCE
#include "data/cache.h"
#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file: this header, `tokens` ids of `width` bytes, padding to 8 bytes, documents + 1 starts.
 */
typedef struct cache_header {
    char magic[8];
    uint32_t version, width;
    uint64_t tokens, documents, bytes;
    uint32_t vocab, zero;
    sr_hash key, identity;
    sr_hash checksum; /* of everything after the header, and of the header with this field 0 */
    uint64_t reserved[2];
} cache_header;
_Static_assert(sizeof(cache_header) == 112, "the cache's header has no padding");

static const char MAGIC[8] = "SRTOKENS";
enum { VERSION = 1, BATCH_BYTES = 4 << 20, BATCH_DOCUMENTS = 4096, HASH_BLOCK = 1 << 20 };

static uint64_t starts_offset(uint64_t tokens, uint32_t width) {
    return (sizeof(cache_header) + tokens * width + 7) / 8 * 8;
}

/* ---- opening ---- */

/* Hashed in blocks, so that it could be checked while reading in pieces. */
static sr_hash checksum(cache_header header, const unsigned char *data, uint64_t size) {
    header.checksum = (sr_hash){0, 0};
    sr_hash state = sr_hash_bytes(&header, sizeof header, 0);
    for (uint64_t at = sizeof header; at < size; at += HASH_BLOCK) {
        uint64_t n = size - at < HASH_BLOCK ? size - at : HASH_BLOCK;
        sr_hash block = sr_hash_bytes(data + at, n, state.low);
        state = (sr_hash){state.high ^ block.high, block.low};
    }
    return state;
}

static bool ids_in_range(const sr_tokens *t) {
    uint32_t highest = 0;
    if (t->width == 2) {
        const uint16_t *p = t->data;
        for (uint64_t i = 0; i < t->count; i++) highest = p[i] > highest ? p[i] : highest;
    } else {
        const uint32_t *p = t->data; /* a negative id is a large one */
        for (uint64_t i = 0; i < t->count; i++) highest = p[i] > highest ? p[i] : highest;
    }
    return highest < (uint32_t)t->vocab;
}

static bool starts_in_order(const sr_tokens *t) {
    uint64_t last = 0;
    for (uint64_t i = 0; i <= t->documents; i++) {
        if (t->starts[i] <= last || t->starts[i] > t->count) return false;
        if (sr_token(t, t->starts[i] - 1) != t->vocab - 1) return false;
        last = t->starts[i];
    }
    return t->starts[0] == 1 && last == t->count;
}

/* Fills the rest of *t from its map when it is a whole and undamaged cache of this key. */
static bool accept(sr_tokens *t, sr_hash key, int32_t vocab) {
    cache_header h;
    if (t->map.size < sizeof h) return false;
    memcpy(&h, t->map.data, sizeof h);
    if (memcmp(h.magic, MAGIC, sizeof h.magic) != 0 || h.version != VERSION ||
        h.key.high != key.high || h.key.low != key.low || h.vocab != (uint32_t)vocab)
        return false;
    if ((h.width != 2 && h.width != 4) || h.tokens < 3 || h.tokens > t->map.size / h.width ||
        h.documents == 0 || h.documents > t->map.size / sizeof(uint64_t))
        return false;
    uint64_t starts = starts_offset(h.tokens, h.width);
    if (starts + (h.documents + 1) * sizeof(uint64_t) != t->map.size) return false;
    sr_hash sum = checksum(h, t->map.data, t->map.size);
    if (sum.high != h.checksum.high || sum.low != h.checksum.low) return false;
    t->data = t->map.data + sizeof h;
    t->starts = (const uint64_t *)(const void *)(t->map.data + starts);
    t->count = h.tokens;
    t->bytes = h.bytes;
    t->documents = h.documents;
    t->vocab = vocab;
    t->width = (int32_t)h.width;
    t->identity = h.identity;
    return ids_in_range(t) && starts_in_order(t);
}

void sr_tokens_close(sr_tokens *tokens) {
    if (tokens->map.data != NULL) sr_map_close(&tokens->map);
    *tokens = (sr_tokens){0};
}

/* ---- making ---- */

/* Documents that are encoded together, in parallel. */
typedef struct batch {
    unsigned char *text;
    size_t size, room, count;
    size_t ends[BATCH_DOCUMENTS];
    sr_ids ids[BATCH_DOCUMENTS];
} batch;

typedef struct maker {
    sartor_context *ctx;
    const sr_tokenizer *tokenizer;
    sr_file file;
    cache_header header;
    uint64_t *starts;
    batch batch;
} maker;

/* Right after writing, while errno is of the failed write. */
static sartor_status cannot_write(const maker *m) {
    return sr_fail(m->ctx, SARTOR_IO, "%s: cannot write: %s", m->file.path, strerror(errno));
}

static void put_ids(maker *m, const int32_t *ids, size_t n) {
    if (m->header.width == 4) {
        fwrite(ids, sizeof *ids, n, m->file.stream);
    } else {
        uint16_t narrow[1024] = {0};
        for (size_t at = 0; at < n;) {
            size_t k = n - at < 1024 ? n - at : 1024;
            for (size_t i = 0; i < k; i++) narrow[i] = (uint16_t)ids[at + i];
            fwrite(narrow, sizeof *narrow, k, m->file.stream);
            at += k;
        }
    }
    m->header.tokens += n;
}

static sartor_status flush_batch(maker *m) {
    batch *b = &m->batch;
    int worst = SARTOR_OK;
#pragma omp parallel for schedule(dynamic, 1) reduction(max : worst)
    for (size_t i = 0; i < b->count; i++) {
        size_t from = i > 0 ? b->ends[i - 1] : 0;
        b->ids[i].count = 0;
        int status = (int)sr_tokenizer_encode_quiet(m->tokenizer, b->text + from, b->ends[i] - from,
                                                    &b->ids[i]);
        worst = status > worst ? status : worst;
    }
    if (worst != SARTOR_OK)
        return sr_fail(m->ctx, (sartor_status)worst, "the text cannot be encoded: %s",
                       worst == SARTOR_MEMORY ? "not enough memory" : "SentencePiece failed");
    int32_t separator = sr_tokenizer_separator(m->tokenizer);
    for (size_t i = 0; i < b->count; i++) {
        m->starts[m->header.documents++] = m->header.tokens;
        put_ids(m, b->ids[i].ids, b->ids[i].count);
        put_ids(m, &separator, 1);
    }
    m->header.bytes += b->size;
    b->size = b->count = 0;
    return ferror(m->file.stream) ? cannot_write(m) : SARTOR_OK;
}

static sartor_status add_document(maker *m, const unsigned char *p, size_t n) {
    batch *b = &m->batch;
    if (b->count == BATCH_DOCUMENTS || (b->count > 0 && b->size + n > BATCH_BYTES))
        SR_TRY(flush_batch(m));
    if (b->size + n > b->room) {
        unsigned char *bigger = realloc(b->text, b->size + n);
        if (bigger == NULL)
            return sr_fail(m->ctx, SARTOR_MEMORY, "not enough memory for a document of %zu bytes",
                           n);
        b->text = bigger;
        b->room = b->size + n;
    }
    memcpy(b->text + b->size, p, n);
    b->size += n;
    b->ends[b->count++] = b->size;
    return SARTOR_OK;
}

/* Everything after the header; then the header, whose checksum needs all of it. */
static sartor_status write_cache(maker *m, sr_source *source, const sr_cache_options *options,
                                 sr_split split) {
    uint64_t total = sr_source_bytes(source, split), done = 0;
    int32_t separator = sr_tokenizer_separator(m->tokenizer);
    fwrite(&m->header, sizeof m->header, 1, m->file.stream);
    put_ids(m, &separator, 1);
    for (size_t i = 0; i < sr_source_count(source); i++) {
        const sr_document *d = sr_source_document(source, i);
        if ((d->split & split) == 0) continue;
        if (sr_interrupted(m->ctx))
            return sr_fail(m->ctx, SARTOR_INTERRUPTED, "interrupted while reading the data");
        const unsigned char *p = NULL;
        SR_TRY(sr_source_read(m->ctx, source, i, &p));
        SR_TRY(add_document(m, p, d->size));
        done += d->size;
        if (options->progress != NULL && m->batch.count == 1)
            options->progress(options->user, done, total);
    }
    SR_TRY(flush_batch(m));
    if (options->progress != NULL) options->progress(options->user, total, total);
    m->starts[m->header.documents] = m->header.tokens;
    uint64_t end = sizeof m->header + m->header.tokens * m->header.width, zero = 0;
    fwrite(&zero, 1, starts_offset(m->header.tokens, m->header.width) - end, m->file.stream);
    fwrite(m->starts, sizeof *m->starts, m->header.documents + 1, m->file.stream);
    if (fflush(m->file.stream) != 0 || ferror(m->file.stream)) return cannot_write(m);
    sr_map map;
    SR_TRY(sr_file_map(m->ctx, &m->file, &map));
    m->header.checksum = checksum(m->header, map.data, map.size);
    sr_map_close(&map);
    rewind(m->file.stream);
    fwrite(&m->header, sizeof m->header, 1, m->file.stream);
    return SARTOR_OK;
}

static sartor_status make_cache(sartor_context *ctx, sr_source *source,
                                const sr_tokenizer *tokenizer, const sr_cache_options *options,
                                sr_split split, sr_hash key, const char *path) {
    double start = sr_seconds();
    void *memory = NULL, *starts = NULL;
    SR_TRY(sr_alloc(ctx, 1, sizeof(maker), "encoding the data", &memory));
    maker *m = memory;
    *m = (maker){.ctx = ctx, .tokenizer = tokenizer};
    int32_t vocab = sr_tokenizer_vocab(tokenizer);
    m->header = (cache_header){.version = VERSION,
                               .width = vocab <= 65536 ? 2 : 4,
                               .vocab = (uint32_t)vocab,
                               .key = key,
                               .identity = sr_source_identity(source, split)};
    memcpy(m->header.magic, MAGIC, sizeof MAGIC);
    sartor_status status = sr_alloc(ctx, sr_source_documents(source, split) + 1, sizeof *m->starts,
                                    "the table of documents", &starts);
    m->starts = starts;
    if (status == SARTOR_OK) status = sr_file_create(ctx, path, &m->file);
    if (status == SARTOR_OK) {
        status = write_cache(m, source, options, split);
        if (status == SARTOR_OK)
            status = sr_file_commit(ctx, &m->file);
        else
            sr_file_abandon(&m->file);
    }
    if (status == SARTOR_OK)
        sr_log(ctx,
               "data: %s: %" PRIu64 " bytes in %" PRIu64 " documents are %" PRIu64
               " tokens (%.1f s)",
               sr_split_name(split), m->header.bytes, m->header.documents, m->header.tokens,
               sr_seconds() - start);
    for (size_t i = 0; i < BATCH_DOCUMENTS; i++) sr_ids_free(&m->batch.ids[i]);
    free(m->batch.text);
    free(m->starts);
    free(m);
    return status;
}

sartor_status sr_tokens_open(sartor_context *ctx, sr_source *source, const sr_tokenizer *tokenizer,
                             const sr_cache_options *options, sr_tokens *out) {
    *out = (sr_tokens){0};
    sr_split split = options->split != 0 ? options->split : SR_ALL_SPLITS;
    if (split == SR_ALL_SPLITS) {
        if (sr_source_bytes(source, split) == 0)
            return sr_fail(ctx, SARTOR_INVALID, "the data has no text");
    } else {
        SR_TRY(sr_source_require(ctx, source, split));
    }
    sr_hash text = sr_source_identity(source, split), vocabulary = sr_tokenizer_identity(tokenizer);
    uint64_t parts[6] = {VERSION,         text.high,      text.low,
                         vocabulary.high, vocabulary.low, sizeof(cache_header)};
    sr_hash key = sr_hash_bytes(parts, sizeof parts, 0);
    char *folder = NULL, *path = NULL, name[SR_HASH_TEXT];
    if (options->folder == NULL) SR_TRY(sr_cache_folder(ctx, &folder));
    sr_hash_text(key, name);
    int length =
        asprintf(&path, "%s/tokens-%s.bin", folder != NULL ? folder : options->folder, name);
    if (length < 0) {
        free(folder);
        return sr_fail(ctx, SARTOR_MEMORY, "data: not enough memory");
    }
    sartor_status status = SARTOR_OK;
    bool made = false, accepted = false;
    while (status == SARTOR_OK && !accepted) {
        if (sr_map_open(ctx, path, &out->map) == SARTOR_OK) {
            accepted = accept(out, key, sr_tokenizer_vocab(tokenizer));
            if (accepted) break;
            sr_tokens_close(out);
            if (made)
                status = sr_fail(ctx, SARTOR_IO, "%s: damaged as soon as written", path);
            else
                sr_log(ctx, "data: the token cache %s is damaged: making it again", path);
        } else if (made) {
            status = SARTOR_IO; /* the message is there */
        }
        if (status == SARTOR_OK)
            status = sr_make_folder(ctx, folder != NULL ? folder : options->folder);
        if (status == SARTOR_OK)
            status = make_cache(ctx, source, tokenizer, options, split, key, path);
        made = true;
    }
    if (status != SARTOR_OK) sr_tokens_close(out);
    free(path);
    free(folder);
    return status;
}

sartor_status sr_cache_folder(sartor_context *ctx, char **folder) {
    const char *own = getenv("SARTOR_CACHE"), *cache = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    int n = -1;
    *folder = NULL;
    if (own != NULL && own[0] != '\0')
        n = asprintf(folder, "%s", own);
    else if (cache != NULL && cache[0] == '/')
        n = asprintf(folder, "%s/sartor", cache);
    else if (home != NULL && home[0] == '/')
        n = asprintf(folder, "%s/.cache/sartor", home);
    else
        return sr_fail(ctx, SARTOR_INVALID,
                       "no folder for the token cache: set SARTOR_CACHE or HOME");
    if (n >= 0) return SARTOR_OK;
    *folder = NULL;
    return sr_fail(ctx, SARTOR_MEMORY, "data: not enough memory");
}
