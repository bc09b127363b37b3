/* Tokenizers: a byte vocabulary, or a SentencePiece model, with one more id for the separator
 * between documents.
 *
 * What holds: decode(encode(x)) == x for every byte string, UTF-8 or not. Every token stands for
 * fixed raw bytes (the separator for none), and text is the plain concatenation of its tokens'
 * bytes, so token byte counts sum exactly to the raw bytes. The separator is always the last id. */
#ifndef SR_DATA_TOKENIZER_H
#define SR_DATA_TOKENIZER_H

#include "data/source.h"

typedef struct sr_tokenizer sr_tokenizer;

/* 256 bytes, id = byte, and the separator 256: a vocabulary of 257. */
sartor_status sr_tokenizer_bytes(sartor_context *ctx, sr_tokenizer **out);

/* A SentencePiece .model file (unigram or BPE). Refused (SARTOR_INVALID, with the setting named)
 * unless lossless: byte fallback, identity normalisation, no dummy prefix, no removal of extra
 * whitespace, whitespace escaped. SARTOR_FORMAT when malformed. */
sartor_status sr_tokenizer_load(sartor_context *ctx, const char *path, sr_tokenizer **out);

/* From what sr_tokenizer_blob() gave, or the content of a .model file. Safe on hostile input. */
sartor_status sr_tokenizer_from_blob(sartor_context *ctx, const void *blob, size_t size,
                                     sr_tokenizer **out);

typedef struct sr_tokenizer_training {
    bool bpe;           /* else unigram */
    int32_t vocab;      /* of the result, separator included; at least 300 */
    uint64_t max_bytes; /* of text read; lines are sampled evenly above it. 0: 32 MiB */
    sr_split split;     /* documents used; 0: SR_TRAIN */
} sr_tokenizer_training;

/* Trains a SentencePiece model with the lossless settings. The same text gives the same model on
 * any number of cores. SARTOR_INVALID when the text is too small for the vocabulary. */
sartor_status sr_tokenizer_train(sartor_context *ctx, sr_source *source,
                                 const sr_tokenizer_training *options, sr_tokenizer **out);
void sr_tokenizer_free(sr_tokenizer **tokenizer);

int32_t sr_tokenizer_vocab(const sr_tokenizer *t);     /* separator included */
int32_t sr_tokenizer_separator(const sr_tokenizer *t); /* vocab - 1 */
bool sr_tokenizer_is_bytes(const sr_tokenizer *t);

/* Raw bytes of every token: `vocab` entries; 0 for the separator and for control pieces. */
const int32_t *sr_tokenizer_token_bytes(const sr_tokenizer *t);

/* The raw bytes one token stands for (not terminated, may be part of a UTF-8 character); an id
 * outside the vocabulary gives size 0. */
const char *sr_tokenizer_piece(const sr_tokenizer *t, int32_t id, size_t *size);

/* To travel inside model files: "bytes", or a complete SentencePiece model (in canonical form, so
 * equal vocabularies give equal blobs). Owned by the tokenizer. */
const void *sr_tokenizer_blob(const sr_tokenizer *t, size_t *size);
sr_hash sr_tokenizer_identity(const sr_tokenizer *t);

/* A growing list of token ids; start with {0}, release with sr_ids_free(). */
typedef struct sr_ids {
    int32_t *ids;
    size_t count, room;
} sr_ids;
void sr_ids_free(sr_ids *ids);

/* Appends the tokens of n bytes of text; never the separator. Long text is encoded in chunks of a
 * few KiB that end where no piece reaches across (line ends, else before spaces), so memory is
 * bounded. */
sartor_status sr_tokenizer_encode(sartor_context *ctx, const sr_tokenizer *t, const void *text,
                                  size_t n, sr_ids *out);
/* The same for many threads at once: no message, only SARTOR_OK, SARTOR_MEMORY or SARTOR_LIBRARY.
 */
sartor_status sr_tokenizer_encode_quiet(const sr_tokenizer *t, const void *text, size_t n,
                                        sr_ids *out);

/* The text of n ids as *size bytes with a 0 after the last one; separators give nothing. Release
 * with free(). SARTOR_INVALID for an id outside the vocabulary. */
sartor_status sr_tokenizer_decode(sartor_context *ctx, const sr_tokenizer *t, const int32_t *ids,
                                  size_t n, char **text, size_t *size);

#endif
