/* Chooses the optimiser kernels of this machine. */
#include "op/optim.h"
#include "op/op.h"

#define VARIANTS(isa)                                                                              \
    void sr_adamw_f32_##isa(const sr_adamw_rule *, int64_t, float *, const float *, float *,       \
                            float *, uint16_t *, int);                                             \
    void sr_adamw_aged_f32_##isa(const sr_adamw_rule *, const sr_ages *, int64_t, float *,         \
                                 const float *, float *, float *, uint16_t *, int);                \
    double sr_sum_squares_f32_##isa(const float *, int64_t, int);                                  \
    double sr_sum_squares_aged_f32_##isa(const float *, const sr_ages *, int64_t, int);            \
    void sr_to_bf16_f32_##isa(const float *, uint16_t *, int64_t, int);
VARIANTS(base)
VARIANTS(avx2)
VARIANTS(avx512)

void sr_adamw(const sr_adamw_rule *rule, int64_t n, float *param, const float *gradient, float *m,
              float *v, uint16_t *copy, int threads) {
    switch (sr_isa_active()) {
    case SR_ISA_AVX512:
        sr_adamw_f32_avx512(rule, n, param, gradient, m, v, copy, threads);
        break;
    case SR_ISA_AVX2:
        sr_adamw_f32_avx2(rule, n, param, gradient, m, v, copy, threads);
        break;
    default:
        sr_adamw_f32_base(rule, n, param, gradient, m, v, copy, threads);
        break;
    }
}

void sr_adamw_aged(const sr_adamw_rule *rule, const sr_ages *ages, int64_t n, float *param,
                   const float *gradient, float *m, float *v, uint16_t *copy, int threads) {
    switch (sr_isa_active()) {
    case SR_ISA_AVX512:
        sr_adamw_aged_f32_avx512(rule, ages, n, param, gradient, m, v, copy, threads);
        break;
    case SR_ISA_AVX2:
        sr_adamw_aged_f32_avx2(rule, ages, n, param, gradient, m, v, copy, threads);
        break;
    default:
        sr_adamw_aged_f32_base(rule, ages, n, param, gradient, m, v, copy, threads);
        break;
    }
}

double sr_sum_squares(const float *x, int64_t n, int threads) {
    switch (sr_isa_active()) {
    case SR_ISA_AVX512:
        return sr_sum_squares_f32_avx512(x, n, threads);
    case SR_ISA_AVX2:
        return sr_sum_squares_f32_avx2(x, n, threads);
    default:
        return sr_sum_squares_f32_base(x, n, threads);
    }
}

double sr_sum_squares_aged(const float *x, const sr_ages *ages, int64_t n, int threads) {
    switch (sr_isa_active()) {
    case SR_ISA_AVX512:
        return sr_sum_squares_aged_f32_avx512(x, ages, n, threads);
    case SR_ISA_AVX2:
        return sr_sum_squares_aged_f32_avx2(x, ages, n, threads);
    default:
        return sr_sum_squares_aged_f32_base(x, ages, n, threads);
    }
}

void sr_to_bf16(const float *x, uint16_t *out, int64_t n, int threads) {
    switch (sr_isa_active()) {
    case SR_ISA_AVX512:
        sr_to_bf16_f32_avx512(x, out, n, threads);
        break;
    case SR_ISA_AVX2:
        sr_to_bf16_f32_avx2(x, out, n, threads);
        break;
    default:
        sr_to_bf16_f32_base(x, out, n, threads);
        break;
    }
}
