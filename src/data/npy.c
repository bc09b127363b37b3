#define _POSIX_C_SOURCE 200809L
#include "data/npy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 6, MOST_RANK = 32, SHOWN = 40 };
static const char magic[MAGIC + 1] = "\x93NUMPY";

/* The dictionary of the header while it is read, and what it said. */
typedef struct header {
    const char *at, *end;
    const char *descr; /* the type, `descr_bytes` long; NULL: not seen yet */
    size_t descr_bytes;
    int fortran; /* -1: not seen yet */
    int rank;    /* -1: not seen yet */
    int64_t dims[MOST_RANK];
} header;

static sartor_status bad(sartor_context *ctx, const sr_npy *npy, const char *what) {
    return sr_fail(ctx, SARTOR_FORMAT, "%s: %s", npy->name, what);
}

static void skip_blanks(header *h) {
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n' || *h->at == '\t')) h->at++;
}

/* Takes `word` after blanks, if it comes next. */
static bool take(header *h, const char *word) {
    size_t n = strlen(word);
    skip_blanks(h);
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, word, n) != 0) return false;
    h->at += n;
    return true;
}

/* A string in either kind of quotes, without escapes. */
static bool take_string(header *h, const char **text, size_t *n) {
    skip_blanks(h);
    if (h->at == h->end || (*h->at != '\'' && *h->at != '"')) return false;
    const char *close = memchr(h->at + 1, *h->at, (size_t)(h->end - h->at - 1));
    if (close == NULL) return false;
    *text = h->at + 1;
    *n = (size_t)(close - *text);
    h->at = close + 1;
    return memchr(*text, '\\', *n) == NULL;
}

static bool take_natural(header *h, int64_t *value) {
    skip_blanks(h);
    const char *first = h->at;
    for (*value = 0; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, *h->at - '0', value))
            return false;
    return h->at > first && (*first != '0' || h->at == first + 1);
}

/* (), (3,), (3, 4), (3, 4,) ... */
static bool take_shape(header *h) {
    h->rank = 0;
    if (!take(h, "(")) return false;
    while (!take(h, ")")) {
        if (h->rank == MOST_RANK || !take_natural(h, &h->dims[h->rank++])) return false;
        bool comma = take(h, ",");
        if (!comma && h->rank == 1) return false; /* (3) is a number */
        if (!comma) return take(h, ")");
    }
    return true;
}

/* One KEY: VALUE; each key comes once. */
static bool take_entry(header *h) {
    const char *key;
    size_t n;
    if (!take_string(h, &key, &n) || !take(h, ":")) return false;
    if (n == 5 && memcmp(key, "descr", n) == 0 && h->descr == NULL)
        return take_string(h, &h->descr, &h->descr_bytes);
    if (n == 13 && memcmp(key, "fortran_order", n) == 0 && h->fortran < 0) {
        h->fortran = take(h, "True");
        return h->fortran == 1 || take(h, "False");
    }
    return n == 5 && memcmp(key, "shape", n) == 0 && h->rank < 0 && take_shape(h);
}

static bool read_header(header *h) {
    if (!take(h, "{")) return false;
    while (!take(h, "}")) {
        if (!take_entry(h)) return false;
        if (!take(h, ",")) {
            if (!take(h, "}")) return false;
            break;
        }
    }
    skip_blanks(h);
    return h->at == h->end && h->descr != NULL && h->fortran >= 0 && h->rank >= 0;
}

/* "<i8", ">u2", "|i1": byte order, kind, bytes. */
static bool read_type(const header *h, sr_npy *npy) {
    const char *d = h->descr;
    if (h->descr_bytes != 3 || (d[1] != 'i' && d[1] != 'u')) return false;
    npy->is_signed = d[1] == 'i';
    npy->bytes = d[2] - '0';
    if (npy->bytes != 1 && npy->bytes != 2 && npy->bytes != 4 && npy->bytes != 8) return false;
    npy->big_endian = d[0] == '>';
    return d[0] == '<' || d[0] == '>' || (d[0] == '|' && npy->bytes == 1);
}

/* What the header says against what this reader takes. */
static sartor_status check_header(sartor_context *ctx, const header *h, sr_npy *npy) {
    if (!read_type(h, npy))
        return sr_fail(ctx, SARTOR_FORMAT, "%s: type '%.*s' is no integer", npy->name,
                       (int)(h->descr_bytes < SHOWN ? h->descr_bytes : SHOWN), h->descr);
    if (h->rank != 2)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: has %d dimension%s, not rows and columns",
                       npy->name, h->rank, h->rank == 1 ? "" : "s");
    if (h->fortran == 1) return bad(ctx, npy, "is in Fortran order; save it in C order");
    npy->rows = h->dims[0];
    npy->columns = h->dims[1];
    int64_t count;
    if (__builtin_mul_overflow(npy->rows, npy->columns, &count) || count > SR_NPY_MOST_VALUES)
        return sr_fail(ctx, SARTOR_FORMAT,
                       "%s: %" PRId64 " x %" PRId64 " values are more than %" PRId64, npy->name,
                       npy->rows, npy->columns, SR_NPY_MOST_VALUES);
    return SARTOR_OK;
}

static sartor_status parse(sartor_context *ctx, const unsigned char *bytes, size_t size,
                           sr_npy *npy) {
    if (size < MAGIC + 2 || memcmp(bytes, magic, MAGIC) != 0)
        return bad(ctx, npy, "is not a .npy file");
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is a .npy file of version %d.%d; known are 1 to 3",
                       npy->name, bytes[6], bytes[7]);
    size_t start = bytes[6] == 1 ? MAGIC + 4 : MAGIC + 6;
    if (size < start) return bad(ctx, npy, "ends in its header");
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > size - start) return bad(ctx, npy, "ends in its header");
    const char *text = (const char *)bytes + start;
    header h = {.at = text, .end = text + length, .fortran = -1, .rank = -1};
    if (!read_header(&h))
        return bad(ctx, npy, "its header is no dictionary of descr, fortran_order and shape");
    SR_TRY(check_header(ctx, &h, npy));
    npy->data = bytes + start + length;
    uint64_t there = size - start - length;
    uint64_t wanted = (uint64_t)npy->rows * (uint64_t)npy->columns * (uint64_t)npy->bytes;
    if (there != wanted)
        return sr_fail(ctx, SARTOR_FORMAT,
                       "%s: %" PRId64 " x %" PRId64 " values take %" PRIu64
                       " bytes, and the file has %" PRIu64 "%s",
                       npy->name, npy->rows, npy->columns, wanted, there,
                       there < wanted ? ": it is truncated" : "");
    return SARTOR_OK;
}

sartor_status sr_npy_open_memory(sartor_context *ctx, const char *name, const void *bytes,
                                 size_t size, sr_npy *npy) {
    *npy = (sr_npy){.name = strdup(name)};
    if (npy->name == NULL) return sr_no_memory(ctx);
    sartor_status status = parse(ctx, bytes, size, npy);
    if (status != SARTOR_OK) sr_npy_close(npy);
    return status;
}

sartor_status sr_npy_open(sartor_context *ctx, const char *path, sr_npy *npy) {
    *npy = (sr_npy){0};
    sr_map map;
    SR_TRY(sr_map_open(ctx, path, &map));
    sartor_status status = sr_npy_open_memory(ctx, path, map.data, map.size, npy);
    if (status == SARTOR_OK)
        npy->map = map;
    else
        sr_map_close(&map);
    return status;
}

void sr_npy_close(sr_npy *npy) {
    free(npy->name);
    sr_map_close(&npy->map);
    *npy = (sr_npy){0};
}

/* The bytes of a value as a number, with its sign spread to all bits. */
static uint64_t bits_at(const sr_npy *npy, int64_t i) {
    const unsigned char *p = npy->data + i * npy->bytes;
    uint64_t x = 0;
    for (int b = 0; b < npy->bytes; b++) x = x << 8 | p[npy->big_endian ? b : npy->bytes - 1 - b];
    int unused = 64 - 8 * npy->bytes;
    return npy->is_signed ? (uint64_t)((int64_t)(x << unused) >> unused) : x;
}

static sartor_status no_token(sartor_context *ctx, const sr_npy *npy, int64_t i, int64_t vocab,
                              int32_t ignore) {
    char or [40] = "";
    uint64_t bits = bits_at(npy, i);
    bool negative = npy->is_signed && (int64_t)bits < 0;
    if (ignore < 0) snprintf(or, sizeof or, ", nor %d (not scored)", (int)ignore);
    return sr_fail(ctx, SARTOR_FORMAT,
                   "%s: row %" PRId64 ", column %" PRId64 ": %s%" PRIu64
                   " is not in the vocabulary of %" PRId64 "%s",
                   npy->name, i / npy->columns, i % npy->columns, negative ? "-" : "",
                   negative ? -bits : bits, vocab, or);
}

sartor_status sr_npy_tokens(sartor_context *ctx, const sr_npy *npy, int64_t vocab, int32_t ignore,
                            int32_t *out) {
    for (int64_t i = 0, n = npy->rows * npy->columns; i < n; i++) {
        uint64_t bits = bits_at(npy, i);
        bool ignored = ignore < 0 && npy->is_signed && (int64_t)bits == ignore;
        if (bits >= (uint64_t)vocab && !ignored) return no_token(ctx, npy, i, vocab, ignore);
        out[i] = (int32_t)bits;
    }
    return SARTOR_OK;
}

/* The header has room for any shape and ends where 64 divides. */
static sartor_status write_header(sartor_context *ctx, FILE *stream, int64_t rows,
                                  int64_t columns) {
    enum { HEADER = 128 };
    char text[HEADER + 1];
    int n = snprintf(text, sizeof text,
                     "%s\x01%c%c%c{'descr': '<i8', 'fortran_order': False, 'shape': (%" PRId64
                     ", %" PRId64 "), }",
                     magic, 0, HEADER - MAGIC - 4, 0, rows, columns);
    if (n < 0 || n >= HEADER) return sr_fail(ctx, SARTOR_INVALID, "the shape has too many digits");
    memset(text + n, ' ', (size_t)(HEADER - 1 - n));
    text[HEADER - 1] = '\n';
    fwrite(text, 1, HEADER, stream);
    return SARTOR_OK;
}

static void write_values(FILE *stream, int64_t count, const int32_t *values) {
    enum { BLOCK = 4096 };
    unsigned char bytes[8 * BLOCK] = {0};
    for (int64_t done = 0; done < count;) {
        int n = count - done < BLOCK ? (int)(count - done) : BLOCK;
        for (int i = 0; i < n; i++) {
            uint64_t x = (uint64_t)(int64_t)values[done + i];
            for (int b = 0; b < 8; b++) bytes[8 * i + b] = (unsigned char)(x >> 8 * b);
        }
        fwrite(bytes, 8, (size_t)n, stream);
        done += n;
    }
}

sartor_status sr_npy_write(sartor_context *ctx, const char *path, int64_t rows, int64_t columns,
                           const int32_t *values) {
    sr_file file;
    SR_TRY(sr_file_create(ctx, path, &file));
    sartor_status status = write_header(ctx, file.stream, rows, columns);
    if (status != SARTOR_OK) {
        sr_file_abandon(&file);
        return status;
    }
    write_values(file.stream, rows * columns, values);
    return sr_file_commit(ctx, &file); /* finds errors of writing */
}
