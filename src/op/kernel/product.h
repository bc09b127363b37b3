/* Small f32 matrix products on blocks that lie in the first caches, and transpositions in and out
 * of such blocks: the inner loops of the attention operators.
 *
 * Blocks are padded: rows to ROWS, lanes to VL, with zeros where a product reads them. */
#ifndef SR_OP_PRODUCT_H
#define SR_OP_PRODUCT_H

#include "op/vec.h"

enum { ROWS = VL == 16 ? 8 : 4 }; /* ROWS x 2 accumulators and their operands fill the registers */

#define SR_INLINE static inline __attribute__((always_inline))

/* c[r][l] (+)= sum over k < n of a[r * rs + k * ks] * b[k * bs + l], for ROWS rows and `vecs`
 * vectors of lanes, with all sums in registers. */
SR_INLINE void product_tile(const int vecs, int64_t n, const float *a, int64_t rs, int64_t ks,
                            const float *b, int64_t bs, float *c, int64_t cs, bool add) {
    vf sum[ROWS][2];
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vecs; v++) sum[r][v] = add ? v_loadf(c + r * cs + v * VL) : v_set(0);
    for (int64_t k = 0; k < n; k++) {
        vf x[2];
#pragma GCC unroll 2
        for (int v = 0; v < vecs; v++) x[v] = v_loadf(b + k * bs + v * VL);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) {
            vf y = v_set(a[r * rs + k * ks]);
#pragma GCC unroll 2
            for (int v = 0; v < vecs; v++) sum[r][v] += y * x[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vecs; v++) v_storef(c + r * cs + v * VL, sum[r][v]);
}

SR_INLINE void product_blocks(int64_t rows, int64_t lanes, int64_t n, const float *a, int64_t rs,
                              int64_t ks, const float *b, int64_t bs, float *c, int64_t cs,
                              bool add) {
    int64_t l = 0;
    for (; l + 2 * VL <= lanes; l += 2 * VL)
        for (int64_t r = 0; r < rows; r += ROWS)
            product_tile(2, n, a + r * rs, rs, ks, b + l, bs, c + r * cs + l, cs, add);
    if (l < lanes)
        for (int64_t r = 0; r < rows; r += ROWS)
            product_tile(1, n, a + r * rs, rs, ks, b + l, bs, c + r * cs + l, cs, add);
}

/* c (+)= a b: a is rows x n with row stride as. */
static __attribute__((noinline, unused)) void product(int64_t rows, int64_t lanes, int64_t n,
                                                      const float *a, int64_t as, const float *b,
                                                      int64_t bs, float *c, int64_t cs, bool add) {
    product_blocks(rows, lanes, n, a, as, 1, b, bs, c, cs, add);
}

/* c (+)= a^T b: a is n x rows with row stride as. */
static __attribute__((noinline, unused)) void product_t(int64_t rows, int64_t lanes, int64_t n,
                                                        const float *a, int64_t as, const float *b,
                                                        int64_t bs, float *c, int64_t cs,
                                                        bool add) {
    product_blocks(rows, lanes, n, a, 1, as, b, bs, c, cs, add);
}

/* Transposes a square of vectors: log2(VL) exchanges of ever larger halves. */
SR_INLINE void v_transpose(vf x[VL]) {
#pragma GCC unroll 4
    for (int w = 1; w < VL; w *= 2) {
        vi low, high;
        for (int e = 0; e < VL; e++) {
            low[e] = e & w ? VL + (e ^ w) : e;
            high[e] = e & w ? VL + e : e ^ w;
        }
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++) {
            if (i & w) continue;
            vf a = x[i], b = x[i + w];
            x[i] = __builtin_shuffle(a, b, low);
            x[i + w] = __builtin_shuffle(a, b, high);
        }
    }
}

/* Copies rows x cols activations (row stride xs) to f32 times `scale`; columns are padded with
 * zeros to `width`, rows to `to_rows`. */
static inline void copy_in(const act *x, int64_t xs, int64_t rows, int64_t cols, float scale,
                           float *y, int64_t width, int64_t to_rows) {
    const int64_t whole = cols / VL * VL;
    for (int64_t r = 0; r < rows; r++, x += xs, y += width) {
        for (int64_t j = 0; j < whole; j += VL) v_storef(y + j, v_load(x + j) * scale);
        for (int64_t j = whole; j < width; j += VL)
            v_storef(y + j, cols - j > 0 ? v_load_n(x + j, (int)(cols - j)) * scale : v_set(0));
    }
    if (rows < to_rows) memset(y, 0, (size_t)((to_rows - rows) * width) * sizeof(float));
}

/* The same transposed: y[column][row], `lanes` (whole vectors) rows with zeros from `rows` on, and
 * columns up to the next multiple of VL. */
static inline void transpose_in(const act *x, int64_t xs, int64_t rows, int64_t cols, float scale,
                                float *y, int64_t lanes) {
    for (int64_t r = 0; r < lanes; r += VL)
        for (int64_t j = 0; j < cols; j += VL) {
            vf v[VL];
            const int n = cols - j < VL ? (int)(cols - j) : VL;
            if (n == VL)
                for (int i = 0; i < VL; i++)
                    v[i] = r + i < rows ? v_load(x + (r + i) * xs + j) * scale : v_set(0);
            else
                for (int i = 0; i < VL; i++)
                    v[i] = r + i < rows ? v_load_n(x + (r + i) * xs + j, n) * scale : v_set(0);
            v_transpose(v);
            for (int i = 0; i < VL; i++) v_storef(y + (j + i) * lanes + r, v[i]);
        }
}

/* Back: y[row][column] (+)= x[column][row] * scale, x with `lanes` rows as above. */
static inline void transpose_out(const float *x, int64_t lanes, int64_t rows, int64_t cols,
                                 float scale, act *y, int64_t ys, bool add) {
    for (int64_t r = 0; r < rows; r += VL)
        for (int64_t j = 0; j < cols; j += VL) {
            vf v[VL];
            const int n = cols - j < VL ? (int)(cols - j) : VL;
            const int m = rows - r < VL ? (int)(rows - r) : VL;
            for (int i = 0; i < VL; i++) v[i] = v_loadf(x + (j + i) * lanes + r) * scale;
            v_transpose(v);
            act *to = y + r * ys + j;
            if (n == VL)
                for (int i = 0; i < m; i++, to += ys) v_store(to, add ? v_load(to) + v[i] : v[i]);
            else
                for (int i = 0; i < m; i++, to += ys)
                    v_store_n(to, add ? v_load_n(to, n) + v[i] : v[i], n);
        }
}

/* Rows of f32 back to activations: y (+)= x * scale. */
static inline void copy_out(const float *x, int64_t width, int64_t rows, int64_t cols, float scale,
                            act *y, int64_t ys, bool add) {
    const int64_t whole = cols / VL * VL;
    for (int64_t r = 0; r < rows; r++, x += width, y += ys) {
        for (int64_t j = 0; j < whole; j += VL) {
            vf v = v_loadf(x + j) * scale;
            v_store(y + j, add ? v_load(y + j) + v : v);
        }
        for (int64_t j = whole; j < cols; j++)
            a_set(y + j, x[j] * scale + (add ? a_get(y + j) : 0));
    }
}

#endif
