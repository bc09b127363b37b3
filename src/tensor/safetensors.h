/* The safetensors file format: named tensors and a string map, in one file that everybody reads.
 *
 * Layout: 8 bytes little-endian header length N, N bytes of JSON, then the tensors' bytes. The
 * header maps each name to its element type, shape and byte range; "__metadata__" maps strings to
 * strings.
 *
 * The reader trusts nothing: every length is bounded before it is used, and a file is either
 * accepted as a whole or refused with one line that names the file and the tensor. What it accepts:
 * ranges that tile the data exactly (no hole, no overlap, no trailing byte), sizes equal to shape
 * times element size, no name twice. The writer produces only what the reader accepts; the same
 * calls give the same bytes. */
#ifndef SR_TENSOR_SAFETENSORS_H
#define SR_TENSOR_SAFETENSORS_H

#include "base/context.h"
#include "tensor/view.h"
#include <stddef.h>
#include <stdint.h>

enum {
    SR_ST_MAX_RANK = 8,
    SR_ST_MAX_TENSORS = 1 << 16,
    SR_ST_MAX_METADATA = 1 << 16, /* strings; the writer's limit */
    SR_ST_MAX_HEADER = 16 << 20   /* bytes */
};

/* Element types on disk; more than sr_dtype, since a file may hold anything. */
typedef enum sr_st_type {
    SR_ST_F64,
    SR_ST_F32,
    SR_ST_F16,
    SR_ST_BF16,
    SR_ST_I64,
    SR_ST_I32,
    SR_ST_I16,
    SR_ST_I8,
    SR_ST_U64,
    SR_ST_U32,
    SR_ST_U16,
    SR_ST_U8,
    SR_ST_BOOL,
    SR_ST_C64,
    SR_ST_F8_E4M3,
    SR_ST_F8_E5M2
} sr_st_type;

/* The format's name for it ("BF16"), and the bytes of one element. */
const char *sr_st_type_name(sr_st_type type);
size_t sr_st_type_bytes(sr_st_type type);
/* The disk type of an in-memory type. */
sr_st_type sr_st_type_of(sr_dtype type);

typedef struct sr_st_tensor {
    const char *name; /* UTF-8 */
    sr_st_type type;
    int rank;                     /* 0: a scalar */
    int64_t dims[SR_ST_MAX_RANK]; /* row-major; a dimension may be 0 */
    int64_t count;                /* elements: the product of dims */
    const void *data;             /* may be unaligned in files of others: read it with memcpy() */
    size_t bytes;
} sr_st_tensor;

/* ---- Reading ---- */

/* An open file; tensors and strings it hands out live until sr_st_close(). Threads may share it. */
typedef struct sr_st_reader sr_st_reader;

/* Maps the file `path`; nothing of the data is read yet. On failure *reader is NULL. */
sartor_status sr_st_open(sartor_context *ctx, const char *path, sr_st_reader **reader);
/* The same over `size` bytes that the caller keeps until sr_st_close(); `name` is for messages. */
sartor_status sr_st_open_memory(sartor_context *ctx, const char *name, const void *data,
                                size_t size, sr_st_reader **reader);
/* Closes *reader and sets it to NULL; NULL is allowed. */
void sr_st_close(sr_st_reader **reader);

/* Tensors by number, in the order of their data. */
int sr_st_count(const sr_st_reader *reader);
const sr_st_tensor *sr_st_at(const sr_st_reader *reader, int i);
/* The tensor `name`, or NULL. */
const sr_st_tensor *sr_st_find(const sr_st_reader *reader, const char *name);
/* The tensor `name` with exactly this type and shape; SARTOR_MISMATCH otherwise, with a message
 * that says what is there instead. */
sartor_status sr_st_expect(sartor_context *ctx, const sr_st_reader *reader, const char *name,
                           sr_st_type type, int rank, const int64_t *dims,
                           const sr_st_tensor **tensor);
/* The metadata string under `key`, or NULL. */
const char *sr_st_metadata(const sr_st_reader *reader, const char *key);

/* ---- Writing ---- */

/* A file being written, in three steps: metadata and declarations, then the data of every tensor in
 * the order of declaration, then sr_st_commit(). Under its final name it appears whole or not at
 * all. After a failed call only sr_st_abandon() makes sense. */
typedef struct sr_st_writer sr_st_writer;

sartor_status sr_st_create(sartor_context *ctx, const char *path, sr_st_writer **writer);
/* Sets a metadata string, UTF-8. "format": "pt" is set already: older loaders demand it. */
sartor_status sr_st_set_metadata(sartor_context *ctx, sr_st_writer *writer, const char *key,
                                 const char *value);
/* Types with wider elements come first, which keeps every tensor aligned to its elements (some
 * loaders refuse others): element sizes must not increase from one declaration to the next. */
sartor_status sr_st_declare(sartor_context *ctx, sr_st_writer *writer, const char *name,
                            sr_st_type type, int rank, const int64_t *dims);
/* Appends bytes to tensor `name`, the first declared one that is not complete. A tensor may come in
 * pieces; one without elements needs no call. */
sartor_status sr_st_write(sartor_context *ctx, sr_st_writer *writer, const char *name,
                          const void *data, size_t bytes);
/* Completes the file and releases *writer, whether it fails or not. */
sartor_status sr_st_commit(sartor_context *ctx, sr_st_writer **writer);
/* Drops the file and releases *writer; NULL is allowed. */
void sr_st_abandon(sr_st_writer **writer);

/* The product of dims in elements; false when it overflows, a dimension is negative or the rank is
 * out of range. Zeros count as 1 for the overflow, so that partial products are safe as well. */
bool sr_st_elements(int rank, const int64_t *dims, int64_t *count);

#endif
