#define _POSIX_C_SOURCE 200809L
#include "data/tokenizer.h"
#include "base/memory.h"
#include "data/sentencepiece.h"
#include "data/spm_model.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 256, CHUNK = 4096, MAX_CHUNK = 16384 };

/* SentencePiece writes a space as this character, so the character itself takes byte pieces. */
static const char SPACE_MARK[] = "\xe2\x96\x81";

struct sr_tokenizer {
    int32_t vocab;
    void *model; /* NULL: byte vocabulary */
    int32_t byte_id[256];
    char *pieces;      /* raw bytes of all tokens, one after the other */
    uint32_t *offsets; /* vocab + 1: where each token's bytes start */
    int32_t *sizes;    /* vocab */
    char *blob;
    size_t blob_size;
    sr_hash identity;
};

/* ---- making ---- */

static sartor_status allocate(sartor_context *ctx, sr_tokenizer *t, int32_t vocab, size_t bytes) {
    t->vocab = vocab;
    void *p[3] = {NULL, NULL, NULL};
    sartor_status status = sr_alloc(ctx, bytes, 1, "the vocabulary", &p[0]);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, (size_t)vocab + 1, sizeof *t->offsets, "the vocabulary", &p[1]);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, (size_t)vocab, sizeof *t->sizes, "the vocabulary", &p[2]);
    t->pieces = p[0];
    t->offsets = p[1];
    t->sizes = p[2];
    return status;
}

static sartor_status make_bytes(sartor_context *ctx, sr_tokenizer *t) {
    SR_TRY(allocate(ctx, t, BYTES + 1, BYTES));
    for (int32_t i = 0; i < BYTES; i++) {
        t->pieces[i] = (char)i;
        t->offsets[i] = (uint32_t)i;
        t->sizes[i] = 1;
        t->byte_id[i] = i;
    }
    t->offsets[BYTES] = t->offsets[BYTES + 1] = BYTES;
    t->blob = strdup("bytes");
    t->blob_size = 5;
    return t->blob != NULL ? SARTOR_OK
                           : sr_fail(ctx, SARTOR_MEMORY, "tokenizer: not enough memory");
}

/* The raw bytes of a piece: marks are spaces again; control and unknown pieces stand for nothing.
 */
static size_t piece_bytes(const sr_spm_piece *p, int byte, char *out) {
    if (p->type == SR_PIECE_CONTROL || p->type == SR_PIECE_UNKNOWN) return 0;
    if (p->type == SR_PIECE_BYTE) {
        *out = (char)byte;
        return 1;
    }
    size_t n = 0;
    for (size_t i = 0; i < p->size;) {
        bool mark = p->size - i >= 3 && memcmp(p->text + i, SPACE_MARK, 3) == 0;
        out[n++] = mark ? ' ' : p->text[i];
        i += mark ? 3 : 1;
    }
    return n;
}

static sartor_status make_spm(sartor_context *ctx, sr_tokenizer *t, const sr_spm_model *m) {
    size_t bytes = 0;
    for (int32_t i = 0; i < m->count; i++) bytes += m->pieces[i].size;
    SR_TRY(allocate(ctx, t, m->count + 1, bytes));
    memcpy(t->byte_id, m->byte_id, sizeof t->byte_id);
    int32_t *byte_of = calloc((size_t)m->count, sizeof *byte_of);
    if (byte_of == NULL) return sr_fail(ctx, SARTOR_MEMORY, "tokenizer: not enough memory");
    for (int b = 0; b < BYTES; b++) byte_of[m->byte_id[b]] = b;
    uint32_t at = 0;
    for (int32_t i = 0; i < m->count; i++) {
        t->offsets[i] = at;
        t->sizes[i] = (int32_t)piece_bytes(&m->pieces[i], byte_of[i], t->pieces + at);
        at += (uint32_t)t->sizes[i];
    }
    free(byte_of);
    t->offsets[m->count] = t->offsets[m->count + 1] = at;
    SR_TRY(sr_spm_serialize(ctx, m, &t->blob, &t->blob_size));
    char message[SR_SPM_MESSAGE] = "";
    t->model = sr_spm_load(t->blob, t->blob_size, message);
    if (t->model == NULL)
        return sr_fail(ctx, SARTOR_FORMAT, "SentencePiece refuses the model: %s", message);
    return SARTOR_OK;
}

sartor_status sr_tokenizer_from_blob(sartor_context *ctx, const void *blob, size_t size,
                                     sr_tokenizer **out) {
    *out = NULL;
    sr_tokenizer *t = calloc(1, sizeof *t);
    if (t == NULL) return sr_fail(ctx, SARTOR_MEMORY, "tokenizer: not enough memory");
    sartor_status status;
    if (size == 5 && memcmp(blob, "bytes", 5) == 0) {
        status = make_bytes(ctx, t);
    } else {
        sr_spm_model model;
        status = sr_spm_parse(ctx, blob, size, &model);
        if (status == SARTOR_OK) {
            status = make_spm(ctx, t, &model);
            sr_spm_free(&model);
        }
    }
    if (status == SARTOR_OK) t->identity = sr_hash_bytes(t->blob, t->blob_size, 0);
    if (status != SARTOR_OK) sr_tokenizer_free(&t);
    *out = t;
    return status;
}

sartor_status sr_tokenizer_bytes(sartor_context *ctx, sr_tokenizer **out) {
    return sr_tokenizer_from_blob(ctx, "bytes", 5, out);
}

sartor_status sr_tokenizer_load(sartor_context *ctx, const char *path, sr_tokenizer **out) {
    *out = NULL;
    char *data = NULL;
    size_t size = 0;
    SR_TRY(sr_file_read(ctx, path, SR_SPM_MAX_BYTES, &data, &size));
    sartor_status status = sr_tokenizer_from_blob(ctx, data, size, out);
    free(data);
    return status == SARTOR_OK ? SARTOR_OK : sr_fail_in(ctx, status, "%s", path);
}

void sr_tokenizer_free(sr_tokenizer **tokenizer) {
    sr_tokenizer *t = *tokenizer;
    if (t == NULL) return;
    if (t->model != NULL) sr_spm_unload(t->model);
    free(t->pieces);
    free(t->offsets);
    free(t->sizes);
    free(t->blob);
    free(t);
    *tokenizer = NULL;
}

/* ---- asking ---- */

int32_t sr_tokenizer_vocab(const sr_tokenizer *t) { return t->vocab; }

int32_t sr_tokenizer_separator(const sr_tokenizer *t) { return t->vocab - 1; }

bool sr_tokenizer_is_bytes(const sr_tokenizer *t) { return t->model == NULL; }

const int32_t *sr_tokenizer_token_bytes(const sr_tokenizer *t) { return t->sizes; }

const char *sr_tokenizer_piece(const sr_tokenizer *t, int32_t id, size_t *size) {
    bool known = id >= 0 && id < t->vocab;
    *size = known ? (size_t)t->sizes[id] : 0;
    return known ? t->pieces + t->offsets[id] : "";
}

const void *sr_tokenizer_blob(const sr_tokenizer *t, size_t *size) {
    *size = t->blob_size;
    return t->blob;
}

sr_hash sr_tokenizer_identity(const sr_tokenizer *t) { return t->identity; }

/* ---- encoding ---- */

void sr_ids_free(sr_ids *ids) {
    free(ids->ids);
    *ids = (sr_ids){NULL, 0, 0};
}

static bool reserve(sr_ids *ids, size_t more) {
    if (ids->room - ids->count >= more) return true;
    size_t room = ids->room > 0 ? ids->room : 64;
    while (room - ids->count < more)
        if (__builtin_mul_overflow(room, (size_t)2, &room)) return false;
    int32_t *bigger =
        room <= SIZE_MAX / sizeof *bigger ? realloc(ids->ids, room * sizeof *bigger) : NULL;
    if (bigger == NULL) return false;
    ids->ids = bigger;
    ids->room = room;
    return true;
}

static sartor_status append_bytes(const sr_tokenizer *t, const unsigned char *p, size_t n,
                                  sr_ids *out) {
    if (!reserve(out, n)) return SARTOR_MEMORY;
    for (size_t i = 0; i < n; i++) out->ids[out->count++] = t->byte_id[p[i]];
    return SARTOR_OK;
}

static int take_ids(void *user, const int *ids, size_t count) {
    sr_ids *out = user;
    if (!reserve(out, count)) return 1;
    for (size_t i = 0; i < count; i++) out->ids[out->count++] = ids[i];
    return 0;
}

/* Whether the ids from `first` on stand for exactly these bytes. */
static bool stands_for(const sr_tokenizer *t, const sr_ids *ids, size_t first,
                       const unsigned char *p, size_t n) {
    size_t at = 0;
    for (size_t i = first; i < ids->count; i++) {
        int32_t id = ids->ids[i];
        if (id < 0 || id >= t->vocab) return false;
        size_t size = (size_t)t->sizes[id];
        if (size > n - at || memcmp(p + at, t->pieces + t->offsets[id], size) != 0) return false;
        at += size;
    }
    return at == n;
}

/* A model without a piece for the space mark alone spells it in three bytes; the text has no such
 * character here, so those three are a space. */
static void spell_spaces(const sr_tokenizer *t, sr_ids *ids, size_t first) {
    const int32_t *b = t->byte_id;
    size_t n = first;
    for (size_t i = first; i < ids->count; i++) {
        ids->ids[n++] = ids->ids[i];
        if (n - first >= 3 && ids->ids[n - 3] == b[0xe2] && ids->ids[n - 2] == b[0x96] &&
            ids->ids[n - 1] == b[0x81]) {
            n -= 2;
            ids->ids[n - 1] = b[' '];
        }
    }
    ids->count = n;
}

/* Ordinary text goes through the library; should its answer not stand for exactly this text, which
 * the checks on loading rule out as far as is known, the text is spelled in byte pieces: lossless
 * always. */
static sartor_status append_text(const sr_tokenizer *t, const unsigned char *p, size_t n,
                                 sr_ids *out) {
    if (n == 0) return SARTOR_OK;
    size_t first = out->count;
    int code = sr_spm_encode(t->model, (const char *)p, n, take_ids, out);
    if (code != 0) return code < 0 ? SARTOR_LIBRARY : SARTOR_MEMORY;
    spell_spaces(t, out, first);
    if (stands_for(t, out, first, p, n)) return SARTOR_OK;
    out->count = first;
    return append_bytes(t, p, n, out);
}

/* Bytes of p[0..n) that are a chunk: up to the end of a run of line ends after CHUNK bytes, else to
 * before a space, else MAX_CHUNK less a split character. */
static size_t chunk_size(const unsigned char *p, size_t n) {
    if (n <= MAX_CHUNK) return n;
    for (size_t i = CHUNK; i < MAX_CHUNK; i++)
        if (p[i - 1] == '\n' && p[i] != '\n') return i;
    for (size_t i = MAX_CHUNK; i > CHUNK; i--)
        if (p[i] == ' ' && p[i - 1] != ' ') return i;
    size_t i = MAX_CHUNK;
    while (i > MAX_CHUNK - 3 && (p[i] & 0xc0) == 0x80) i--;
    return i;
}

static sartor_status encode_chunk(const sr_tokenizer *t, const unsigned char *p, size_t n,
                                  sr_ids *out) {
    size_t from = 0, at = 0;
    while (at < n) {
        size_t length = p[at] == 0 ? 0 : sr_utf8_length(p + at, n - at);
        if (length > 0 && !(length == 3 && memcmp(p + at, SPACE_MARK, 3) == 0)) {
            at += length;
            continue;
        }
        if (length == 0) length = 1; /* a byte that is not text */
        sartor_status status = append_text(t, p + from, at - from, out);
        if (status == SARTOR_OK) status = append_bytes(t, p + at, length, out);
        if (status != SARTOR_OK) return status;
        at += length;
        from = at;
    }
    return append_text(t, p + from, at - from, out);
}

sartor_status sr_tokenizer_encode_quiet(const sr_tokenizer *t, const void *text, size_t n,
                                        sr_ids *out) {
    const unsigned char *p = text;
    if (t->model == NULL) return append_bytes(t, p, n, out);
    while (n > 0) {
        size_t size = chunk_size(p, n);
        sartor_status status = encode_chunk(t, p, size, out);
        if (status != SARTOR_OK) return status;
        p += size;
        n -= size;
    }
    return SARTOR_OK;
}

sartor_status sr_tokenizer_encode(sartor_context *ctx, const sr_tokenizer *t, const void *text,
                                  size_t n, sr_ids *out) {
    sartor_status status = sr_tokenizer_encode_quiet(t, text, n, out);
    if (status == SARTOR_MEMORY)
        return sr_fail(ctx, status, "not enough memory for the tokens of %zu bytes", n);
    if (status != SARTOR_OK) return sr_fail(ctx, status, "SentencePiece cannot encode the text");
    return SARTOR_OK;
}

sartor_status sr_tokenizer_decode(sartor_context *ctx, const sr_tokenizer *t, const int32_t *ids,
                                  size_t n, char **text, size_t *size) {
    *text = NULL;
    *size = 0;
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->vocab)
            return sr_fail(ctx, SARTOR_INVALID, "token %d is not in the vocabulary of %d", ids[i],
                           t->vocab);
        total += (size_t)t->sizes[ids[i]];
    }
    void *memory = NULL;
    SR_TRY(sr_alloc(ctx, total + 1, 1, "decoded text", &memory));
    char *p = memory;
    for (size_t i = 0; i < n; i++) {
        memcpy(p, t->pieces + t->offsets[ids[i]], (size_t)t->sizes[ids[i]]);
        p += t->sizes[ids[i]];
    }
    *text = memory;
    *size = total;
    return SARTOR_OK;
}
