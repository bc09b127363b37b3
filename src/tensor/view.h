/* Element types and strided views: how every array is handed around.
 *
 * An activation is a matrix: one row per token (row = sequence * length + position), one column per
 * channel. A view never owns what it points to. */
#ifndef SR_TENSOR_VIEW_H
#define SR_TENSOR_VIEW_H

#include <stddef.h>
#include <stdint.h>

typedef enum sr_dtype { SR_F32, SR_F64, SR_BF16, SR_F16, SR_I32 } sr_dtype;

#ifndef __cplusplus
__extension__ typedef _Float16 sr_half; /* an element of SR_F16 */
#endif

/* Bytes of one element. */
static inline size_t sr_dtype_bytes(sr_dtype type) {
    static const unsigned char bytes[] = {4, 8, 2, 2, 4};
    return bytes[type];
}

/* `rows` rows of `cols` adjacent elements; consecutive rows start `stride` elements apart. */
typedef struct sr_view {
    void *data; /* NULL: absent, or (while planning) not placed yet */
    int64_t rows, cols, stride;
    sr_dtype type;
} sr_view;

/* What an element type is for; the numbers of a run (sr_numbers) turn it into an sr_dtype. */
typedef enum sr_kind {
    SR_ACT,  /* activations between matrix products: f32, f64 on f64 truths, bf16 in bf16 mode */
    SR_REAL, /* residual stream, parameters, statistics, losses: f32, or f64 on f64 truths */
    SR_ID    /* token numbers: i32 */
} sr_kind;

/* Which arithmetic a graph runs on. */
typedef enum sr_numbers {
    SR_TRUTH_F32, /* plain C, f32 */
    SR_TRUTH_F64, /* plain C, f64: finite differences, exact growth */
    SR_FAST_F32,  /* vector kernels and oneDNN, f32 */
    SR_FAST_BF16  /* as above; matrix products in bf16 with f32 accumulation */
} sr_numbers;

static inline sr_dtype sr_kind_type(sr_kind kind, sr_numbers numbers) {
    if (kind == SR_ID) return SR_I32;
    if (numbers == SR_TRUTH_F64) return SR_F64;
    return kind == SR_ACT && numbers == SR_FAST_BF16 ? SR_BF16 : SR_F32;
}

#endif
