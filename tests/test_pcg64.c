/* The random numbers of NumPy 1.24, as numpy.random.default_rng() gave them there. tests/numpy
 * draws longer streams side by side with the NumPy that is installed. */
#include "base/pcg64.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void test_seeds(void **state) {
    (void)state;
    static const struct {
        uint64_t entropy[2];
        int count;
        uint64_t raw[3];
        double uniform;
    } known[] = {
        {{12345},
         1,
         {0x3a32b18db2ffc19d, 0x51171315c9e4c4de, 0xcc2024823444efd9},
         0x1.5a3e0d5d490ddp-1},
        {{0},
         1,
         {0xa30febcfd9c2825f, 0x4510bdf882d9d721, 0x0a7d3da94ecde8b8},
         0x1.0ec9ed84d0bc0p-6},
        {{UINT32_MAX},
         1,
         {0x407f5fa930d8fd9f, 0x3814b22eb9684802, 0x498b7dcee8d8dc95},
         0x1.3ceb1e066d3d0p-1},
        {{(uint64_t)1 << 32},
         1,
         {0xe3c5ebe285ac1625, 0x8ea09968fe31dbcc, 0xcd084ff84d8de9be},
         0x1.e9bc2dd875173p-1},
        {{9223372036854788153u},
         1,
         {0x7e82ff06e5a17e1c, 0x9375de147f211adb, 0x0aee1bf0359cb9d2},
         0x1.ba5a2688581d9p-1},
        {{12345, 1},
         2,
         {0x7a4dc915bd3a7cfe, 0x35879f2df6cc90c6, 0xf2a53c59a0a3d7a1},
         0x1.e3bbd8cc72d1cp-2},
        {{1099511627776, 8589934599},
         2,
         {0xd40fb06639e651a0, 0x8aed0f76a88b637d, 0x5cfed9932381f2c1},
         0x1.cc57e898bd68ap-1},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        sr_pcg64 rng;
        sr_pcg64_seed(&rng, known[i].entropy, known[i].count);
        for (int k = 0; k < 3; k++) assert_int_equal(sr_pcg64_u64(&rng), known[i].raw[k]);
        assert_true(sr_pcg64_uniform(&rng) == known[i].uniform);
    }
}

/* integers(0, n) for growing n in one stream: halves, whole numbers, a spare half kept meanwhile,
 * and none for n = 1. */
static void test_bounded(void **state) {
    (void)state;
    static const uint64_t most[] = {0,
                                    1,
                                    2,
                                    9,
                                    (1u << 16) - 1,
                                    1u << 31,
                                    UINT32_MAX - 1,
                                    UINT32_MAX,
                                    (uint64_t)1 << 32,
                                    ((uint64_t)1 << 40) + 2,
                                    INT64_MAX - 1,
                                    6,
                                    UINT64_MAX};
    static const uint64_t drawn[] = {0,
                                     1,
                                     0,
                                     7,
                                     20759,
                                     438466540,
                                     3424658561,
                                     2760304912,
                                     1679802729,
                                     365932783575,
                                     5518424227241521869,
                                     4,
                                     3444637731644279391};
    sr_pcg64 rng;
    sr_pcg64_seed(&rng, &(uint64_t){12345}, 1);
    for (size_t i = 0; i < sizeof most / sizeof most[0]; i++)
        assert_int_equal(sr_pcg64_up_to(&rng, most[i]), drawn[i]);
    assert_true(sr_pcg64_uniform(&rng) == 0x1.58737aee75513p-1);
    assert_int_equal(sr_pcg64_choice(&rng, 5), 3);

    static const int32_t order[10] = {8, 0, 6, 2, 4, 1, 3, 7, 5, 9};
    int32_t items[10];
    for (int i = 0; i < 10; i++) items[i] = i;
    sr_pcg64_shuffle(&rng, items, 10);
    assert_memory_equal(items, order, sizeof items);
    assert_int_equal(sr_pcg64_choice(&rng, 1000), 697);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
