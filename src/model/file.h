/* Model files: safetensors with the architecture and the tokenizer inside.
 *
 * Tensors carry the schema's names and shapes, f32. Metadata "sartor" is a JSON object with the
 * format version, genome and sizes; the tensor "tokenizer" (U8) is the vocabulary's blob. */
#ifndef SR_MODEL_FILE_H
#define SR_MODEL_FILE_H

#include "model/model.h"
#include "tensor/safetensors.h"

/* Extra tensors and metadata beside the weights: what a checkpoint adds. Flat buffers of
 * schema.elements numbers, stored per tensor under PREFIX + name. */
typedef struct sr_model_extra {
    const char *prefix; /* "adam.m." */
    sr_st_type type;    /* SR_ST_F32; behind all of those, SR_ST_U8 */
    const void *flat;
} sr_model_extra;

typedef struct sr_model_note {
    const char *key, *text;
} sr_model_note;

sartor_status sr_model_save(sartor_context *ctx, const char *path, const sr_model *model,
                            const void *tokenizer, size_t tokenizer_bytes,
                            const sr_model_extra *extra, int n_extra, const sr_model_note *note,
                            int n_notes);

/* Opens a model file and compiles its architecture; weights are read. `reader` stays open for the
 * tokenizer, extras and notes; close it with sr_st_close(). On failure both are NULL. */
sartor_status sr_model_open(sartor_context *ctx, const char *path, sr_st_reader **reader,
                            sr_model **model);
/* The architecture inside an open file, without weights; `path` is for messages. */
sartor_status sr_model_compile(sartor_context *ctx, const char *path, const sr_st_reader *reader,
                               sr_model **model);
/* The tokenizer's blob inside an open file. */
sartor_status sr_model_tokenizer(sartor_context *ctx, const sr_st_reader *reader, const void **blob,
                                 size_t *bytes);
/* Reads one flat buffer stored as an extra, of f32 or of U8. */
sartor_status sr_model_read_flat(sartor_context *ctx, const sr_st_reader *reader,
                                 const sr_model *model, const char *prefix, float *flat);
sartor_status sr_model_read_bytes(sartor_context *ctx, const sr_st_reader *reader,
                                  const sr_model *model, const char *prefix, uint8_t *flat);

#endif
