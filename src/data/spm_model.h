/* SentencePiece model files: a bounded reader of the few fields that matter, the check that a model
 * is lossless, and the canonical form. The library underneath only ever sees canonical models. */
#ifndef SR_DATA_SPM_MODEL_H
#define SR_DATA_SPM_MODEL_H

#include "base/context.h"
#include <stddef.h>
#include <stdint.h>

enum { SR_SPM_MAX_BYTES = 64 << 20, SR_SPM_MAX_PIECES = 1 << 20, SR_SPM_MAX_PIECE_BYTES = 1024 };

/* Piece types as numbered in the format. */
enum {
    SR_PIECE_NORMAL = 1,
    SR_PIECE_UNKNOWN,
    SR_PIECE_CONTROL,
    SR_PIECE_USER,
    SR_PIECE_UNUSED,
    SR_PIECE_BYTE
};

typedef struct sr_spm_piece {
    const char *text; /* in the parsed data; not terminated */
    size_t size;
    float score;
    int type;
} sr_spm_piece;

typedef struct sr_spm_model {
    sr_spm_piece *pieces; /* owned */
    int32_t count;
    int model_type;            /* 1 unigram, 2 BPE */
    bool whitespace_as_suffix; /* pieces end with spaces instead of starting with them */
    int32_t special[4];        /* ids of unknown, begin, end, padding; -1: none */
    int32_t byte_id[256];      /* the byte fallback piece of each byte */
} sr_spm_model;

/* Reads and checks a serialized model; `data` must outlive the result, which sr_spm_free()
 * releases. SARTOR_FORMAT: malformed. SARTOR_INVALID: well formed but not lossless; the message
 * names the setting. */
sartor_status sr_spm_parse(sartor_context *ctx, const void *data, size_t size, sr_spm_model *out);
void sr_spm_free(sr_spm_model *model);

/* The canonical serialized form: pieces and the settings above, nothing else. Release with free().
 */
sartor_status sr_spm_serialize(sartor_context *ctx, const sr_spm_model *model, char **data,
                               size_t *size);

/* Bytes of the valid UTF-8 character (shortest form, no surrogates) at p, 0 if there is none; n
 * >= 1. */
size_t sr_utf8_length(const unsigned char *p, size_t n);

#endif
