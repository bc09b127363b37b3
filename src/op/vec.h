/* Vectors for the kernels: one source, compiled once per instruction set and activation type.
 *
 * The build defines SR_VEC_BYTES (16, 32, 64), SR_SUFFIX (f32_avx2 ...) and, for bf16 activations,
 * SR_BF16. `act` is the element type of activations; arithmetic is always on f32 vectors. */
#ifndef SR_OP_VEC_H
#define SR_OP_VEC_H

#include "op/op.h"
#include <math.h>
#include <omp.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define SR_PASTE_(a, b) sr_##a##_##b
#define SR_PASTE(a, b)  SR_PASTE_(a, b)
#define SR_KERNEL(f)    SR_PASTE(f, SR_SUFFIX) /* the exported name of this variant of f */

enum { VL = SR_VEC_BYTES / 4 }; /* lanes */

typedef float vf __attribute__((vector_size(SR_VEC_BYTES)));
typedef float vfu __attribute__((vector_size(SR_VEC_BYTES), may_alias, aligned(4)));
typedef int32_t vi __attribute__((vector_size(SR_VEC_BYTES)));
typedef uint32_t vu __attribute__((vector_size(SR_VEC_BYTES)));
typedef uint16_t vh __attribute__((vector_size(SR_VEC_BYTES / 2)));
typedef uint16_t vhu __attribute__((vector_size(SR_VEC_BYTES / 2), may_alias, aligned(2)));

typedef uint16_t bf16;
#ifdef SR_ACT_BF16
typedef bf16 act;
#else
typedef float act;
#endif

static inline float bf16_get(bf16 h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
/* Round to nearest, ties to even; NaN stays NaN. */
static inline bf16 bf16_set(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (bf16)(u >> 16 | 0x40);
    return (bf16)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

/* Half precision, for caches. Rounds to nearest, ties to even; overflows to infinity. */
typedef uint16_t f16;
static inline float f16_get(f16 h) {
    uint32_t u = (uint32_t)(h & 0x7fff) << 13, infinite = (h & 0x7c00) == 0x7c00;
    float f;
    memcpy(&f, &u, 4);
    f *= 0x1p112f; /* the difference of the exponents' biases; right for subnormals too */
    memcpy(&u, &f, 4);
    u = (infinite ? u | 0x7f800000u : u) | (uint32_t)(h & 0x8000) << 16;
    memcpy(&f, &u, 4);
    return f;
}
static inline f16 f16_set(float f) {
    uint32_t u, sign;
    memcpy(&u, &f, 4);
    sign = u >> 16 & 0x8000;
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return (f16)(sign | 0x7e00);
    if (u >= 0x477ff000u) return (f16)(sign | 0x7c00); /* 65520 and more */
    if (u < 0x38800000u) {                             /* subnormal: let the adder round */
        memcpy(&f, &u, 4);
        f += 0.5f;
        memcpy(&u, &f, 4);
        return (f16)(sign | (u - 0x3f000000u));
    }
    return (f16)(sign | (u + 0xfff + (u >> 13 & 1) - 0x38000000u) >> 13);
}

static inline vf v_set(float x) { return x - (vf){0}; }
static inline vf v_loadf(const float *p) { return *(const vfu *)p; }
static inline void v_storef(float *p, vf v) { *(vfu *)p = v; }
static inline vf v_loadh(const bf16 *p) {
    vu u = __builtin_convertvector(*(const vhu *)p, vu) << 16;
    return (vf)u;
}
static inline void v_storeh(bf16 *p, vf v) {
#if defined(__AVX512BF16__)
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    vu u = (vu)v;
    vu r = (u + 0x7fffu + (u >> 16 & 1)) >> 16;
    vu nan = (vu)((u & 0x7fffffffu) > 0x7f800000u);
    r = (nan & (u >> 16 | 0x40)) | (~nan & r);
    *(vhu *)p = __builtin_convertvector(r, vh);
#endif
}

/* IEEE half precision: decode state. */
static inline vf v_loadf16(const sr_half *p) {
#if defined(__AVX512F__)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined(__F16C__)
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#else
    vf v;
    for (int i = 0; i < VL; i++) v[i] = (float)p[i];
    return v;
#endif
}
static inline void v_storef16(sr_half *p, vf v) {
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
#else
    for (int i = 0; i < VL; i++) p[i] = (sr_half)v[i];
#endif
}

static inline float a_get(const act *p) {
#ifdef SR_ACT_BF16
    return bf16_get(*p);
#else
    return *p;
#endif
}
static inline void a_set(act *p, float f) {
#ifdef SR_ACT_BF16
    *p = bf16_set(f);
#else
    *p = f;
#endif
}
static inline vf v_load(const act *p) {
#ifdef SR_ACT_BF16
    return v_loadh(p);
#else
    return v_loadf(p);
#endif
}
static inline void v_store(act *p, vf v) {
#ifdef SR_ACT_BF16
    v_storeh(p, v);
#else
    v_storef(p, v);
#endif
}

/* The first n < VL elements; the other lanes are 0. Masks where there are: a detour over the stack
 * waits for its own stores. */
#if defined(__AVX512F__)
static inline uint16_t v_first(int n) { return (uint16_t)((1u << n) - 1); }
#elif defined(__AVX2__)
static inline __m256i v_first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif
static inline vf v_loadf_n(const float *p, int n) {
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_loadu_ps(v_first(n), p);
#elif defined(__AVX2__)
    return (vf)_mm256_maskload_ps(p, v_first(n));
#else
    float t[VL] = {0};
    memcpy(t, p, (size_t)n * sizeof(float));
    return v_loadf(t);
#endif
}
static inline void v_storef_n(float *p, vf v, int n) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, v_first(n), (__m512)v);
#elif defined(__AVX2__)
    _mm256_maskstore_ps(p, v_first(n), (__m256)v);
#else
    float t[VL];
    v_storef(t, v);
    memcpy(p, t, (size_t)n * sizeof(float));
#endif
}
static inline vf v_load_n(const act *p, int n) {
#if !defined(SR_ACT_BF16)
    return v_loadf_n(p, n);
#elif defined(__AVX512BW__)
    const __m256i h = _mm256_maskz_loadu_epi16(v_first(n), p);
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16);
#else
    act t[VL] = {0};
    memcpy(t, p, (size_t)n * sizeof(act));
    return v_load(t);
#endif
}
static inline void v_store_n(act *p, vf v, int n) {
#if !defined(SR_ACT_BF16)
    v_storef_n(p, v, n);
#else
    act t[VL];
    v_store(t, v);
    memcpy(p, t, (size_t)n * sizeof(act));
#endif
}

static inline vf v_select(vi mask, vf a, vf b) { /* mask lane all ones: a, zero: b */
    return (vf)(((vi)a & mask) | ((vi)b & ~mask));
}
/* b where either is NaN. */
static inline vf v_max(vf a, vf b) {
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return v_select(a > b, a, b);
#endif
}
static inline vf v_min(vf a, vf b) {
#if defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return v_select(a < b, a, b);
#endif
}

/* Sum and maximum over the lanes, in a fixed tree order. */
static inline float v_sum(vf v) {
    float t[VL];
    v_storef(t, v);
    for (int n = VL / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) t[i] += t[i + n];
    return t[0];
}
static inline float v_max_lane(vf v) {
    float t[VL];
    v_storef(t, v);
    for (int n = VL / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) t[i] = t[i] > t[i + n] ? t[i] : t[i + n];
    return t[0];
}

/* 1 / x with relative error below 2e-7; for |x| from 2^-125 to 2^125. */
static inline vf v_recip(vf x) {
#if defined(__AVX512F__)
    vf y = (vf)_mm512_rcp14_ps((__m512)x);
    return y + y * (1.0f - x * y);
#else
    return 1.0f / x;
#endif
}

/* e^x with relative error below 2 ulp-ish (1.5e-7); 0 below -87.3, clamped above 88.3. Cody-Waite
 * reduction and a degree-6 polynomial on [-ln2/2, ln2/2]. NaN stays NaN. */
static inline vf v_exp(vf x) {
    vf low = v_set(-87.33654f), high = v_set(88.37626f);
#if defined(__AVX512F__)
    __mmask16 alive = _mm512_cmp_ps_mask((__m512)x, (__m512)low, _CMP_NLT_UQ);
    vf y = (vf)_mm512_min_ps((__m512)high, (__m512)x); /* the second operand where x is NaN */
#else
    vi dead = x < low;
    vi nan = x != x;
    vf y = v_select(x < high, x, high);
    y = v_select(y > low, y, low);
#endif
    vf t = y * 1.44269504088896341f + 12582912.0f; /* round to nearest integer */
    vf k = t - 12582912.0f;
    vf r = y - k * 0.693359375f;
    r = r - k * -2.12194440e-4f;
    vf p = v_set(1.3930437e-3f);
    p = p * r + 8.3607907e-3f;
    p = p * r + 4.1666608e-2f;
    p = p * r + 1.6666577e-1f;
    p = p * r + 5.0000000e-1f;
    p = p * r * r + r + 1.0f;
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_scalef_ps(alive, (__m512)p, (__m512)k);
#else
    vf e = (vf)((vu)p + ((vu)t << 23));
    e = (vf)((vi)e & ~dead);
    return (vf)(((vi)x & nan) | ((vi)e & ~nan));
#endif
}
static inline vf v_sigmoid(vf x) { return v_recip(1.0f + v_exp(-x)); }
static inline vf v_silu(vf x) { return x * v_sigmoid(x); }
/* d silu(x) / dx, given s = sigmoid(x). */
static inline vf v_silu_slope(vf x, vf s) { return s + x * s * (1.0f - s); }

/* softplus(x) = ln(1 + e^x), and its derivative sigmoid(x) in *slope; relative errors below 5e-7
 * (x > -87). With e = e^-|x|: max(x, 0) + ln(1 + e), ln(1 + e) = 2 artanh(e / (2 + e)) as a
 * polynomial. */
static inline vf v_softplus(vf x, vf *slope) {
    vf zero = {0}, magnitude = v_max(x, -x);
    vf e = v_exp(-magnitude), s = e * v_recip(2.0f + e), z = s * s;
    vf p = v_set(0.281783342f);
    p = p * z + 0.279606029f;
    p = p * z + 0.400249103f;
    p = p * z + 0.666663147f;
    p = p * z + 2.0f;
    vf small = v_recip(1.0f + e);
    *slope = small * v_select(x < zero, e, zero + 1.0f);
    return v_max(x, zero) + s * p;
}

/* 2^(x y) for x y <= 0; 0, or less than 2^-124, where that is less than 2^-125. AVX-512 never
 * rounds x y (it reduces by fused multiply-adds; relative error below 2e-7) and looks 32nds of the
 * exponent up in two registers, which leaves a parabola; the others round x y and use degree 6. */
static inline vf v_exp2_product(vf x, vf y) {
#if defined(__AVX512F__)
    static const float table[32] __attribute__((aligned(64))) = {
        1.000000000f, 1.021897149f, 1.044273782f, 1.067140401f, 1.090507733f, 1.114386743f,
        1.138788635f, 1.163724858f, 1.189207115f, 1.215247360f, 1.241857812f, 1.269050957f,
        1.296839555f, 1.325236643f, 1.354255547f, 1.383909882f, 1.414213562f, 1.445180807f,
        1.476826146f, 1.509164428f, 1.542210825f, 1.575980845f, 1.610490332f, 1.645755478f,
        1.681792831f, 1.718619298f, 1.756252160f, 1.794709075f, 1.834008086f, 1.874167635f,
        1.915206561f, 1.957144124f};
    const __m512 magic = _mm512_set1_ps(393216.0f); /* its unit in the last place is 1/32 */
    __m512 t = _mm512_fmadd_ps((__m512)x, (__m512)y, magic), k = _mm512_sub_ps(t, magic);
    vf r = (vf)_mm512_fmsub_ps((__m512)x, (__m512)y, k);
    vf f = (vf)_mm512_permutex2var_ps(_mm512_load_ps(table), _mm512_castps_si512(t),
                                      _mm512_load_ps(table + 16));
    vf q = r * (r * 0.240232154f + 0.693157687f);
    return (vf)_mm512_scalef_ps((__m512)(f + f * q), k);
#else
    vf e = v_max(v_set(-126), x * y); /* NaN stays */
    vf t = e + 12582912.0f, r = e - (t - 12582912.0f);
    vf p = v_set(1.55000675e-4f);
    p = p * r + 1.33973809e-3f;
    p = p * r + 9.61795460e-3f;
    p = p * r + 5.55033681e-2f;
    p = p * r + 0.240226514f;
    p = p * r + 0.693147200f;
    p = p * r + 1.0f;
    return (vf)((vu)p + ((vu)t << 23));
#endif
}

/* This thread's share [*low, *high) of n items, in blocks of `grain`; call inside a parallel
 * region. */
static inline void sr_share(int64_t n, int64_t grain, int64_t *low, int64_t *high) {
    int64_t blocks = (n + grain - 1) / grain, threads = omp_get_num_threads(),
            t = omp_get_thread_num();
    int64_t a = blocks * t / threads * grain, b = blocks * (t + 1) / threads * grain;
    *low = a < n ? a : n;
    *high = b < n ? b : n;
}

/* Row pointers of views, by element type. */
static inline act *act_row(const sr_view *v, int64_t row) {
    return (act *)v->data + row * v->stride;
}
/* At row r of those below `high`, asks for one that is needed soon: rows that lie apart are not
 * fetched ahead by themselves. */
static inline void act_fetch_ahead(const sr_view *v, int64_t r, int64_t high) {
    const int64_t soon = r + 4;
    for (int64_t i = 0; soon < high && i < v->cols; i += 64 / (int64_t)sizeof(act))
        __builtin_prefetch(act_row(v, soon) + i);
}
static inline float *real_row(const sr_view *v, int64_t row) {
    return (float *)v->data + row * v->stride;
}

#endif
