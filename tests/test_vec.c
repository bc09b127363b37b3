/* The vector functions of op/vec.h against the C library, on a grid through every binade that
 * matters; compiled once per instruction set. Half precision exhaustively. */
#include "op/vec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { POINTS = 1 << 21 };

/* Points spread over [low, high], VL at a time. */
static vf points(float low, float high, int i) {
    float t[VL];
    for (int k = 0; k < VL; k++)
        t[k] = (float)(low + (double)(i + k) * ((double)high - low) / (POINTS - 1));
    return v_loadf(t);
}
static double worst(double worst_yet, double got, double expected) {
    double error = fabs(got - expected) / fabs(expected);
    return error <= worst_yet ? worst_yet : error; /* NaN counts as worst */
}
static void expect_error(const char *what, double error, double limit) {
    if (!(error <= limit)) fail_msg("%s: relative error %.3g, not %.3g", what, error, limit);
}

static void test_exp(void **state) {
    (void)state;
    const float ranges[][2] = {{-87.3f, 88.3f}, {-1, 1}, {-1e-3f, 1e-3f}};
    double error = 0;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < POINTS; i += VL) {
            vf x = points(ranges[k][0], ranges[k][1], i), y = v_exp(x);
            for (int l = 0; l < VL; l++) error = worst(error, y[l], exp((double)x[l]));
        }
    expect_error("exp", error, 2e-7);
    assert_true(v_exp(v_set(0))[0] == 1);
    assert_true(v_exp(v_set(-88))[0] == 0);
    assert_true(v_exp(v_set(-INFINITY))[0] == 0);
    assert_true(v_exp(v_set(1000))[0] > 2e38f);
    assert_true(isnan(v_exp(v_set(0) * NAN)[0]));
}

static void test_exp2_product(void **state) {
    (void)state;
    double error = 0;
    for (int i = 0; i < POINTS; i += VL) {
        vf x = points(1e-4f, 11.25f, i), y = points(-11, -1e-5f, i), p = v_exp2_product(x, y);
        vf q = v_exp2_product(x * 1e-2f, y);
        for (int l = 0; l < VL; l++) {
            error = worst(error, p[l], exp2((double)x[l] * (double)y[l]));
            error = worst(error, q[l], exp2((double)(x * 1e-2f)[l] * (double)y[l]));
        }
    }
    /* Below AVX-512 the product is rounded: up to 125 * 2^-24 * ln 2. */
    expect_error("2^(x y)", error, VL < 16 ? 6e-6 : 2e-7);
    assert_true(v_exp2_product(v_set(0), v_set(-16))[0] == 1);
    for (float x = 1; x < 1e20f; x *= 7) {
        float tiny = v_exp2_product(v_set(x), v_set(-127))[0];
        assert_true(tiny >= 0 && tiny < 0x1p-124f);
    }
}

static void test_sigmoid_and_softplus(void **state) {
    (void)state;
    double soft = 0, slopes = 0, sigmoid = 0, silu = 0;
    for (int i = 0; i < POINTS; i += VL) {
        vf x = points(-86, 80, i), slope, s = v_softplus(x, &slope), g = v_sigmoid(x);
        vf d = v_silu_slope(x, g);
        for (int l = 0; l < VL; l++) {
            double t = x[l], exact = 1 / (1 + exp(-t));
            soft = worst(soft, s[l], fmax(t, 0) + log1p(exp(-fabs(t))));
            slopes = worst(slopes, slope[l], exact);
            sigmoid = worst(sigmoid, g[l], exact);
            silu = fmax(silu, fabs(d[l] - (exact + t * exact * (1 - exact))));
        }
    }
    expect_error("softplus", soft, 5e-7);
    expect_error("softplus' slope", slopes, 5e-7);
    expect_error("sigmoid", sigmoid, 5e-7);
    assert_true(silu < 1e-6);
    assert_true(v_sigmoid(v_set(-1000))[0] < 1e-37f && v_sigmoid(v_set(1000))[0] == 1);
    assert_true(v_silu(v_set(-1000))[0] > -1e-34f && v_silu(v_set(1000))[0] == 1000);
    assert_true(isnan(v_silu(v_set(0) * NAN)[0]));
}

static void test_recip(void **state) {
    (void)state;
    double error = 0;
    for (int e = -124; e <= 124; e++)
        for (int i = 0; i < 4096; i += VL) {
            vf x = points(1, 2, i * (POINTS / 4096)) * ldexpf(i & 64 ? -1.0f : 1.0f, e);
            vf y = v_recip(x);
            for (int l = 0; l < VL; l++) error = worst(error, y[l], 1 / (double)x[l]);
        }
    expect_error("1/x", error, 2e-7);
}

/* Every half; and every float between two neighbours goes to the nearer, ties to even. */
static void test_half(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = f16_get((f16)h);
        uint32_t exponent = h >> 10 & 31, fraction = h & 1023;
        if (exponent == 31 && fraction > 0) {
            assert_true(isnan(f) && isnan(f16_get(f16_set(f))));
            continue;
        }
        double exact = exponent == 31  ? (double)INFINITY
                       : exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(fraction + 1024, (int)exponent - 25);
        assert_true((double)f == (h >> 15 ? -exact : exact));
        assert_int_equal(f16_set(f), h);
        if (exponent == 31 || (h & 0x7fff) == 0x7bff) continue;
        float next = f16_get((f16)(h + 1)), middle = (f + next) / 2;
        assert_int_equal(f16_set(middle), h & 1 ? h + 1 : h);
        assert_int_equal(f16_set(nextafterf(middle, f)), h);
        assert_int_equal(f16_set(nextafterf(middle, next)), h + 1);
    }
    assert_int_equal(f16_set(65519.996f), 0x7bff);
    assert_int_equal(f16_set(65520), 0x7c00);
    assert_int_equal(f16_set(-1e30f), 0xfc00);
}

int main(void) {
    if (VL * 4 > (16 << sr_isa_active())) return 77; /* skipped: not on this machine */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_exp2_product),
        cmocka_unit_test(test_sigmoid_and_softplus),
        cmocka_unit_test(test_recip),
        cmocka_unit_test(test_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
