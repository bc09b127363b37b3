#include "data/spm_model.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t sr_utf8_length(const unsigned char *p, size_t n) {
    if (p[0] < 0x80) return 1;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || length > n) return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

/* ---- protocol buffers: fields of one message ---- */

typedef struct span {
    const unsigned char *at, *end;
} span;

typedef struct field {
    uint32_t number;
    uint64_t value; /* wire types 0 and 5 */
    span bytes;     /* wire type 2 */
    int wire;
} field;

static bool read_varint(span *s, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (s->at == s->end) return false;
        uint64_t byte = *s->at++;
        if (shift < 64) *value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

/* False at the end and on malformed input, which leaves s->at != s->end or sets it to NULL. */
static bool read_field(span *s, field *f) {
    uint64_t tag = 0;
    if (s->at == s->end) return false;
    *f = (field){0};
    bool good = read_varint(s, &tag) && tag >> 3 > 0 && tag >> 3 < 1u << 29;
    size_t left = (size_t)(s->end - s->at), size = 0;
    if (good) {
        f->number = (uint32_t)(tag >> 3);
        f->wire = (int)(tag & 7);
        uint64_t length = 0;
        if (f->wire == 0) {
            good = read_varint(s, &f->value);
        } else if (f->wire == 1) {
            size = 8;
        } else if (f->wire == 5) {
            size = 4;
            for (size_t i = 0; i < 4 && left >= 4; i++) f->value |= (uint64_t)s->at[i] << (8 * i);
        } else if (f->wire == 2) {
            good = read_varint(s, &length) && length <= (uint64_t)(s->end - s->at);
            left = (size_t)(s->end - s->at);
            size = good ? (size_t)length : 0;
            f->bytes = (span){s->at, s->at + size};
        } else {
            good = false;
        }
    }
    if (!good || size > left) {
        s->at = NULL;
        return false;
    }
    s->at += size;
    return true;
}

static sartor_status malformed(sartor_context *ctx, const char *what) {
    return sr_fail(ctx, SARTOR_FORMAT, "not a SentencePiece model: %s", what);
}

static sartor_status lossy(sartor_context *ctx, const char *what) {
    return sr_fail(ctx, SARTOR_INVALID, "the SentencePiece model is not lossless: %s", what);
}

static sartor_status read_piece(sartor_context *ctx, span s, sr_spm_model *m) {
    sr_spm_piece piece = {"", 0, 0, SR_PIECE_NORMAL};
    field f;
    while (read_field(&s, &f)) {
        if (f.number == 1 && f.wire == 2) {
            piece.text = (const char *)f.bytes.at;
            piece.size = (size_t)(f.bytes.end - f.bytes.at);
        } else if (f.number == 2 && f.wire == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&piece.score, &bits, sizeof piece.score);
        } else if (f.number == 3 && f.wire == 0) {
            piece.type = f.value <= SR_PIECE_BYTE ? (int)f.value : 0;
        }
    }
    if (s.at != s.end) return malformed(ctx, "a damaged piece");
    if (piece.type == 0) return malformed(ctx, "a piece of unknown type");
    if (!isfinite(piece.score)) return malformed(ctx, "a score that is not finite");
    if (piece.size == 0 || piece.size > SR_SPM_MAX_PIECE_BYTES)
        return malformed(ctx, "an empty or overlong piece");
    for (size_t i = 0, n; i < piece.size; i += n) {
        n = sr_utf8_length((const unsigned char *)piece.text + i, piece.size - i);
        if (n == 0 || piece.text[i] == 0) return malformed(ctx, "a piece that is not UTF-8 text");
    }
    m->pieces[m->count++] = piece;
    return SARTOR_OK;
}

static sartor_status read_trainer(sartor_context *ctx, span s, sr_spm_model *m,
                                  bool *byte_fallback) {
    field f;
    while (read_field(&s, &f)) {
        if (f.wire != 0) continue;
        if (f.number == 3) m->model_type = f.value <= 4 ? (int)f.value : 0;
        if (f.number == 24) m->whitespace_as_suffix = f.value != 0;
        if (f.number == 35) *byte_fallback = f.value != 0;
        if (f.number >= 40 && f.number <= 43)
            m->special[f.number - 40] = (int32_t)(uint32_t)f.value;
    }
    return s.at == s.end ? SARTOR_OK : malformed(ctx, "damaged trainer settings");
}

static sartor_status read_normalizer(sartor_context *ctx, span s) {
    bool dummy_prefix = true, remove_extra = true, escape = true, rules = false;
    field f;
    while (read_field(&s, &f)) {
        if (f.wire == 2 && (f.number == 2 || f.number == 6))
            rules = rules || f.bytes.at != f.bytes.end;
        if (f.wire != 0) continue;
        if (f.number == 3) dummy_prefix = f.value != 0;
        if (f.number == 4) remove_extra = f.value != 0;
        if (f.number == 5) escape = f.value != 0;
    }
    if (s.at != s.end) return malformed(ctx, "damaged normaliser settings");
    if (rules)
        return lossy(ctx, "it normalises text (train it with --normalization_rule_name=identity)");
    if (dummy_prefix)
        return lossy(ctx, "it adds a dummy prefix (train it with --add_dummy_prefix=false)");
    if (remove_extra)
        return lossy(
            ctx, "it removes extra whitespace (train it with --remove_extra_whitespaces=false)");
    if (!escape) return lossy(ctx, "it does not escape whitespace");
    return SARTOR_OK;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Byte pieces are spelled <0xNN>; there must be exactly one for each byte. */
static sartor_status index_bytes(sartor_context *ctx, sr_spm_model *m) {
    int found = 0, unknown = 0;
    for (int b = 0; b < 256; b++) m->byte_id[b] = -1;
    for (int32_t i = 0; i < m->count; i++) {
        const sr_spm_piece *p = &m->pieces[i];
        unknown += p->type == SR_PIECE_UNKNOWN;
        if (p->type == SR_PIECE_UNKNOWN) m->special[0] = i;
        if (p->type != SR_PIECE_BYTE) continue;
        if (p->size != 6 || memcmp(p->text, "<0x", 3) != 0 || p->text[5] != '>' ||
            hex_digit(p->text[3]) < 0 || hex_digit(p->text[4]) < 0)
            return malformed(ctx, "a misspelled byte piece");
        int byte = 16 * hex_digit(p->text[3]) + hex_digit(p->text[4]);
        if (m->byte_id[byte] >= 0) return malformed(ctx, "a byte piece twice");
        m->byte_id[byte] = i;
        found++;
    }
    if (found != 256) return malformed(ctx, "byte pieces are missing");
    if (unknown != 1) return malformed(ctx, "not exactly one unknown piece");
    for (int i = 1; i < 4; i++)
        if (m->special[i] < 0 || m->special[i] >= m->count) m->special[i] = -1;
    return SARTOR_OK;
}

static sartor_status parse(sartor_context *ctx, span all, sr_spm_model *m) {
    span s = all, trainer = {NULL, NULL}, normalizer = {NULL, NULL};
    field f;
    int64_t count = 0;
    while (read_field(&s, &f)) {
        if (f.number >= 1 && f.number <= 3 && f.wire != 2)
            return malformed(ctx, "a field of a wrong type");
        count += f.number == 1;
        if (f.number == 2) trainer = f.bytes;
        if (f.number == 3) normalizer = f.bytes;
    }
    if (s.at != s.end || all.at == all.end) return malformed(ctx, "damaged or truncated");
    if (count == 0) return malformed(ctx, "no pieces");
    if (count > SR_SPM_MAX_PIECES) return malformed(ctx, "more than a million pieces");
    void *pieces = NULL;
    SR_TRY(sr_alloc(ctx, (size_t)count, sizeof *m->pieces, "the vocabulary", &pieces));
    m->pieces = pieces;
    bool byte_fallback = false;
    SR_TRY(read_trainer(ctx, trainer, m, &byte_fallback));
    if (m->model_type != 1 && m->model_type != 2)
        return sr_fail(ctx, SARTOR_INVALID, "the SentencePiece model is neither unigram nor BPE");
    if (!byte_fallback)
        return lossy(ctx, "it has no byte fallback (train it with --byte_fallback)");
    SR_TRY(read_normalizer(ctx, normalizer));
    s = all;
    while (read_field(&s, &f))
        if (f.number == 1) SR_TRY(read_piece(ctx, f.bytes, m));
    return index_bytes(ctx, m);
}

sartor_status sr_spm_parse(sartor_context *ctx, const void *data, size_t size, sr_spm_model *out) {
    *out = (sr_spm_model){.model_type = 1, .special = {0, -1, -1, -1}};
    if (size > SR_SPM_MAX_BYTES) return malformed(ctx, "larger than 64 MiB");
    span all = {data, (const unsigned char *)data + size};
    sartor_status status = parse(ctx, all, out);
    if (status != SARTOR_OK) sr_spm_free(out);
    return status;
}

void sr_spm_free(sr_spm_model *model) {
    free(model->pieces);
    model->pieces = NULL;
}

/* ---- writing ---- */

/* Appends to memory that is known to be large enough. */
static char *put_varint(char *p, uint64_t value) {
    for (; value >= 0x80; value >>= 7) *p++ = (char)(value | 0x80);
    *p++ = (char)value;
    return p;
}

static char *put_number(char *p, uint32_t number, int64_t value) {
    return put_varint(put_varint(p, (uint64_t)number << 3), (uint64_t)value);
}

static char *put_bytes(char *p, uint32_t number, const void *bytes, size_t n) {
    p = put_varint(put_varint(p, (uint64_t)number << 3 | 2), n);
    memcpy(p, bytes, n);
    return p + n;
}

sartor_status sr_spm_serialize(sartor_context *ctx, const sr_spm_model *model, char **data,
                               size_t *size) {
    size_t room = 1024;
    for (int32_t i = 0; i < model->count; i++) room += 32 + model->pieces[i].size;
    void *memory = NULL;
    SR_TRY(sr_alloc(ctx, room, 1, "the vocabulary", &memory));
    char *p = memory, part[SR_SPM_MAX_PIECE_BYTES + 64];
    for (int32_t i = 0; i < model->count; i++) {
        const sr_spm_piece *piece = &model->pieces[i];
        char *q = put_bytes(part, 1, piece->text, piece->size);
        uint32_t bits;
        memcpy(&bits, &piece->score, sizeof bits);
        q = put_varint(q, 2 << 3 | 5);
        for (int b = 0; b < 4; b++) *q++ = (char)(bits >> (8 * b));
        if (piece->type != SR_PIECE_NORMAL) q = put_number(q, 3, piece->type);
        p = put_bytes(p, 1, part, (size_t)(q - part));
    }
    char *q = put_number(part, 3, model->model_type);
    q = put_number(q, 4, model->count);
    if (model->whitespace_as_suffix) q = put_number(q, 24, 1);
    q = put_number(q, 35, 1);
    for (int i = 0; i < 4; i++) q = put_number(q, (uint32_t)(40 + i), model->special[i]);
    p = put_bytes(p, 2, part, (size_t)(q - part));
    q = put_bytes(part, 1, "identity", 8);
    q = put_bytes(q, 2, "", 0);
    for (uint32_t i = 3; i <= 4; i++) q = put_number(q, i, 0);
    p = put_bytes(p, 3, part, (size_t)(q - part));
    *data = memory;
    *size = (size_t)(p - *data);
    return SARTOR_OK;
}
