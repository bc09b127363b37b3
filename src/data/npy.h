/* Tables of tokens in NumPy's file format (.npy; NumPy's documentation of numpy.lib.format,
 * versions 1.0, 2.0 and 3.0): two dimensions, C order, any integer type of either byte order.
 * Everything in a header is checked against the file's size before it is used. */
#ifndef SR_DATA_NPY_H
#define SR_DATA_NPY_H

#include "base/context.h"
#include "base/file.h"
#include <stddef.h>
#include <stdint.h>

/* More values than this in one file are refused. */
#define SR_NPY_MOST_VALUES ((int64_t)1 << 31)

typedef struct sr_npy {
    char *name; /* for messages */
    int64_t rows, columns;
    int bytes; /* of a value: 1, 2, 4 or 8 */
    bool is_signed, big_endian;
    const unsigned char *data; /* rows x columns values, not aligned */
    sr_map map;                /* what sr_npy_open() mapped */
} sr_npy;

/* Checks the header and finds the values. SARTOR_FORMAT says what is wrong, after the path: not a
 * .npy file, another version, a header that is no dictionary of the format's three keys, a type
 * that is no integer, Fortran order, not two dimensions, too many values, fewer or more bytes than
 * the shape takes. Release with sr_npy_close(). */
sartor_status sr_npy_open(sartor_context *ctx, const char *path, sr_npy *npy);

/* The same for the bytes of a file, which must outlive `npy`; `name` is for messages. */
sartor_status sr_npy_open_memory(sartor_context *ctx, const char *name, const void *bytes,
                                 size_t size, sr_npy *npy);

void sr_npy_close(sr_npy *npy);

/* Writes all values to out[rows * columns]: tokens in 0..vocab-1 (`vocab` at most INT32_MAX) or,
 * where `ignore` is negative, `ignore` itself. SARTOR_FORMAT names the first other value and its
 * place, counted from 0. */
sartor_status sr_npy_tokens(sartor_context *ctx, const sr_npy *npy, int64_t vocab, int32_t ignore,
                            int32_t *out);

/* Writes a table as numpy.save() writes an array of its default integers (version 1.0, int64,
 * little endian). The file is complete, or what it was before. */
sartor_status sr_npy_write(sartor_context *ctx, const char *path, int64_t rows, int64_t columns,
                           const int32_t *values);

#endif
