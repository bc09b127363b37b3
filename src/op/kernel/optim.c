/* Optimiser kernels. Activations play no part here, so that only the f32 builds carry them. */
#include "op/optim.h"
#include "op/vec.h"

#ifndef SR_ACT_BF16

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

enum {
    SMALL = 1 << 15, /* below this, waking threads costs more than it saves */
    BLOCK = 1024,    /* the bf16 copy is made while the new parameters are in the cache */
    MOST_AGES = 256
};

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
    bool frozen;
} step;

static step make_step(const sr_adamw_rule *rule, double rate, int64_t count) {
    double t = (double)count;
    return (step){
        .gradient_scale = (float)rule->gradient_scale,
        .beta1 = (float)rule->beta1,
        .rest1 = (float)(1 - rule->beta1),
        .beta2 = (float)rule->beta2,
        .rest2 = (float)(1 - rule->beta2),
        .keep = (float)(1 - rate * rule->weight_decay),
        .rate = (float)(rate / (1 - pow(rule->beta1, t))),
        .root = (float)(1 / sqrt(1 - pow(rule->beta2, t))),
        .epsilon = (float)rule->epsilon,
    };
}

static inline float update(const step *s, float param, float gradient, float *restrict m,
                           float *restrict v) {
    float g = gradient * s->gradient_scale;
    *m = *m * s->beta1 + g * s->rest1;
    *v = *v * s->beta2 + g * g * s->rest2;
    return param * s->keep - s->rate * *m / (sqrtf(*v) * s->root + s->epsilon);
}

/* Never inlined: one compiled form for every caller, so that an element's bits depend on its place
 * in the block and its step alone. */
__attribute__((noinline)) static void adamw_range(step s, int64_t n, float *restrict param,
                                                  const float *restrict gradient, float *restrict m,
                                                  float *restrict v) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) param[i] = update(&s, param[i], gradient[i], m + i, v + i);
}

static void to_bf16_range(const float *restrict x, bf16 *restrict out, int64_t n) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_storeh(out + i, v_loadf(x + i));
    for (; i < n; i++) out[i] = bf16_set(x[i]);
}

static bool any_of(const uint8_t *generation, int64_t n, int k) {
    int found = 0;
    for (int64_t i = 0; i < n; i++) found |= generation[i] == k;
    return found;
}

/* Every byte is that of its neighbour. */
static bool one_generation(const uint8_t *generation, int64_t n) {
    return n < 2 || memcmp(generation, generation + 1, (size_t)n - 1) == 0;
}

static void pick(float *restrict to, const float *restrict from, const uint8_t *restrict generation,
                 int k, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) to[i] = generation[i] == k ? from[i] : to[i];
}

/* Updates all of the block aside and keeps what is of generation k: with two or three generations
 * in a block that costs less than following their borders. */
static void adamw_among(step s, int64_t n, float *param, const float *gradient, float *m, float *v,
                        const uint8_t *generation, int k) {
    float new_param[BLOCK], new_m[BLOCK], new_v[BLOCK];
    memcpy(new_param, param, (size_t)n * sizeof(float));
    memcpy(new_m, m, (size_t)n * sizeof(float));
    memcpy(new_v, v, (size_t)n * sizeof(float));
    adamw_range(s, n, new_param, gradient, new_m, new_v);
    pick(param, new_param, generation, k, n);
    pick(m, new_m, generation, k, n);
    pick(v, new_v, generation, k, n);
}

/* One block; s[k] is the step of generation k. `generation` NULL: all are of generation 0. */
static void adamw_block(const step *s, int ages, const uint8_t *generation, int64_t n, float *param,
                        const float *gradient, float *m, float *v) {
    if (generation == NULL || one_generation(generation, n)) {
        int k = generation == NULL ? 0 : generation[0];
        if (k < ages && !s[k].frozen) adamw_range(s[k], n, param, gradient, m, v);
        return;
    }
    for (int k = 0; k < ages; k++)
        if (!s[k].frozen && any_of(generation, n, k))
            adamw_among(s[k], n, param, gradient, m, v, generation, k);
}

static void adamw_all(const step *s, int ages, const uint8_t *generation, int64_t n, float *param,
                      const float *gradient, float *m, float *v, uint16_t *copy, int threads) {
#pragma omp parallel num_threads(n < SMALL ? 1 : threads)
    {
        unsigned old = enter_flush();
        int64_t low, high;
        sr_share(n, BLOCK, &low, &high);
        for (int64_t i = low; i < high; i += BLOCK) {
            int64_t count = high - i < BLOCK ? high - i : BLOCK;
            adamw_block(s, ages, generation != NULL ? generation + i : NULL, count, param + i,
                        gradient + i, m + i, v + i);
            if (copy != NULL) to_bf16_range(param + i, copy + i, count);
        }
        leave_flush(old);
    }
}

void SR_KERNEL(adamw)(const sr_adamw_rule *rule, int64_t n, float *param, const float *gradient,
                      float *m, float *v, uint16_t *copy, int threads) {
    step s = make_step(rule, rule->rate, rule->step);
    adamw_all(&s, 1, NULL, n, param, gradient, m, v, copy, threads);
}

void SR_KERNEL(adamw_aged)(const sr_adamw_rule *rule, const sr_ages *ages, int64_t n, float *param,
                           const float *gradient, float *m, float *v, uint16_t *copy, int threads) {
    step s[MOST_AGES];
    for (int k = 0; k < ages->count; k++) {
        s[k] = make_step(rule, ages->age[k].rate, ages->age[k].step);
        s[k].frozen = ages->age[k].frozen;
    }
    adamw_all(s, ages->count, ages->generation, n, param, gradient, m, v, copy, threads);
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

/* The same over what is not frozen, from `first` on: the rest counts as zero. */
static double trained_squares(const float *x, const sr_ages *ages, int64_t first, int64_t n) {
    float trained[BLOCK];
    double sum = 0;
    for (int64_t i = first; i < first + n; i += BLOCK) {
        int64_t count = first + n - i < BLOCK ? first + n - i : BLOCK;
        memset(trained, 0, (size_t)count * sizeof(float));
        for (int k = 0; k < ages->count; k++)
            if (!ages->age[k].frozen) pick(trained, x + i, ages->generation + i, k, count);
        sum += squares(trained, count);
    }
    return sum;
}

/* A fixed number of segments, whatever the threads. `ages` NULL: everything counts. */
static double sum_segments(const float *x, const sr_ages *ages, int64_t n, int threads) {
    enum { SEGMENTS = 128, GRAIN = 1024 };
    double part[SEGMENTS];
    int64_t size = (n / SEGMENTS + GRAIN) / GRAIN * GRAIN;
#pragma omp parallel for num_threads(n < SMALL ? 1 : threads) schedule(static)
    for (int k = 0; k < SEGMENTS; k++) {
        int64_t low = k * size, high = low + size < n ? low + size : n;
        part[k] = low >= high    ? 0
                  : ages == NULL ? squares(x + low, high - low)
                                 : trained_squares(x, ages, low, high - low);
    }
    double sum = 0;
    for (int k = 0; k < SEGMENTS; k++) sum += part[k];
    return sum;
}

double SR_KERNEL(sum_squares)(const float *x, int64_t n, int threads) {
    return sum_segments(x, NULL, n, threads);
}

double SR_KERNEL(sum_squares_aged)(const float *x, const sr_ages *ages, int64_t n, int threads) {
    return sum_segments(x, ages, n, threads);
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
