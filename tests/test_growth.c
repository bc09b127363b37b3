/* Growth keeps what a model computes: every class, every axis, odd sizes, any order; the way back,
 * moments, and what is refused. */
#include "context_tools.h"
#include "growth_tools.h"

#include "base/rng.h"
#include "model/architecture.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_fixed(const sr_model *m, sr_axis_kind kind) {
    for (int i = 0; i < m->genome.n; i++)
        if (m->units[i].size.axis[kind] > 0 && sr_unit_fixed(m->units[i].class_, kind) != NULL)
            return true;
    return false;
}

/* Values behind a norm that takes away the mean are filled with averages. */
static bool averages(const sr_model *m, sr_axis_kind kind) {
    if (kind != SR_AXIS_VALUE) return false;
    for (int i = 0; i < m->genome.n; i++)
        if (m->units[i].class_->family == SR_FAMILY_RWKV) return true;
    return false;
}

/* An axis that no rule keeps exact, by so many as fit what is repeated or grouped along it. */
static sr_growth *grow_fixed(const sr_model *m, const char *arch, const sr_growth_size *size) {
    char request[64];
    snprintf(request, sizeof request, "%s=+2", size->name);
    sr_growth *g = growth_of(ctx, m, request, true);
    if (g != NULL) return g;
    snprintf(request, sizeof request, "%s=+16", size->name);
    return growth_must(ctx, m, arch, request, true);
}

/* Every LIV that has the axis grows by `more`; a row of the genome's table at a time. */
static void grow_one_axis(const char *arch, const sr_growth_size *size, const char *value) {
    sr_model *m = growth_model(ctx, arch, &growth_sizes);
    char request[64];
    snprintf(request, sizeof request, "%s=%s", size->name, value);
    if (growth_has_axis(m, size->axis)) {
        sr_growth *g = growth_of(ctx, m, request, false);
        if (is_fixed(m, size->axis)) {
            assert_null(g);
            g = grow_fixed(m, arch, size);
            assert_false(g->exact);
        } else if (g == NULL) {
            /* groups of queries that cannot grow by so many */
            if (strstr(sartor_error(ctx), "of keys and values cannot become") == NULL)
                fail_msg("%s, %s: %s", arch, request, sartor_error(ctx));
        } else {
            assert_true(g->exact);
            growth_expect_same(ctx, m, g->to, arch, request, averages(m, size->axis));
            growth_expect_same_steps(ctx, m, g->to, arch, request);
        }
        sr_growth_destroy(&g);
    }
    sr_model_destroy(&m);
}

static void test_every_axis(void **state) {
    (void)state;
    char text[96];
    for (int a = 0; growth_arch(a, text) != NULL; a++)
        for (int i = 0; sr_growth_size_get(i) != NULL; i++) {
            grow_one_axis(text, sr_growth_size_get(i), "+1");
            grow_one_axis(text, sr_growth_size_get(i), "+4");
        }
}

/* The three ways of rotating larger keys, by whole pairs and odd. */
static void test_rotation(void **state) {
    (void)state;
    static const char *const requests[] = {"key=8 rotation=spread", "key=12 rotation=spread",
                                           "key=8 rotation=extend", "key=9 rotation=extend",
                                           "key=7 rotation=none",   "key=8 rotation=none"};
    static const char *const archs[] = {"SA-1 SA-3", "SA-2-Diff", "MHA", "SA-1-1H", "SWA-1"};
    for (size_t a = 0; a < sizeof archs / sizeof *archs; a++)
        for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
            sr_model *m = growth_model(ctx, archs[a], &growth_sizes);
            const bool one_head = strstr(archs[a], "1H") != NULL;
            const char *request = one_head ? "key=32 rotation=spread" : requests[i];
            sr_growth *g = growth_must(ctx, m, archs[a], request, false);
            growth_expect_same(ctx, m, g->to, archs[a], request, false);
            growth_expect_same_steps(ctx, m, g->to, archs[a], request);
            sr_growth_destroy(&g);
            sr_model_destroy(&m);
        }
}

/* Each of several equal coordinates but the first is new: it is counted, has no moments yet and
 * trains from its own birth. */
static void expect_counted(const sr_growth *g) {
    const sr_schema *s = &g->to->schema;
    const size_t n = (size_t)s->elements, old = (size_t)g->from->schema.elements;
    int64_t told = 0, fresh = 0, parameters = 0;
    uint8_t *generation = calloc(n, 1);
    float *before = calloc(old, sizeof *before), *moment = calloc(n, sizeof *moment);
    for (size_t i = 0; i < old; i++) before[i] = 1;
    sr_growth_generations(g, NULL, 1, generation);
    sr_growth_moments(g, before, moment);
    for (int i = 0; i < s->count; i++) {
        if (!s->param[i].trained) continue;
        told += sr_growth_of(g, i).fresh;
        parameters += s->param[i].rows * s->param[i].cols;
        for (int64_t k = 0; k < s->param[i].rows * s->param[i].cols; k++) {
            const int64_t at = s->param[i].offset + k;
            fresh += generation[at];
            assert_int_equal(generation[at], moment[at] == 0);
        }
    }
    for (int i = 0; i < g->from->schema.count; i++)
        if (g->from->schema.param[i].trained)
            parameters -= g->from->schema.param[i].rows * g->from->schema.param[i].cols;
    assert_int_equal(told, parameters);
    assert_int_equal(fresh, parameters);
    free(generation);
    free(before);
    free(moment);
}

/* Grouped queries: more of them in every group, more groups, groups cut apart. */
static void test_groups(void **state) {
    (void)state;
    static const struct {
        const char *request;
        int64_t heads, kv;
    } cases[] = {
        {"heads=+2", 10, 2},  {"heads=+4 kv-heads=3", 12, 3}, {"kv-heads=4", 8, 4},
        {"kv-heads=8", 8, 8}, {"kv-heads=4 heads=+4", 12, 4}, {"heads=+7 kv-heads=3", 15, 3}};
    sr_sizes sizes = growth_sizes;
    sizes.width = 32;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, "SA-3 RA-3", &sizes);
        sr_growth *g = growth_must(ctx, m, "groups", cases[i].request, false);
        assert_int_equal(g->to->units[0].size.axis[SR_AXIS_HEAD], cases[i].heads);
        assert_int_equal(g->to->units[1].size.axis[SR_AXIS_KV_HEAD], cases[i].kv);
        growth_expect_same(ctx, m, g->to, "SA-3 RA-3", cases[i].request, false);
        growth_expect_same_steps(ctx, m, g->to, "SA-3 RA-3", cases[i].request);
        expect_counted(g);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

/* A larger architecture of which the model is a part. */
static void test_into_architecture(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "1.1.1.1.2-9.1.1.1.1-1.1.1.1.2", &growth_sizes);
    sr_growth *g = growth_must(
        ctx, m, "a part", "to=7.1.1.1.1-1.1.1.2.2-9.1.1.1.1-5.1.1.1.1-1.1.1.2.2 width=32", false);
    assert_int_equal(g->to->genome.n, 5);
    assert_int_equal(g->to->sizes.width, 32);
    assert_int_equal(g->to->units[1].size.axis[SR_AXIS_HEAD], 8);
    assert_int_equal(g->to->units[2].size.axis[SR_AXIS_FF], sr_ff_width(32));
    growth_expect_same(ctx, m, g->to, "a part", "to", false);
    sr_growth_destroy(&g);
    assert_null(growth_of(ctx, m, "to=1.1.1.1.1-9.1.1.1.1-1.1.1.1.1", false));
    assert_non_null(strstr(sartor_error(ctx), "shares otherwise"));
    assert_null(growth_of(ctx, m, "to=1.1.1.1.1-9.1.1.1.1", false));
    assert_non_null(strstr(sartor_error(ctx), "no part of that architecture"));
    sr_model_destroy(&m);
}

/* An architecture in which LIVs share other weights, or features of another LIV, is no larger one.
 */
static void test_other_sharing(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"73.1.2.1.1-73.1.2.1.1", "to=73.1.1.1.1-73.1.1.1.1 width=24"},
        {"1.1.2.1.1-1.1.2.1.1", "to=1.1.1.1.1-1.1.1.1.1 width=24"},
        {"1.1.1.1.2-1.1.1.2.1-1.1.1.1.2", "to=1.1.1.2.1-1.1.1.1.2-1.1.1.1.2 width=24"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, cases[i][0], &growth_sizes);
        assert_null(growth_of(ctx, m, cases[i][1], false));
        if (strstr(sartor_error(ctx), "shares otherwise") == NULL)
            fail_msg("%s: %s", cases[i][1], sartor_error(ctx));
        sr_model_destroy(&m);
    }
}

/* Constants stay where a larger architecture, as a new model, would have others. */
static void test_constants_of_architecture(void **state) {
    (void)state;
    static const struct {
        const char *arch, *request;
    } cases[] = {{"Mamba-2", "to=84.1.1.1.1-84.1.1.1.1 width=32"},
                 {"SA-1-1H", "to=46.1.1.1.1-46.1.1.1.1 width=32"},
                 {"GLA-1H", "to=83.1.1.1.1 width=32"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, cases[i].arch, &growth_sizes);
        sr_growth *g = growth_must(ctx, m, cases[i].arch, cases[i].request, false);
        assert_int_equal(g->to->units[0].size.scale, m->units[0].size.scale);
        assert_int_equal(g->to->units[0].size.divisor, m->units[0].size.divisor);
        growth_expect_same(ctx, m, g->to, cases[i].arch, cases[i].request, false);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

/* A file says every size and constant of a grown model, which no longer follow from the width. */
static void test_architecture_of_file(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"GLA GMemless", "width=+4 key=+2 value=+3 ff=+1"},
                                           {"SA-1 Mamba-2", "key=9 value=+2 heads=+1 state=+3"},
                                           {"SA-3 SA-1", "key=10 rotation=none kv-heads=4 at=1"},
                                           {"GDN RWKV-6", "width=+16 heads=+1 value=+3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sr_model *m = growth_model(ctx, cases[i][0], &growth_sizes), *read;
        sr_growth *g = growth_must(ctx, m, cases[i][0], cases[i][1], false);
        json_t *text = sr_architecture_json(g->to);
        assert_non_null(text);
        if (sr_architecture_read(ctx, text, &read) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
        assert_int_equal(read->sizes.width, g->to->sizes.width);
        assert_int_equal(read->sizes.divisor, g->to->sizes.divisor);
        for (int k = 0; k < read->genome.n; k++)
            assert_memory_equal(&read->units[k].size, &g->to->units[k].size,
                                sizeof read->units[k].size);
        json_decref(text);
        sr_model_destroy(&read);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

/* LIVs that share features or weights grow together, whichever of them is chosen. */
static void test_partners(void **state) {
    (void)state;
    char arch[96], request[64];
    for (int a = sr_class_count(); growth_arch(a, arch) != NULL; a++) {
        sr_model *m = growth_model(ctx, arch, &growth_sizes);
        for (int i = 0; sr_growth_size_get(i) != NULL; i++)
            for (int liv = 0; liv < m->genome.n; liv++) {
                const sr_growth_size *s = sr_growth_size_get(i);
                if (s->axis == SR_AXIS_MODEL || s->axis == SR_AXIS_KV_HEAD ||
                    m->units[liv].size.axis[s->axis] == 0 || is_fixed(m, s->axis))
                    continue;
                snprintf(request, sizeof request, "%s=+4 at=%d", s->name, liv + 1);
                sr_growth *g = growth_must(ctx, m, arch, request, false);
                growth_expect_same(ctx, m, g->to, arch, request, averages(m, s->axis));
                sr_growth_destroy(&g);
            }
        sr_model_destroy(&m);
    }
}

/* Dense units become mixtures of equal experts, under both ways of routing. */
static void test_into_experts(void **state) {
    (void)state;
    static const char *const requests[] = {"to=1.1.1.1.1-70.1.1.1.1-85.1.1.1.1",
                                           "to=1.1.1.1.1-71.1.1.1.1-71.1.1.1.1 width=24 ff=+3",
                                           "to=1.1.1.1.1-70.1.1.1.1-85.1.1.1.1-85.1.1.1.1",
                                           "to=1.1.1.1.1-86.1.1.1.1-85.1.1.1.1 width=+3",
                                           "to=1.1.1.1.1-86.1.1.1.1-86.1.1.1.1-86.1.1.1.1"};
    sr_model *m = growth_model(ctx, "SA-1 GEGLU GEGLU", &growth_sizes);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        sr_growth *g = growth_must(ctx, m, "experts", requests[i], false);
        assert_true(g->exact);
        assert_int_equal(g->to->units[1].size.axis[SR_AXIS_EXPERT], SR_EXPERTS);
        const bool copies = strstr(requests[i], "86.") == NULL; /* whose shares are summed */
        growth_expect_same(ctx, m, g->to, "experts", requests[i], copies);
        growth_expect_same_steps(ctx, m, g->to, "experts", requests[i]);
        expect_counted(g);
        sr_growth_destroy(&g);
    }
    assert_null(growth_of(ctx, m, "to=1.1.1.1.1-9.1.1.1.1-9.1.1.1.1", false));
    sr_model_destroy(&m);
}

/* ---- several at once, one after another ---- */

enum { STEPS = 4 };

/* Requests that fit any architecture of the list; those that name an axis it lacks are skipped. */
static void random_request(sr_rng rng, uint64_t *next, const sr_model *m, char text[128]) {
    static const char *const livs[] = {"SA-3", "GMemless", "Rec-1", "GConv-2", "MLP"};
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; sr_growth_size_get(i) != NULL; i++) {
        const sr_growth_size *s = sr_growth_size_get(i);
        const int more = (int)sr_rng_below(rng, (*next)++, 8);
        if (more == 0 || more > 5 || !growth_has_axis(m, s->axis) || is_fixed(m, s->axis) ||
            s->axis == SR_AXIS_KV_HEAD)
            continue;
        used += (size_t)snprintf(text + used, 128 - used, "%s=+%d ", s->name,
                                 s->axis == SR_AXIS_HEAD ? 4 : more);
    }
    const bool adds = sr_rng_below(rng, (*next)++, 3) == 0;
    const char *added = livs[sr_rng_below(rng, (*next)++, 5)];
    const int place = (int)sr_rng_below(rng, (*next)++, (uint64_t)m->genome.n + 1);
    if (adds)
        snprintf(text + used, 128 - used, "livs=%s@%d", added, place);
    else if (used == 0)
        snprintf(text, 128, "width=+1");
}

static void test_random_orders(void **state) {
    (void)state;
    const sr_rng rng = {7, SR_FOR_TEST, 0};
    uint64_t next = 0;
    char arch[96];
    for (int a = 0; growth_arch(a, arch) != NULL; a++) {
        sr_model *first = growth_model(ctx, arch, &growth_sizes);
        sr_growth *steps[STEPS] = {NULL};
        const sr_model *last = first;
        bool averaged = false;
        for (int s = 0; s < STEPS; s++) {
            char request[128];
            random_request(rng, &next, last, request);
            averaged = averaged || averages(last, SR_AXIS_VALUE);
            steps[s] = growth_must(ctx, last, arch, request, false);
            const growth_difference d = growth_compare(ctx, first, steps[s]->to, SR_TRUTH_F64);
            /* an average of averages is no multiple of 2^-12: it is rounded to f32 */
            if (!(d.worst <= (averaged ? 1e-5 : 1e-12) * (1 + d.largest)))
                fail_msg("%s, step %d, %s: f64 logits differ by %.3g", arch, s, request, d.worst);
            last = steps[s]->to;
        }
        growth_expect_same_steps(ctx, first, steps[STEPS - 1]->to, arch, "four steps");
        for (int s = STEPS - 1; s >= 0; s--) sr_growth_destroy(&steps[s]);
        sr_model_destroy(&first);
    }
}

/* ---- the way back, moments, generations ---- */

static void test_way_back(void **state) {
    (void)state;
    char arch[96];
    for (int a = 0; growth_arch(a, arch) != NULL; a++) {
        sr_model *m = growth_model(ctx, arch, &growth_sizes);
        const size_t n = (size_t)m->schema.elements;
        sr_growth *g = growth_must(ctx, m, arch, "width=+5 livs=GMemless@1", false);
        float *back = calloc(n, sizeof *back);
        sr_growth_shrink(g, g->to->params, back);
        assert_memory_equal(back, m->params, n * sizeof *back);
        free(back);
        sr_growth_destroy(&g);
        sr_model_destroy(&m);
    }
}

static void test_moments(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "SA-3 Rec-1 GMemless", &growth_sizes);
    sr_growth *g =
        growth_must(ctx, m, "moments", "width=+3 ff=+1 state=+2 heads=+4 livs=SA-1@1", false);
    /* width 19 holds no whole heads of 4: the new LIV is that of width 20 */
    assert_int_equal(g->to->units[1].size.axis[SR_AXIS_HEAD], 5);
    const size_t n = (size_t)m->schema.elements, grown = (size_t)g->to->schema.elements;
    float *moment = calloc(grown, sizeof *moment), *old = calloc(n, sizeof *old),
          *back = calloc(n, sizeof *back);
    uint8_t *generation = calloc(grown, 1);
    for (size_t i = 0; i < n; i++) old[i] = 1 + (float)i;
    sr_growth_moments(g, old, moment);
    sr_growth_generations(g, NULL, 1, generation);
    sr_growth_shrink(g, moment, back);
    assert_memory_equal(back, old, n * sizeof *old);
    size_t fresh = 0, told = 0;
    for (size_t i = 0; i < grown; i++) {
        assert_int_equal(generation[i], moment[i] == 0);
        fresh += generation[i];
    }
    for (int i = 0; i < g->to->schema.count; i++) told += (size_t)sr_growth_of(g, i).fresh;
    assert_int_equal(fresh, told);
    assert_int_equal(fresh, grown - n);
    free(moment);
    free(old);
    free(back);
    free(generation);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

/* ---- what is refused ---- */

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *request, *says;
    } cases[] = {
        {"width=8", "width would shrink from 16 to 8"},
        {"ff=16", "ff would shrink"},
        {"width=16", "nothing would grow"},
        {"ff=0", "is no size"},
        {"ff=abc", "is no size"},
        {"ff=99999999999", "is no size"},
        {"ff=+65536", "at most 65536"},
        {"depth=3", "nothing that grows is called 'depth'"},
        {"width", "is not NAME=VALUE"},
        {"", "does not say what is to grow"},
        {"state=9", "no chosen LIV has an axis 'state'"},
        {"ff=64 at=1", "no chosen LIV has an axis 'ff'"},
        {"ff=64 at=4", "not within LIVs 1 to 3"},
        {"ff=64 at=Rec-1", "the model has no LIV 'Rec-1'"},
        {"ff=64 at=0", "not within"},
        {"width=20 at=1", "none is to grow"},
        {"livs=XYZ@end", "XYZ"},
        {"livs=SA-1@9", "is no place"},
        {"livs=1.1.1.1.4-1.1.1.1.4@1", "share nothing"},
        {"livs=SA-1@", "is no place"},
        {"heads=+3 at=3", "cannot become"},
        {"heads=+1 kv-heads=5 at=3", "4 heads over 2 of keys and values cannot become 5 over 5"},
        {"heads=+2 kv-heads=6 at=3", "4 heads over 2 of keys and values cannot become 6 over 6"},
        {"key=6 rotation=spread", "spread to a multiple"},
        {"key=6 rotation=often", "is not auto"},
        {"to=lfm2 livs=SA-1@end", "names its LIVs"},
        {"livs=SA-1@end new-livs=twice", "is not silent or stacked"},
        {"livs=Rec-1@end new-livs=stacked", "so none is stacked"},
        {"ff=+2 new-livs=stacked", "so none is stacked"},
    };
    sr_sizes sizes = growth_sizes;
    sr_model *m = growth_model(ctx, "SA-1 GMemless SA-4", &sizes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (growth_of(ctx, m, cases[i].request, false) != NULL)
            fail_msg("'%s' is not refused", cases[i].request);
        if (strstr(sartor_error(ctx), cases[i].says) == NULL)
            fail_msg("'%s': %s", cases[i].request, sartor_error(ctx));
    }
    sr_model_destroy(&m);
}

/* A width that is asked for but does not grow leaves the norms of the stream as they are. */
static void test_same_width(void **state) {
    (void)state;
    sr_model *m = growth_model(ctx, "SA-1 GMemless", &growth_sizes);
    sr_growth *g = growth_must(ctx, m, "the same width", "width=16 ff=+1", false);
    assert_int_equal(g->to->sizes.width, 16);
    assert_int_equal(g->to->sizes.divisor, 0);
    sr_growth_destroy(&g);
    sr_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_axis, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_rotation, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_groups, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_into_architecture, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_other_sharing, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_constants_of_architecture, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_architecture_of_file, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_partners, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_into_experts, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_random_orders, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_way_back, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_same_width, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_moments, make_context, free_context),
        cmocka_unit_test_setup_teardown(test_refusals, make_context, free_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
