/* Training a SentencePiece model on the documents of a source. */
#include "data/sentencepiece.h"
#include "data/spm_model.h"
#include "data/tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 4096 };
static const uint64_t DEFAULT_BYTES = 32u << 20, MAX_BYTES = 1u << 30;

/* Hands out the lines of the documents, without line ends. Lines that the trainer has no use for
 * (not UTF-8, or with SentencePiece's own space mark) are passed over: encoding spells them in
 * bytes. */
typedef struct reader {
    sartor_context *ctx;
    sr_source *source;
    sr_split split;
    size_t next; /* document */
    const unsigned char *at, *end;
    uint64_t line, threshold, left;
    sartor_status status;
} reader;

static bool usable(const unsigned char *p, size_t n) {
    for (size_t i = 0, length; i < n; i += length) {
        length = p[i] == 0 ? 0 : sr_utf8_length(p + i, n - i);
        if (length == 0 || (length == 3 && memcmp(p + i, "\xe2\x96\x81", 3) == 0)) return false;
    }
    return n > 0;
}

/* Long lines are cut before a space, else between characters. */
static size_t line_size(const unsigned char *p, size_t n) {
    const unsigned char *q = memchr(p, '\n', n < LINE ? n : LINE);
    if (q != NULL) return (size_t)(q - p);
    if (n <= LINE) return n;
    for (size_t i = LINE; i > LINE / 2; i--)
        if (p[i] == ' ' && p[i - 1] != ' ') return i;
    size_t i = LINE;
    while (i > LINE - 3 && (p[i] & 0xc0) == 0x80) i--;
    return i;
}

static bool next_document(reader *r) {
    while (r->next < sr_source_count(r->source)) {
        const sr_document *d = sr_source_document(r->source, r->next++);
        if ((d->split & r->split) == 0) continue;
        if (sr_interrupted(r->ctx)) r->status = sr_fail(r->ctx, SARTOR_INTERRUPTED, "interrupted");
        if (r->status == SARTOR_OK)
            r->status = sr_source_read(r->ctx, r->source, r->next - 1, &r->at);
        if (r->status != SARTOR_OK) return false;
        r->end = r->at + d->size;
        return true;
    }
    return false;
}

static int next_line(void *user, const char **line, size_t *n) {
    reader *r = user;
    for (;;) {
        while (r->at == r->end)
            if (!next_document(r)) return r->status == SARTOR_OK ? 0 : -1;
        const unsigned char *p = r->at;
        size_t size = line_size(p, (size_t)(r->end - p));
        r->at += size;
        if (r->at < r->end && *r->at == '\n') r->at++;
        uint64_t draw = sr_hash_bytes(&r->line, sizeof r->line, 0).high;
        r->line++;
        if (draw > r->threshold || !usable(p, size)) continue;
        if (size > r->left) return 0;
        r->left -= size;
        *line = (const char *)p;
        *n = size;
        return 1;
    }
}

sartor_status sr_tokenizer_train(sartor_context *ctx, sr_source *source,
                                 const sr_tokenizer_training *options, sr_tokenizer **out) {
    *out = NULL;
    if (options->vocab < 300 || options->vocab > SR_SPM_MAX_PIECES)
        return sr_fail(ctx, SARTOR_INVALID,
                       "a SentencePiece vocabulary has 300 to %d tokens, not %d", SR_SPM_MAX_PIECES,
                       options->vocab);
    sr_split split = options->split != 0 ? options->split : SR_TRAIN;
    uint64_t limit = options->max_bytes != 0 ? options->max_bytes : DEFAULT_BYTES;
    if (limit > MAX_BYTES) limit = MAX_BYTES;
    uint64_t bytes = sr_source_bytes(source, split);
    SR_TRY(sr_source_require(ctx, source, split));
    double fraction = (double)limit / (double)bytes;
    reader r = {.ctx = ctx,
                .source = source,
                .split = split,
                .threshold = fraction >= 1 ? UINT64_MAX : (uint64_t)(fraction * 0x1p64),
                .left = limit + limit / 8};
    char message[SR_SPM_MESSAGE] = "", *data = NULL;
    size_t size = 0;
    int code = sr_spm_train(options->bpe, options->vocab - 1, next_line, &r, &data, &size, message);
    if (code == 2) return r.status;
    if (code != 0)
        return sr_fail(
            ctx, SARTOR_INVALID,
            "cannot train a vocabulary of %d tokens on %llu bytes of text; give more text or a "
            "smaller vocabulary (SentencePiece: %s)",
            options->vocab, (unsigned long long)bytes, message);
    sartor_status status = sr_tokenizer_from_blob(ctx, data, size, out);
    free(data);
    return status;
}
