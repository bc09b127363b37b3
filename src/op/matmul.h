/* Matrix products C = sign * op(A) op(B), or C += that: oneDNN's, divided so that they run at the
 * speed of the cache. */
#ifndef SR_OP_MATMUL_H
#define SR_OP_MATMUL_H

#include "base/context.h"
#include "tensor/view.h"

/* A is m x k, B is k x n, C is m x n. A matrix that is `transposed` is stored the other way round:
 * its element (i, j) lies at j * stride + i instead of i * stride + j. Types: A and B both SR_F32
 * or both SR_BF16; C SR_F32 or SR_BF16; sums are f32. */
typedef struct sr_matmul {
    int64_t m, n, k;
    int64_t a_stride, b_stride, c_stride;
    sr_dtype type, c_type;
    bool a_transposed, b_transposed;
    bool add; /* C += instead of C = */
    int sign; /* +1 or -1 */
} sr_matmul;

/* Makes what running the product with `threads` threads needs, unless it is there already. */
sartor_status sr_matmul_prepare(sartor_context *ctx, const sr_matmul *p, int threads);

/* Bytes of scratch that a prepared product needs. */
int64_t sr_matmul_scratch(const sr_matmul *p, int threads);

/* Runs a prepared product with as many OpenMP threads as it was prepared for. `scratch`:
 * sr_matmul_scratch() bytes, 64-byte aligned. */
void sr_matmul_run(const sr_matmul *p, int threads, const void *a, const void *b, void *c,
                   void *scratch);

#endif
