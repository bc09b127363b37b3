/* What sr_growth_create() refuses, or tells to change the function, when it is called with sizes
 * and origins that no request makes: a file that says what it grew from is such a caller. */
#include "context_tools.h"
#include "growth_tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { LIVS = 4 };

/* Arguments of a growth that adds nothing to the model. */
typedef struct arguments {
    sr_genome genome;
    sr_sizes sizes;
    sr_unit_sizes units[LIVS];
    sr_unit_origin origin[LIVS];
} arguments;

static arguments arguments_of(const sr_model *m) {
    arguments a = {.genome = m->genome, .sizes = m->sizes};
    for (int i = 0; i < m->genome.n; i++) {
        a.units[i] = m->units[i].size;
        a.origin[i] = (sr_unit_origin){i, 1, 1};
    }
    return a;
}

static sartor_status create(const sr_model *m, const arguments *a) {
    sr_growth *g;
    const sartor_status status =
        sr_growth_create(ctx, m, &a->genome, &a->sizes, a->units, a->origin, &g);
    assert_true((g != NULL) == (status == SARTOR_OK));
    sr_growth_destroy(&g);
    return status;
}

static void refused(const sr_model *m, const arguments *a, const char *words) {
    if (create(m, a) != SARTOR_INVALID || strstr(sartor_error(ctx), words) == NULL)
        fail_msg("'%s', expected '%s'", sartor_error(ctx), words);
}

static void test_sizes(void **state) {
    (void)state;
    static const char only_width[] = "of a model's sizes only the width grows";
    sr_model *m = growth_model(ctx, "SA-4 GMemless", &growth_sizes);
    const arguments good = arguments_of(m);
    arguments a = good;
    assert_int_equal(create(m, &good), SARTOR_OK);
    a.sizes.head_dim++;
    refused(m, &a, only_width);
    a = good, a.sizes.window++;
    refused(m, &a, only_width);
    a = good, a.sizes.vocab++;
    refused(m, &a, only_width);
    a = good, a.sizes.context++;
    refused(m, &a, only_width);
    a = good, a.sizes.filter_length++;
    refused(m, &a, only_width);
    a = good, a.sizes.tied = !a.sizes.tied;
    refused(m, &a, only_width);
    a = good, a.sizes.head = SR_HEAD_SEQUENCE;
    refused(m, &a, only_width);
    a = good, a.sizes.width--;
    refused(m, &a, "would shrink from 16 to 15");
    a = good, a.units[1].axis[SR_AXIS_FF]--;
    refused(m, &a, "and growth only adds");
    a = good, a.units[0].axis[SR_AXIS_HEAD] = a.units[0].axis[SR_AXIS_KV_HEAD] = 6;
    refused(m, &a, "LIV 1: 4 heads over 2 of keys and values cannot become 6 over 6");
    sr_model_destroy(&m);
}

static void test_origins(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "GMemless GMemless SA-1", &growth_sizes);
    const arguments good = arguments_of(m);
    arguments a = good;
    a.origin[0].unit = 1, a.origin[1].unit = 0;
    refused(m, &a, "out of order");
    a = good, a.origin[1].unit = 0;
    refused(m, &a, "out of order");
    a = good, a.origin[2].unit = -1;
    refused(m, &a, "1 of the model's 3 LIVs are left out");
    a = good, a.genome.liv[1] = a.genome.liv[2], a.units[1] = a.units[2];
    refused(m, &a, "LIV 2: GMemless cannot become SA-1");
    sr_model_destroy(&m);
}

/* A class stays what it is, but that a dense unit may become experts with its nonlinearity. */
static void test_classes(void **state) {
    (void)state;
    int others = 0;
    for (int i = 1; i <= sr_class_count(); i++)
        for (int k = 1; k <= sr_class_count(); k++) {
            const sr_class *from = sr_class_get(i), *to = sr_class_get(k);
            const bool experts =
                strcmp(from->name, "GEGLU") == 0 && strncmp(to->name, "MoE-MLP", 7) == 0;
            if (sr_class_grows_into(from, to) != (i == k || experts))
                fail_msg("%s into %s", from->name, to->name);
            others += experts;
        }
    assert_int_equal(others, 3);
}

static void test_sequence_head(void **state) {
    (void)state;
    sr_sizes sizes = growth_sizes;
    sizes.head = SR_HEAD_SEQUENCE;
    sr_model *m = growth_model(ctx, "SA-1 GMemless", &sizes);
    arguments a = arguments_of(m);
    assert_int_equal(create(m, &a), SARTOR_OK);
    a.units[1].axis[SR_AXIS_FF]++;
    assert_int_equal(create(m, &a), SARTOR_OK);
    a.sizes.width += 2;
    refused(m, &a, "its width cannot grow");
    sr_model_destroy(&m);
}

/* More experts take weight from those there are. They begin with outputs of zero, and routed. */
static void test_more_experts(void **state) {
    (void)state;
    sr_growth *g;
    sr_model *m = growth_model(ctx, "SA-1 MoE-MLP", &growth_sizes);
    arguments a = arguments_of(m);
    a.units[1].axis[SR_AXIS_EXPERT]++;
    assert_int_equal(sr_growth_create(ctx, m, &a.genome, &a.sizes, a.units, a.origin, &g),
                     SARTOR_OK);
    assert_false(g->exact);
    const int out = sr_schema_find(&g->to->schema, "liv.1.out.weight"),
              router = sr_schema_find(&g->to->schema, "liv.1.router.weight");
    assert_true(out >= 0 && router >= 0);
    const sr_growth_change o = sr_growth_of(g, out), r = sr_growth_of(g, router);
    assert_int_equal(o.fresh, m->sizes.width * a.units[1].axis[SR_AXIS_FF]);
    assert_int_equal(o.zero, o.fresh);
    assert_int_equal(r.fresh, m->sizes.width);
    assert_int_equal(r.zero, 0);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_origins, make_context, free_context),
        cmocka_unit_test(test_classes),
        cmocka_unit_test_setup_teardown(test_sequence_head, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_more_experts, make_context, free_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
