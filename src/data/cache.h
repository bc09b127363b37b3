/* The token cache: the tokens of some parts of a source, made once, then memory-mapped.
 *
 * What holds: the stream is SEP d0 SEP d1 SEP ... dn SEP, SEP the tokenizer's separator and d the
 * tokens of a document. The file's name is a hash of everything the stream depends on (content of
 * the documents, tokenizer, format version), so a cache is never stale; it is checked on opening
 * and made again when damaged; it appears complete or not at all, and several processes may make it
 * at once. */
#ifndef SR_DATA_CACHE_H
#define SR_DATA_CACHE_H

#include "data/source.h"
#include "data/tokenizer.h"

typedef struct sr_tokens {
    const void *data; /* `count` ids of `width` bytes: uint16_t or int32_t */
    uint64_t count;   /* separators included; at least 3 */
    uint64_t bytes;   /* raw bytes of text: the sum of the tokens' bytes */
    uint64_t documents;
    const uint64_t
        *starts; /* documents + 1: index of each document's first token; the last is `count` */
    int32_t vocab, width;
    sr_hash identity; /* of the text: sr_source_identity() */
    sr_map map;
} sr_tokens;

/* Called now and then while a cache is made; in raw bytes. */
typedef void (*sr_progress_fn)(void *user, uint64_t done, uint64_t total);

typedef struct sr_cache_options {
    const char *folder; /* made if missing; NULL: sr_cache_folder() */
    sr_split split;     /* 0: all parts */
    sr_progress_fn progress;
    void *user;
} sr_cache_options;

/* Opens the cache, making it first if it is missing or damaged. Fails when the parts have no text,
 * on input or output errors, and with SARTOR_INTERRUPTED (nothing is left behind). */
sartor_status sr_tokens_open(sartor_context *ctx, sr_source *source, const sr_tokenizer *tokenizer,
                             const sr_cache_options *options, sr_tokens *out);
void sr_tokens_close(sr_tokens *tokens);

static inline int32_t sr_token(const sr_tokens *tokens, uint64_t index) {
    return tokens->width == 2 ? ((const uint16_t *)tokens->data)[index]
                              : ((const int32_t *)tokens->data)[index];
}

/* $SARTOR_CACHE, else $XDG_CACHE_HOME/sartor, else $HOME/.cache/sartor. Release with free(). */
sartor_status sr_cache_folder(sartor_context *ctx, char **folder);

#endif
