/* Matrix products, however they are divided among threads and slices, against plain sums in double;
 * nothing beside the result and the scratch is written. */
#include "op/matmul.h"

#include "base/context.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PADDING = 3, GUARD = 64 };
static const uint8_t MARK = 0xa5;

static float rounded(float x) { /* to what bf16 holds, by cutting */
    uint32_t u;
    memcpy(&u, &x, 4);
    u &= 0xffff0000u;
    memcpy(&x, &u, 4);
    return x;
}

/* Element i of values between -1 and 1 that bf16 holds exactly. */
static float value(uint32_t which, int64_t i) {
    const uint32_t mixed = ((uint32_t)i + which * 40503u) * 2654435761u;
    return rounded((float)(int32_t)mixed / 2147483648.0f);
}

static void put(void *to, sr_dtype type, int64_t i, float x) {
    if (type == SR_F32) {
        ((float *)to)[i] = x;
        return;
    }
    uint32_t u;
    memcpy(&u, &x, 4);
    ((uint16_t *)to)[i] = (uint16_t)(u >> 16);
}

static float get(const void *from, sr_dtype type, int64_t i) {
    if (type == SR_F32) return ((const float *)from)[i];
    uint32_t u = (uint32_t)((const uint16_t *)from)[i] << 16;
    float x;
    memcpy(&x, &u, 4);
    return x;
}

/* rows x columns with PADDING behind every row, and marked bytes behind everything. */
typedef struct matrix {
    void *data;
    int64_t stride, count;
    size_t bytes;
} matrix;

static matrix matrix_make(int64_t rows, int64_t columns, sr_dtype type, uint32_t which) {
    matrix m = {.stride = columns + PADDING, .count = rows * (columns + PADDING)};
    m.bytes = (size_t)m.count * sr_dtype_bytes(type);
    m.data = aligned_alloc(64, (m.bytes + GUARD + 63) / 64 * 64);
    assert_non_null(m.data);
    for (int64_t i = 0; i < m.count; i++) put(m.data, type, i, value(which, i));
    memset((char *)m.data + m.bytes, MARK, GUARD);
    return m;
}

static void guarded(const void *data, size_t bytes) {
    const uint8_t *at = (const uint8_t *)data + bytes;
    for (int i = 0; i < GUARD; i++) assert_int_equal(at[i], MARK);
}

/* op(A) op(B) in double. */
static double *sums_of(const sr_matmul *p, const matrix *a, const matrix *b) {
    double *sums = calloc((size_t)(p->m * p->n), sizeof *sums);
    assert_non_null(sums);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t k = 0; k < p->k; k++) {
            const double x = (double)get(a->data, p->type,
                                         p->a_transposed ? k * a->stride + i : i * a->stride + k);
            for (int64_t j = 0; j < p->n; j++)
                sums[i * p->n + j] +=
                    x * (double)get(b->data, p->type,
                                    p->b_transposed ? j * b->stride + k : k * b->stride + j);
        }
    return sums;
}

static void compare(sartor_context *ctx, const sr_matmul *p, int threads, const matrix *a,
                    const matrix *b, const double *sums) {
    matrix c = matrix_make(p->m, p->n, p->c_type, 3),
           before = matrix_make(p->m, p->n, p->c_type, 3);
    assert_int_equal(sr_matmul_prepare(ctx, p, threads), SARTOR_OK);
    const size_t bytes = (size_t)sr_matmul_scratch(p, threads);
    void *scratch = aligned_alloc(64, (bytes + GUARD + 63) / 64 * 64);
    assert_non_null(scratch);
    memset((char *)scratch + bytes, MARK, GUARD);
    sr_matmul_run(p, threads, a->data, b->data, c.data, scratch);
    guarded(scratch, bytes);
    guarded(c.data, c.bytes);
    const double within = 1e-4 + (p->c_type == SR_BF16 ? 8e-3 : 0);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < c.stride; j++) {
            const double is = (double)get(c.data, p->c_type, i * c.stride + j);
            const double was = (double)get(before.data, p->c_type, i * c.stride + j);
            if (j >= p->n) { /* between the rows */
                assert_true(is == was);
                continue;
            }
            const double sum = p->sign * sums[i * p->n + j] + (p->add ? was : 0);
            if (!(fabs(is - sum) <= within * (sqrt((double)p->k) + fabs(sum))))
                fail_msg("%ld x %ld x %ld, %d threads: (%ld, %ld) is %g, not %g", (long)p->m,
                         (long)p->n, (long)p->k, threads, (long)i, (long)j, is, sum);
        }
    free(scratch);
    free(c.data);
    free(before.data);
}

static void every_way(sartor_context *ctx, sr_matmul p) {
    matrix a = matrix_make(p.a_transposed ? p.k : p.m, p.a_transposed ? p.m : p.k, p.type, 1);
    matrix b = matrix_make(p.b_transposed ? p.n : p.k, p.b_transposed ? p.k : p.n, p.type, 2);
    double *sums = sums_of(&p, &a, &b);
    p.a_stride = a.stride, p.b_stride = b.stride, p.c_stride = p.n + PADDING;
    for (int threads = 1; threads <= 3; threads++)
        for (int way = 0; way < 4; way++) {
            p.add = way & 1, p.sign = way & 2 ? -1 : 1;
            compare(ctx, &p, threads, &a, &b, sums);
        }
    free(sums);
    free(a.data);
    free(b.data);
}

/* The three products of a linear layer with `rows` tokens. */
static void linear(sartor_context *ctx, int64_t rows, int64_t in, int64_t out, sr_dtype type) {
    const sr_matmul y = {.m = rows, .n = out, .k = in, .type = type, .c_type = type};
    sr_matmul forward = y, dx = y, dw = y;
    forward.b_transposed = true;
    dx.n = in, dx.k = out;
    dw.m = out, dw.n = in, dw.k = rows, dw.a_transposed = true, dw.c_type = SR_F32;
    every_way(ctx, forward);
    every_way(ctx, dx);
    every_way(ctx, dw);
}

static void products(void **state) {
    static const struct {
        int64_t rows, in, out;
    } sizes[] = {{5, 7, 3}, {130, 33, 70}, {513, 5, 9}, {1100, 6, 600}, {1537, 3, 1030}};
    (void)state;
    sartor_context *ctx = sartor_context_create();
    assert_non_null(ctx);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        linear(ctx, sizes[i].rows, sizes[i].in, sizes[i].out, SR_F32);
        linear(ctx, sizes[i].rows, sizes[i].in, sizes[i].out, SR_BF16);
    }
    sartor_context_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
