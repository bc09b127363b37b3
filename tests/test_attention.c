/* What tests/test_ops.c does not reach: attention over half-precision caches whose lengths differ,
 * at any position, with values of other sizes than keys, split among several threads; the cache
 * writer in both types. */
#include "op/op.h"

#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sr_rng rng = {7, SR_FOR_TEST, 0};
static uint64_t drawn;
static int64_t pick(int64_t low, int64_t high) {
    return low + (int64_t)(sr_rng_uniform(rng, drawn++) * (double)(high - low + 1));
}

static float from_bf16(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static uint16_t to_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return (uint16_t)(u >> 16);
}

/* Numbers that f16 and bf16 represent. */
static float *draw(int64_t n) {
    float *x = malloc((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) x[i] = (float)floor(sr_rng_normal(rng, drawn++) * 32) / 32;
    for (int64_t i = 0; i < n; i++) x[i] = from_bf16(to_bf16(x[i]));
    return x;
}
static void *as(const float *x, int64_t n, sr_dtype type) {
    void *p = malloc((size_t)n * 8);
    for (int64_t i = 0; i < n; i++) switch (type) {
        case SR_BF16:
            ((uint16_t *)p)[i] = to_bf16(x[i]);
            break;
        case SR_F16:
            ((sr_half *)p)[i] = (sr_half)x[i];
            break;
        default:
            ((float *)p)[i] = x[i];
            break;
        }
    return p;
}
static float value(const void *p, int64_t i, sr_dtype type) {
    switch (type) {
    case SR_BF16:
        return from_bf16(((const uint16_t *)p)[i]);
    case SR_F16:
        return (float)((const sr_half *)p)[i];
    default:
        return ((const float *)p)[i];
    }
}

/* Runs one variant on the numbers given; returns the output as f32. */
static float *attend(sartor_context *ctx, sr_call c, sr_numbers numbers, sr_kernel kernel,
                     float *const in[3], float *const past[2], int threads) {
    const sr_op *op = sr_op_find("attention");
    c.numbers = numbers;
    c.threads = threads;
    const sr_dtype type = sr_kind_type(SR_ACT, numbers);
    for (int i = 0; i < 3; i++) {
        c.in[i].type = type;
        c.in[i].data = as(in[i], c.in[i].rows * c.in[i].cols, type);
    }
    for (int s = 0; s < 2; s++)
        c.state[s].data =
            as(past[s], c.batch * c.state[s].capacity * c.state[s].width, c.state[s].type);
    if (op->check(ctx, &c) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    const int64_t n = c.out.rows * c.out.cols, bytes = op->scratch(&c, false);
    c.out.data = malloc((size_t)n * 4);
    c.scratch = aligned_alloc(64, (size_t)(bytes + 127) / 64 * 64);
    memset(c.scratch, 0x7f, (size_t)(bytes + 127) / 64 * 64);
    kernel(&c);
    for (int64_t i = bytes; i < (bytes + 127) / 64 * 64; i++)
        if (((unsigned char *)c.scratch)[i] != 0x7f) fail_msg("attention wrote past its scratch");
    float *out = malloc((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) out[i] = value(c.out.data, i, type);
    for (int i = 0; i < 3; i++) free(c.in[i].data);
    for (int s = 0; s < 2; s++) free(c.state[s].data);
    free(c.out.data);
    free(c.scratch);
    return out;
}

static void test_random_states(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    const sr_op *op = sr_op_find("attention");
    const int dims[] = {1, 2, 6, 8, 16, 17, 32, 33, 48, 64, 80};
    for (int round = 0; round < 90; round++) {
        sr_call c = {.batch = pick(1, 3), .length = pick(0, 2) == 0 ? 1 : pick(1, 90)};
        const int KV = (int)pick(1, 3), group = (int)pick(1, 3), hd = dims[pick(0, 10)],
                  vd = pick(0, 2) == 0 ? hd : dims[pick(0, 10)];
        c.position = pick(0, 3) == 0 ? 0 : pick(1, 1300);
        c.attr.attention.heads = KV * group;
        c.attr.attention.kv_heads = KV;
        c.attr.attention.head_dim = hd;
        c.attr.attention.value_dim = vd;
        c.attr.attention.window = pick(0, 1) ? pick(2, 200) : 0;
        c.attr.attention.map = (sr_map_kind)(pick(0, 1) ? SR_MAP_SOFTMAX : pick(1, 4));
        c.attr.attention.scale = 1 / sqrt(hd);
        float *in[3], *past[2];
        for (int i = 0; i < 3; i++) {
            const int64_t cols = (i == 0 ? KV * group : KV) * (i < 2 ? hd : vd),
                          rows = c.batch * c.length;
            c.in[i] = (sr_view){NULL, rows, cols, cols, SR_F32};
            in[i] = draw(rows * cols);
        }
        const int64_t capacity = pick(1, 1400);
        const sr_dtype type = pick(0, 1) ? SR_F16 : SR_F32;
        for (int s = 0; s < 2; s++) {
            c.state[s] = (sr_state){NULL, capacity + s * pick(0, 5), KV * (s == 0 ? hd : vd), type};
            past[s] = draw(c.batch * c.state[s].capacity * c.state[s].width);
        }
        float *truth = attend(ctx, c, SR_TRUTH_F32, op->forward.truth[0], in, past, 1);
        for (int isa = 0; isa <= (int)sr_isa_active(); isa++)
            for (int v = 0; v < 4; v++) {
                float *out = attend(ctx, c, v & 1 ? SR_FAST_BF16 : SR_FAST_F32,
                                    op->forward.fast[isa][v & 1], in, past, v & 2 ? 3 : 1);
                double distance = 0, norm = 0;
                for (int64_t i = 0; i < c.batch * c.length * KV * group * vd; i++) {
                    distance += (out[i] - truth[i]) * (out[i] - truth[i]);
                    norm += truth[i] * truth[i];
                }
                if (!(sqrt(distance) <= (v & 1 ? 1.5e-2 : 3e-5) * sqrt(norm)))
                    fail_msg("round %d, isa %d, variant %d: off by %.3g", round, isa, v,
                             sqrt(distance / norm));
                free(out);
            }
        for (int i = 0; i < 3; i++) free(in[i]);
        for (int s = 0; s < 2; s++) free(past[s]);
        free(truth);
    }
    sartor_context_destroy(&ctx);
}

static void test_cache_write(void **state) {
    (void)state;
    const sr_op *op = sr_op_find("cache_write");
    for (int round = 0; round < 40; round++) {
        const int64_t batch = pick(1, 3), n = pick(1, 100), d = pick(1, 70), capacity = pick(1, 80);
        const sr_dtype type = round & 1 ? SR_F16 : SR_F32;
        float *x = draw(batch * n * d), *before = draw(batch * capacity * d);
        sr_call c = {.batch = batch, .length = n, .position = pick(0, 1000)};
        void *truth = NULL;
        for (int isa = -1; isa <= (int)sr_isa_active(); isa++)
            for (int t = 0; t < (isa < 0 ? 1 : 2); t++) {
                const sr_dtype act = t == 1 ? SR_BF16 : SR_F32;
                c.threads = 1 + t;
                c.in[0] = (sr_view){as(x, batch * n * d, act), batch * n, d, d, act};
                c.state[0] = (sr_state){as(before, batch * capacity * d, type), capacity, d, type};
                (isa < 0 ? op->forward.truth[0] : op->forward.fast[isa][t])(&c);
                free(c.in[0].data);
                if (isa < 0) {
                    truth = c.state[0].data;
                    continue;
                }
                for (int64_t i = 0; i < batch * capacity * d; i++)
                    if (value(truth, i, type) != value(c.state[0].data, i, type))
                        fail_msg("isa %d: element %d of the cache differs", isa, (int)i);
                free(c.state[0].data);
            }
        free(truth);
        free(x);
        free(before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_states),
        cmocka_unit_test(test_cache_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
