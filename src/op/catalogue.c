/* The catalogue itself: every operator by name, and the choice of kernels for this machine. */
#include "op/op.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define SR_OP_LIST(X) \
    X(linear_attention) \
    X(attention) \
    X(cache_write) \
    X(rope) \
    X(linear) \
    X(unembed_loss) \
    X(unembed_score) \
    X(tail) \
    X(positions) \
    X(position_features) \
    X(sine) \
    X(decay) \
    X(conv) \
    X(embed) \
    X(gate) \
    X(gate_add) \
    X(token_shift) \
    X(shift_mix) \
    X(log_decay) \
    X(activate) \
    X(bias) \
    X(route) \
    X(mix) \
    X(spread) \
    X(gated_conv) \
    X(scan) \
    X(delta_rule) \
    X(long_conv) \
    X(toeplitz_attention) \
    X(gated_linear) \
    X(feature_map) \
    X(softplus) \
    X(rmsnorm) \
    X(head_norm)
/* clang-format on */

#define SR_EXTERN(name) extern const sr_op sr_op_##name;
SR_OP_LIST(SR_EXTERN)
#define SR_ENTRY(name) &sr_op_##name,
const sr_op *const sr_ops[] = {SR_OP_LIST(SR_ENTRY) NULL};

const sr_op *sr_op_find(const char *name) {
    for (const sr_op *const *op = sr_ops; *op != NULL; op++)
        if (strcmp((*op)->name, name) == 0) return *op;
    return NULL;
}

static const char *const isa_names[SR_ISAS] = {"base", "avx2", "avx512"};

const char *sr_isa_name(sr_isa isa) { return isa_names[isa]; }

sr_isa sr_isa_active(void) {
    static int cached = -1; /* racing threads write the same value */
    if (cached >= 0) return (sr_isa)cached;
    sr_isa isa = SR_ISA_BASE;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) isa = SR_ISA_AVX2;
    if (isa == SR_ISA_AVX2 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        isa = SR_ISA_AVX512;
#endif
    const char *wanted = getenv("SARTOR_ISA");
    for (int i = 0; wanted != NULL && i < (int)isa; i++)
        if (strcmp(wanted, isa_names[i]) == 0) isa = (sr_isa)i;
    cached = (int)isa;
    return isa;
}

bool sr_isa_runs(sr_isa isa, bool bf16) {
    if (isa > sr_isa_active()) return false;
#if defined(__x86_64__)
    /* The bf16 kernels of this level convert with AVX512_BF16, which early AVX-512 lacks. */
    if (isa == SR_ISA_AVX512 && bf16) return __builtin_cpu_supports("avx512bf16");
#endif
    return true;
}

sr_kernel sr_kernel_pick(const sr_kernels *kernels, sr_numbers numbers) {
    if (numbers == SR_TRUTH_F32 || numbers == SR_TRUTH_F64)
        return kernels->truth[numbers == SR_TRUTH_F64];
    const bool bf16 = numbers == SR_FAST_BF16;
    sr_isa isa = sr_isa_active();
    if (!sr_isa_runs(isa, bf16)) isa = SR_ISA_AVX2;
    return kernels->fast[isa][bf16];
}

sartor_status sr_expect_shape(sartor_context *ctx, const char *op, const char *what,
                              const sr_view *view, int64_t rows, int64_t cols) {
    if (view->rows == rows && view->cols == cols) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID,
                   "%s: %s is %" PRId64 " x %" PRId64 ", expected %" PRId64 " x %" PRId64, op, what,
                   view->rows, view->cols, rows, cols);
}
