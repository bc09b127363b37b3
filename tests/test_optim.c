/* The optimiser kernels against plain double arithmetic, on every instruction set of this machine.
 */
#include "op/op.h"
#include "op/optim.h"

#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The dispatched functions, and the variants of each instruction set. */
typedef struct variant {
    void (*adamw)(const sr_adamw_rule *, int64_t, float *, const float *, float *, float *,
                  uint16_t *, int);
    void (*adamw_aged)(const sr_adamw_rule *, const sr_ages *, int64_t, float *, const float *,
                       float *, float *, uint16_t *, int);
    double (*sum_squares)(const float *, int64_t, int);
    double (*sum_squares_aged)(const float *, const sr_ages *, int64_t, int);
    void (*to_bf16)(const float *, uint16_t *, int64_t, int);
} variant;
#define DECLARE(isa)                                                                               \
    void sr_adamw_f32_##isa(const sr_adamw_rule *, int64_t, float *, const float *, float *,       \
                            float *, uint16_t *, int);                                             \
    void sr_adamw_aged_f32_##isa(const sr_adamw_rule *, const sr_ages *, int64_t, float *,         \
                                 const float *, float *, float *, uint16_t *, int);                \
    double sr_sum_squares_f32_##isa(const float *, int64_t, int);                                  \
    double sr_sum_squares_aged_f32_##isa(const float *, const sr_ages *, int64_t, int);            \
    void sr_to_bf16_f32_##isa(const float *, uint16_t *, int64_t, int);
#define ENTRY(isa)                                                                                 \
    {                                                                                              \
        sr_adamw_f32_##isa, sr_adamw_aged_f32_##isa, sr_sum_squares_f32_##isa,                     \
            sr_sum_squares_aged_f32_##isa, sr_to_bf16_f32_##isa                                    \
    }
DECLARE(base)
DECLARE(avx2)
DECLARE(avx512)
static const variant variants[] = {
    {sr_adamw, sr_adamw_aged, sr_sum_squares, sr_sum_squares_aged, sr_to_bf16},
    ENTRY(base),
    ENTRY(avx2),
    ENTRY(avx512)};
static const variant *use; /* the one under test */

enum { MOST = 70001, GUARD = 32 };
static const int64_t sizes[] = {0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 1000, 4099, 40007, MOST};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* n normals, then GUARD marks. */
static float *numbers(int64_t n, uint64_t seed) {
    float *x = malloc((size_t)(n + GUARD) * sizeof *x);
    assert_non_null(x);
    sr_rng rng = {seed, SR_FOR_TEST, 0};
    for (int64_t i = 0; i < n; i++) x[i] = (float)sr_rng_normal(rng, (uint64_t)i);
    for (int64_t i = n; i < n + GUARD; i++) x[i] = 77;
    return x;
}
static void check_guard(const float *x, int64_t n) {
    for (int64_t i = n; i < n + GUARD; i++) assert_true(x[i] == 77);
}
static float from_bf16(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
/* Independent of the kernels' bit trick: the nearer of the two neighbours, ties to the even one. */
static uint16_t nearest_bf16(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    uint16_t down = (uint16_t)(u >> 16), up = (uint16_t)(down + 1);
    if (isinf(x)) return down;
    double below = fabs((double)x - (double)from_bf16(down));
    double above = (up & 0x7fff) == 0x7f80 ? ldexp(1, 128) - fabs((double)x)
                                           : fabs((double)from_bf16(up) - (double)x);
    return below < above || (below == above && !(down & 1)) ? down : up;
}

static void test_adamw(void **state) {
    (void)state;
    for (int k = 0; k < SIZES; k++)
        for (int threads = 1; threads <= 3; threads++) {
            int64_t n = sizes[k];
            sr_adamw_rule rule = {.rate = 3e-3,
                                  .beta1 = 0.9,
                                  .beta2 = 0.95,
                                  .epsilon = 1e-8,
                                  .weight_decay = 0.1,
                                  .gradient_scale = 0.37};
            float *p = numbers(n, 1), *m = numbers(n, 0), *v = numbers(n, 0);
            memset(m, 0, (size_t)n * sizeof *m);
            memset(v, 0, (size_t)n * sizeof *v);
            uint16_t *copy = calloc((size_t)n + GUARD, sizeof *copy);
            double *exact = malloc((size_t)(3 * n + 1) * sizeof *exact);
            for (int64_t i = 0; i < n; i++) {
                exact[3 * i] = (double)p[i];
                exact[3 * i + 1] = exact[3 * i + 2] = 0;
            }
            for (rule.step = 1; rule.step <= 5; rule.step++) {
                float *g = numbers(n, (uint64_t)rule.step + 10);
                use->adamw(&rule, n, p, g, m, v, rule.step == 5 ? copy : NULL, threads);
                for (int64_t i = 0; i < n; i++) {
                    double *e = exact + 3 * i, d = (double)g[i] * rule.gradient_scale;
                    e[1] = rule.beta1 * e[1] + (1 - rule.beta1) * d;
                    e[2] = rule.beta2 * e[2] + (1 - rule.beta2) * d * d;
                    double m_hat = e[1] / (1 - pow(rule.beta1, (double)rule.step));
                    double v_hat = e[2] / (1 - pow(rule.beta2, (double)rule.step));
                    e[0] -= rule.rate *
                            (m_hat / (sqrt(v_hat) + rule.epsilon) + rule.weight_decay * e[0]);
                }
                free(g);
            }
            for (int64_t i = 0; i < n; i++) {
                assert_true(fabs((double)p[i] - exact[3 * i]) < 1e-6 * (1 + fabs(exact[3 * i])));
                assert_true(fabs((double)m[i] - exact[3 * i + 1]) < 1e-6);
                assert_true(fabs((double)v[i] - exact[3 * i + 2]) < 1e-6);
                assert_int_equal(copy[i], nearest_bf16(p[i]));
            }
            for (int64_t i = n; i < n + GUARD; i++) assert_int_equal(copy[i], 0);
            check_guard(p, n);
            check_guard(m, n);
            check_guard(v, n);
            free(p);
            free(m);
            free(v);
            free(copy);
            free(exact);
        }
}

/* Moments without gradients decay to zero and stay finite; a NaN gradient is not hidden. */
static void test_adamw_edges(void **state) {
    (void)state;
    sr_adamw_rule rule = {
        .rate = 1e-3, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .gradient_scale = 1};
    float p[19], g[19] = {0}, m[19], v[19];
    for (int i = 0; i < 19; i++) p[i] = m[i] = v[i] = 1;
    for (rule.step = 1; rule.step <= 3000; rule.step++) use->adamw(&rule, 19, p, g, m, v, NULL, 1);
    for (int i = 0; i < 19; i++) {
        assert_true(isfinite(p[i]));
        assert_true(m[i] == 0 && v[i] == 0);
    }
    g[5] = g[18] = NAN;
    use->adamw(&rule, 19, p, g, m, v, NULL, 1);
    for (int i = 0; i < 19; i++) assert_int_equal(isnan(p[i]) != 0, i == 5 || i == 18);
}

/* ---- ages ---- */

enum { AGES = 4, NO_AGE = 200 };
static const sr_age ages[AGES] = {{.rate = 3e-3, .step = 90},
                                  {.rate = 1e-2, .step = 1},
                                  {.frozen = true},
                                  {.rate = 2e-4, .step = 7}};

/* Generations as growth leaves them: all old, rows with a new end, whole new rows, pairs in turn,
 * no order, and numbers without an age. */
enum { PATTERNS = 6 };
static uint8_t *generations(int64_t n, int pattern) {
    uint8_t *g = malloc((size_t)n + 1);
    assert_non_null(g);
    sr_rng rng = {9, SR_FOR_TEST, 0};
    for (int64_t i = 0; i < n; i++) {
        const uint8_t by_pattern[PATTERNS] = {0,
                                              i % 37 >= 29,
                                              (uint8_t)(i / 5000 % AGES),
                                              i / 2 % 2 ? 3 : 0,
                                              (uint8_t)sr_rng_below(rng, (uint64_t)i, AGES),
                                              i % 3 == 0 ? NO_AGE : 1};
        g[i] = by_pattern[pattern];
    }
    return g;
}

typedef struct entries {
    float *p, *m, *v;
    uint16_t *copy;
} entries;

static entries new_entries(int64_t n) {
    entries s = {numbers(n, 1), numbers(n, 2), numbers(n, 3), NULL};
    for (int64_t i = 0; i < n; i++) s.v[i] *= s.v[i];
    s.copy = calloc((size_t)n + GUARD, sizeof *s.copy);
    use->to_bf16(s.p, s.copy, n, 1);
    return s;
}

static void *clone(const void *from, size_t bytes) {
    void *to = malloc(bytes);
    assert_non_null(to);
    return memcpy(to, from, bytes);
}

static entries clone_entries(const entries *s, int64_t n) {
    const size_t room = (size_t)n + GUARD;
    return (entries){clone(s->p, room * sizeof *s->p), clone(s->m, room * sizeof *s->m),
                     clone(s->v, room * sizeof *s->v), clone(s->copy, room * sizeof *s->copy)};
}

static void free_entries(entries *s) {
    free(s->p);
    free(s->m);
    free(s->v);
    free(s->copy);
}

static void same_entry(const entries *a, const entries *b, int64_t i) {
    assert_memory_equal(a->p + i, b->p + i, sizeof *a->p);
    assert_memory_equal(a->m + i, b->m + i, sizeof *a->m);
    assert_memory_equal(a->v + i, b->v + i, sizeof *a->v);
    assert_int_equal(a->copy[i], b->copy[i]);
}

/* Bit for bit: an entry becomes what the plain update with its rate and step makes of it, or stays.
 */
static void check_aged(int64_t n, const uint8_t *generation, int threads, const float *g,
                       const entries *still, const entries plain[AGES]) {
    const sr_adamw_rule rule = {.rate = NAN, /* replaced, as the step */
                                .beta1 = 0.9,
                                .beta2 = 0.95,
                                .epsilon = 1e-8,
                                .weight_decay = 0.1,
                                .gradient_scale = 0.37};
    const sr_ages all = {generation, ages, AGES};
    entries s = clone_entries(still, n);
    use->adamw_aged(&rule, &all, n, s.p, g, s.m, s.v, s.copy, threads);
    for (int64_t i = 0; i < n; i++)
        same_entry(&s, generation[i] < AGES ? &plain[generation[i]] : still, i);
    for (int64_t i = n; i < n + GUARD; i++) assert_int_equal(s.copy[i], 0);
    check_guard(s.p, n);
    check_guard(s.m, n);
    check_guard(s.v, n);
    free_entries(&s);
}

static void test_adamw_aged(void **state) {
    (void)state;
    for (int c = 0; c < SIZES; c++) {
        const int64_t n = sizes[c];
        float *g = numbers(n, 4);
        entries still = new_entries(n), plain[AGES];
        for (int k = 0; k < AGES; k++) {
            const sr_adamw_rule rule = {ages[k].rate, 0.9, 0.95, 1e-8, 0.1, 0.37, ages[k].step};
            entries *e = &plain[k];
            *e = clone_entries(&still, n);
            if (!ages[k].frozen) use->adamw(&rule, n, e->p, g, e->m, e->v, e->copy, 1);
        }
        for (int pattern = 0; pattern < PATTERNS; pattern++) {
            uint8_t *generation = generations(n, pattern);
            for (int threads = 1; threads <= 3; threads++)
                check_aged(n, generation, threads, g, &still, plain);
            free(generation);
        }
        for (int k = 0; k < AGES; k++) free_entries(&plain[k]);
        free_entries(&still);
        free(g);
    }
}

static void test_sum_squares_aged(void **state) {
    (void)state;
    for (int c = 0; c < SIZES * PATTERNS; c++) {
        const int64_t n = sizes[c / PATTERNS];
        uint8_t *generation = generations(n, c % PATTERNS);
        const sr_ages all = {generation, ages, AGES};
        float *x = numbers(n, 5);
        double sum = 0;
        int64_t last = -1;
        for (int64_t i = 0; i < n; i++) {
            if (generation[i] >= AGES || ages[generation[i]].frozen) {
                x[i] = NAN; /* nobody looks */
                continue;
            }
            sum += (double)x[i] * (double)x[i];
            last = i;
        }
        double first = use->sum_squares_aged(x, &all, n, 1);
        assert_true(fabs(first - sum) <= 1e-13 * sum);
        for (int threads = 2; threads <= 4; threads++)
            assert_true(use->sum_squares_aged(x, &all, n, threads) == first);
        if (last >= 0) x[last] = NAN;
        assert_true(last < 0 || isnan(use->sum_squares_aged(x, &all, n, 2)));
        free(x);
        free(generation);
    }
}

static void test_sum_squares(void **state) {
    (void)state;
    for (int k = 0; k < SIZES; k++) {
        int64_t n = sizes[k];
        float *x = numbers(n, 3);
        double sum = 0, first = use->sum_squares(x, n, 1);
        for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
        assert_true(fabs(first - sum) <= 1e-13 * sum);
        for (int threads = 1; threads <= 4; threads++)
            assert_true(use->sum_squares(x, n, threads) == first);
        for (int64_t i = 0; i < n; i += n / 7 + 1) {
            float keep = x[i];
            x[i] = NAN;
            assert_true(isnan(use->sum_squares(x, n, 2)));
            x[i] = INFINITY;
            assert_true(isinf(use->sum_squares(x, n, 2)));
            x[i] = 1e30f; /* its square is no f32 */
            assert_true(isfinite(use->sum_squares(x, n, 2)));
            x[i] = keep;
        }
        free(x);
    }
}

static void test_to_bf16(void **state) {
    (void)state;
    const uint32_t special[] = {0x00000000, 0x80000000, 0x3f808000, 0x3f818000, 0x3f808001,
                                0x3f807fff, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
                                0x00000001, 0x00008001, 0x7f7f7fff};
    for (int k = 0; k < SIZES; k++) {
        int64_t n = sizes[k];
        float *x = numbers(n, 4);
        for (int64_t i = 0; i < n && i < (int64_t)(sizeof special / 4); i++)
            memcpy(x + n - 1 - i, special + i, 4);
        uint16_t *out = calloc((size_t)n + GUARD, sizeof *out);
        use->to_bf16(x, out, n, 2);
        for (int64_t i = 0; i < n; i++) assert_int_equal(out[i], nearest_bf16(x[i]));
        for (int64_t i = n; i < n + GUARD; i++) assert_int_equal(out[i], 0);
        const uint32_t nans[] = {0x7f800001, 0xffffffff, 0x7fc00000};
        for (int64_t i = 0; i < n; i++) memcpy(x + i, nans + i % 3, 4);
        use->to_bf16(x, out, n, 2);
        for (int64_t i = 0; i < n; i++) assert_true(isnan(from_bf16(out[i])));
        free(x);
        free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_adamw_edges),
        cmocka_unit_test(test_adamw_aged),
        cmocka_unit_test(test_sum_squares),
        cmocka_unit_test(test_sum_squares_aged),
        cmocka_unit_test(test_to_bf16),
    };
    int failed = 0;
    for (int i = 0; i <= 1 + (int)sr_isa_active(); i++) {
        use = &variants[i];
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
