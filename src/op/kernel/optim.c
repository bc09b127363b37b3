/* Optimiser kernels. Activations play no part here, so that only the f32 builds carry them. */
#include "op/optim.h"
#include "op/vec.h"

#ifndef SR_ACT_BF16

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

enum { SMALL = 1 << 15 }; /* below this, waking threads costs more than it saves */

/* Moments of parameters that get no gradient (rare tokens) decay into denormals, which cost a
 * hundred cycles each: treat those as zero. Returns what leave_flush() needs. */
static unsigned enter_flush(void) {
#if defined(__SSE2__)
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040u);
    return old;
#else
    return 0;
#endif
}
static void leave_flush(unsigned old) {
#if defined(__SSE2__)
    _mm_setcsr(old);
#else
    (void)old;
#endif
}

typedef struct step {
    float gradient_scale, beta1, rest1, beta2, rest2, keep, rate, root, epsilon;
} step;

static inline float update(const step *s, float param, float gradient, float *restrict m,
                           float *restrict v) {
    float g = gradient * s->gradient_scale;
    *m = *m * s->beta1 + g * s->rest1;
    *v = *v * s->beta2 + g * g * s->rest2;
    return param * s->keep - s->rate * *m / (sqrtf(*v) * s->root + s->epsilon);
}

static void adamw_range(step s, int64_t n, float *restrict param, const float *restrict gradient,
                        float *restrict m, float *restrict v) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) param[i] = update(&s, param[i], gradient[i], m + i, v + i);
}

static void to_bf16_range(const float *restrict x, bf16 *restrict out, int64_t n) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_storeh(out + i, v_loadf(x + i));
    for (; i < n; i++) out[i] = bf16_set(x[i]);
}

void SR_KERNEL(adamw)(const sr_adamw_rule *rule, int64_t n, float *param, const float *gradient,
                      float *m, float *v, uint16_t *copy, int threads) {
    double t = (double)rule->step;
    step s = {
        .gradient_scale = (float)rule->gradient_scale,
        .beta1 = (float)rule->beta1,
        .rest1 = (float)(1 - rule->beta1),
        .beta2 = (float)rule->beta2,
        .rest2 = (float)(1 - rule->beta2),
        .keep = (float)(1 - rule->rate * rule->weight_decay),
        .rate = (float)(rule->rate / (1 - pow(rule->beta1, t))),
        .root = (float)(1 / sqrt(1 - pow(rule->beta2, t))),
        .epsilon = (float)rule->epsilon,
    };
    enum { BLOCK = 2048 }; /* the copy is made while the new parameters are in the cache */
#pragma omp parallel num_threads(n < SMALL ? 1 : threads)
    {
        unsigned old = enter_flush();
        int64_t low, high;
        sr_share(n, BLOCK, &low, &high);
        for (int64_t i = low; i < high; i += BLOCK) {
            int64_t count = high - i < BLOCK ? high - i : BLOCK;
            adamw_range(s, count, param + i, gradient + i, m + i, v + i);
            if (copy != NULL) to_bf16_range(param + i, copy + i, count);
        }
        leave_flush(old);
    }
}

/* At most 32 bytes: the compiler converts wider vectors in pieces. */
#define WIDE (SR_VEC_BYTES > 32 ? 32 : SR_VEC_BYTES)
typedef double vd __attribute__((vector_size(WIDE)));
typedef float half __attribute__((vector_size(WIDE / 2), may_alias, aligned(4)));

static double squares(const float *x, int64_t n) {
    enum { WAYS = 4, HALF = WIDE / 8 };
    vd sums[WAYS] = {{0}};
    int64_t i = 0;
    for (; i + WAYS * HALF <= n; i += WAYS * HALF)
#pragma GCC unroll 4
        for (int k = 0; k < WAYS; k++) {
            vd v = __builtin_convertvector(*(const half *)(x + i + k * HALF), vd);
            sums[k] += v * v;
        }
    vd all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double sum = 0;
    for (int k = 0; k < HALF; k++) sum += all[k];
    for (; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

/* A fixed number of segments, whatever the threads. */
double SR_KERNEL(sum_squares)(const float *x, int64_t n, int threads) {
    enum { SEGMENTS = 128, GRAIN = 1024 };
    double part[SEGMENTS];
    int64_t size = (n / SEGMENTS + GRAIN) / GRAIN * GRAIN;
#pragma omp parallel for num_threads(n < SMALL ? 1 : threads) schedule(static)
    for (int k = 0; k < SEGMENTS; k++) {
        int64_t low = k * size, high = low + size < n ? low + size : n;
        part[k] = low < high ? squares(x + low, high - low) : 0;
    }
    double sum = 0;
    for (int k = 0; k < SEGMENTS; k++) sum += part[k];
    return sum;
}

void SR_KERNEL(to_bf16)(const float *x, uint16_t *out, int64_t n, int threads) {
#pragma omp parallel num_threads(n < SMALL ? 1 : threads)
    {
        int64_t low, high;
        sr_share(n, 64, &low, &high);
        to_bf16_range(x + low, out + low, high - low);
    }
}

#endif
