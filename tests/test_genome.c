/* Genomes: parse, print, sharing, canonical form, identity, repair, presets.
 *
 * Properties are checked on thousands of random genomes drawn from few classes and labels, so that
 * most of them share something. */
#define _GNU_SOURCE
#include "genome/genome.h"

#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static sartor_context *ctx;
static sr_genome a, b, c;
static char text[SR_GENOME_TEXT];

static void parse(const char *s, sr_genome *g) {
    if (sr_genome_parse(ctx, s, strlen(s), g) != SARTOR_OK)
        fail_msg("%s: %s", s, sartor_error(ctx));
}
static void arch(const char *s, int livs, sr_genome *g) {
    if (sr_arch_parse(ctx, s, livs, g) != SARTOR_OK) fail_msg("%s: %s", s, sartor_error(ctx));
}
static void assert_prints(const sr_genome *g, const char *expected) {
    sr_genome_print(g, text);
    assert_string_equal(text, expected);
}
static void assert_canonical(const char *from, const char *expected) {
    parse(from, &a);
    sr_genome_canonical(&a);
    assert_prints(&a, expected);
}

/* ---- random genomes ---- */

static sr_rng rng = {7, SR_FOR_TEST, 0};
static uint64_t drawn;
static int draw(int bound) { return (int)sr_rng_below(rng, drawn++, (uint64_t)bound); }

/* Classes that can share with each other, and some that cannot. */
static const int mix[] = {1, 2, 3, 18, 46, 10, 12, 5, 6, 14, 7, 8, 62, 16, 9, 63, 64};
enum { MIX = sizeof mix / sizeof *mix };

static void random_genome(sr_genome *g) {
    g->n = 1 + draw(24);
    int classes = 1 + draw(MIX), labels = 1 + draw(4), first = draw(MIX);
    for (int i = 0; i < g->n; i++) {
        int number = mix[(first + draw(classes)) % MIX];
        int strategies = 1 << sr_family_features(sr_class_get(number)->family);
        g->liv[i] = (sr_gene){number, 1 + draw(labels), 1 + draw(2), 1 + draw(labels),
                              1 + draw(strategies)};
    }
}

/* ---- text ---- */

static void test_parse_forms(void **state) {
    (void)state;
    parse("2.1.2.1.1-3.1.1.1.2", &a);
    parse("21211-31112", &b);
    assert_true(sr_genome_equal(&a, &b));
    parse(" \n21211 - 3.1.1.1.2\t", &b);
    assert_true(sr_genome_equal(&a, &b));
    assert_prints(&a, "2.1.2.1.1-3.1.1.1.2");
    parse("64.1024.2.1000.2", &a);
    assert_prints(&a, "64.1024.2.1000.2");
    parse("(SA-3 GMemless GConv-1 GMemless)x3", &a);
    assert_int_equal(a.n, 12);
    assert_int_equal(a.liv[8].liv_class, 3);
    assert_prints(&a, "3.1.1.1.1-9.1.1.1.1-7.1.1.1.1-9.1.1.1.1-3.1.1.1.1-9.1.1.1.1-7.1.1.1.1-"
                      "9.1.1.1.1-3.1.1.1.1-9.1.1.1.1-7.1.1.1.1-9.1.1.1.1");
    parse("((GConv-1 GMemless)x2\n SA-3 GMemless)x2(Rec-1)x3 (SA-1)", &a);
    sr_genome_names(&a, text);
    assert_string_equal(text, "((GConv-1 GMemless)x2 SA-3 GMemless)x2 (Rec-1)x3 SA-1");
    parse("op:1.2.1.1.3 op:12213 op:9.1.1.1.2 (SA-1) x2", &a);
    sr_genome_names(&a, text);
    assert_string_equal(text, "LA-1 LWA-1 GLU SA-1 SA-1");
    parse("(SA-1)x1024", &a);
    assert_int_equal(a.n, SR_MAX_LIVS);
    /* only the given bytes count */
    assert_int_equal(sr_genome_parse(ctx, "21211-31112", 5, &a), SARTOR_OK);
    assert_prints(&a, "2.1.2.1.1");
}

static void test_parse_errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "genome: empty"},
        {" \n ", "genome: empty"},
        {"99.1.1.1.1", "genome: LIV 1: class 99 is not in the catalogue (1.."},
        {"21211-0.1.1.1.1", "genome: LIV 2: class 0 is not in the catalogue (1.."},
        {"1.1.1.1.1-99.1.1.1.1-x", "genome: LIV 3: bad character 'x' at position 22"},
        {"2121-21211", "genome: LIV 1: 4 integers instead of 5"},
        {"21211-2.1.2.1", "genome: LIV 2: 4 integers instead of 5"},
        {"21211-212111", "genome: LIV 2: 6 integers instead of 5"},
        {"1.1.1.1.1.1", "genome: LIV 1: 6 integers instead of 5"},
        {"7", "genome: LIV 1: 1 integer instead of 5"},
        {"21211-", "genome: LIV 2 is missing after the last '-'"},
        {"-21211", "genome: LIV 1: bad character '-' at position 1"},
        {"21211--21211", "genome: LIV 2: bad character '-' at position 7"},
        {"2.1..1.1", "genome: LIV 1: an integer is missing at position 5"},
        {"2.1.2.1.", "genome: LIV 1: an integer is missing at position 9"},
        {"21211,31112", "genome: LIV 1: bad character ',' at position 6"},
        {"21211 31112", "genome: LIV 1: bad character '3' at position 7 (LIVs are joined by '-')"},
        {"21211\xe2\x80\x93"
         "31112",
         "genome: LIV 1: bad character 0xe2 at position 6"},
        {"1.0.1.1.1", "genome: LIV 1: featurizer-sharing label 0 is not in 1..1024"},
        {"1.1.1.1025.1", "genome: LIV 1: feature-group label 1025 is not in 1..1024"},
        {"1.1.3.1.1", "genome: LIV 1: featurizer-sharing strategy 3 is not 1 (none) or 2 (all)"},
        {"1.1.1.1.5", "genome: LIV 1: feature-group strategy 5 is not in 1..4"},
        {"9.1.1.1.3",
         "genome: LIV 1: feature-group strategy 3 is not in 1..2, which the family GMemless"},
        {"99999999999999999999999.1.1.1.1", "genome: LIV 1: class "},
        {"SA-9", "genome: 'SA-9' at position 1 is not a LIV class"},
        {"SA-1 (gmemless)x2", "genome: 'gmemless' at position 7 is not a LIV class (sartor list "
                              "livs); did you mean GMemless?"},
        {"SA-1 SA-1,SA-2", "genome: names list: bad character ',' at position 10"},
        {"(SA-1", "genome: '(' at position 1 is not closed"},
        {"SA-1)x2", "genome: ')' at position 5 closes nothing"},
        {"SA-1 ( )x2", "genome: nothing in the parentheses at position 6"},
        {"(SA-1)x0", "genome: the repeat at position 7 is not in x1..x1024"},
        {"(SA-1)x1025", "genome: the repeat at position 7 is not in x1..x1024"},
        {"(SA-1)x99999999999999999999", "genome: the repeat at position 7 is not in x1..x1024"},
        {"((SA-1)x1000)x1000", "genome: more than 1024 LIVs"},
        {"(SA-1)x1024 SA-1", "genome: more than 1024 LIVs"},
        {"((((((((((((((((((((((((((((((((((SA-1", "genome: more than 32 nested parentheses"},
        {"op:1.2.1.2.1",
         "genome: op:1.2.1.2.1 at position 1 cannot be built: attention over diagonal"},
        {"SA-1 op:1.2.1.2", "genome: op:1.2.1.2 at position 6: 4 integers instead of 5"},
        {"op:", "genome: op: at position 1: an integer is missing"},
        {"op:1212x", "genome: op:1212x at position 1"},
        {"op:99.1.1.1.1", "cannot be built: featurizer 99 is not in 1.."},
        {"SA-1SA-1SA-1SA-1SA-1SA-1SA-1SA-1SA-1SA-1SA-1", "is not a LIV class"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sr_genome_parse(ctx, cases[i].text, strlen(cases[i].text), &a),
                         SARTOR_INVALID);
        if (strstr(sartor_error(ctx), cases[i].message) == NULL)
            fail_msg("'%s': '%s' lacks '%s'", cases[i].text, sartor_error(ctx), cases[i].message);
    }
    assert_int_equal(sr_genome_parse(ctx, "21211\0-", 7, &a), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "bad character 0x00 at position 6"));
    size_t n = 0;
    static char longest[SR_GENOME_TEXT];
    for (int i = 0; i <= SR_MAX_LIVS; i++)
        n += (size_t)snprintf(longest + n, 8, "%s11111", i ? "-" : "");
    assert_int_equal(sr_genome_parse(ctx, longest, n, &a), SARTOR_INVALID);
    assert_string_equal(sartor_error(ctx), "genome: more than 1024 LIVs");
    assert_int_equal(sr_genome_parse(ctx, longest, n - 6, &a), SARTOR_OK);
}

static void test_text_properties(void **state) {
    (void)state;
    for (int round = 0; round < 4000; round++) {
        random_genome(&a);
        assert_int_equal(sr_genome_check(ctx, &a, NULL), SARTOR_OK);
        sr_genome_print(&a, text);
        parse(text, &b);
        assert_true(sr_genome_equal(&a, &b));
        sr_genome_names(&a, text);
        parse(text, &b);
        assert_int_equal(a.n, b.n);
        size_t plain = 0;
        for (int i = 0; i < a.n; i++) {
            assert_int_equal(a.liv[i].liv_class, b.liv[i].liv_class);
            plain += strlen(sr_class_get(a.liv[i].liv_class)->name) + 1;
        }
        assert_true(strlen(text) < plain);
    }
    /* the longest of both texts */
    a.n = SR_MAX_LIVS;
    for (int i = 0; i < a.n; i++) a.liv[i] = (sr_gene){46 + draw(17), 1024, 2, 1024, 4};
    sr_genome_print(&a, text);
    assert_true(strlen(text) < SR_GENOME_TEXT - 1);
    sr_genome_names(&a, text);
    parse(text, &b);
    for (int i = 0; i < a.n; i++) assert_int_equal(a.liv[i].liv_class, b.liv[i].liv_class);
}

/* ---- sharing ---- */

static const sr_liv_sharing *shared(int i) {
    static sr_sharing s;
    sr_genome_resolve(&a, &s);
    return &s.liv[i];
}

static void test_sharing_by_hand(void **state) {
    (void)state;
    parse("21211-31112-21221-32112", &a); /* the paper's example */
    assert_int_equal(shared(2)->rest_owner, 0);
    assert_int_equal(shared(2)->weight_owner[0], 0);
    assert_int_equal(shared(2)->feature_source[0], 2);
    assert_int_equal(shared(3)->rest_owner, 3);
    assert_int_equal(shared(3)->feature_source[0], 1);
    assert_int_equal(shared(3)->feature_source[1], 3);
    assert_int_equal(shared(3)->weight_owner[0], -1);
    assert_int_equal(shared(3)->weight_owner[1], 3);
    assert_int_equal(shared(1)->feature_readers[0], 1);
    assert_int_equal(shared(1)->feature_readers[1], 0);

    /* LIVs 1, 2, 3 share weights; 1 reads K of 0, so 2 is the first that needs the K weights. */
    parse("1.1.1.1.2-1.1.2.1.2-1.1.2.1.1-1.1.2.1.1", &a);
    assert_int_equal(shared(1)->feature_source[0], 0);
    assert_int_equal(shared(1)->weight_owner[0], -1);
    assert_int_equal(shared(1)->weight_owner[1], 1);
    assert_int_equal(shared(2)->weight_owner[0], 2);
    assert_int_equal(shared(3)->weight_owner[0], 2);
    assert_int_equal(shared(3)->weight_owner[1], 1);
    assert_int_equal(shared(3)->rest_owner, 1);

    /* both kinds at once: only the rest is left to share by weight */
    parse("1.1.2.1.4-1.1.2.1.4-1.1.2.1.4", &a);
    assert_int_equal(shared(2)->rest_owner, 0);
    assert_int_equal(shared(2)->weight_owner[0], -1);
    assert_int_equal(shared(0)->feature_readers[1], 2);

    /* K with one partner, V with another, one label */
    parse("1.1.1.1.2-1.1.1.1.4-1.1.1.1.3", &a);
    assert_int_equal(shared(1)->feature_source[0], 0);
    assert_int_equal(shared(1)->feature_source[1], 1);
    assert_int_equal(shared(2)->feature_source[0], 2);
    assert_int_equal(shared(2)->feature_source[1], 1);

    /* other shape, other label, differential, other family: nothing */
    parse("1.1.2.1.4-3.1.2.1.4-10.1.2.1.4-1.2.2.2.4-5.1.2.1.4-9.1.2.1.2", &a);
    for (int i = 0; i < a.n; i++) {
        const sr_liv_sharing *s = shared(i);
        assert_int_equal(s->rest_owner, i);
        for (int f = 0; f < SR_FEATURES; f++) {
            assert_int_equal(s->feature_source[f], i);
            assert_int_equal(s->feature_readers[f], 0);
            assert_int_equal(s->weight_owner[f], i == 5 && f == 1 ? -1 : i);
        }
    }
    /* other class, same shape: features yes, weights no */
    parse("7.1.2.1.2-8.1.2.1.2", &a);
    assert_int_equal(shared(1)->feature_source[0], 0);
    assert_int_equal(shared(1)->rest_owner, 1);
}

/* What the semantics promise, whatever the labels. */
static void test_sharing_properties(void **state) {
    (void)state;
    static sr_sharing s;
    int readers = 0, owned = 0;
    for (int round = 0; round < 4000; round++) {
        random_genome(&a);
        sr_genome_resolve(&a, &s);
        int read[SR_MAX_LIVS][SR_FEATURES] = {{0}};
        for (int i = 0; i < a.n; i++) {
            const sr_liv_sharing *l = &s.liv[i];
            const sr_class *row = sr_class_get(a.liv[i].liv_class);
            assert_in_range(l->rest_owner, 0, i);
            assert_int_equal(a.liv[l->rest_owner].liv_class, row->number);
            assert_int_equal(s.liv[l->rest_owner].rest_owner, l->rest_owner);
            for (int f = 0; f < sr_family_features(row->family); f++) {
                int source = l->feature_source[f], owner = l->weight_owner[f];
                const sr_class *from = sr_class_get(a.liv[source].liv_class);
                assert_in_range(source, 0, i);
                assert_int_equal(s.liv[source].feature_source[f], source);
                assert_int_equal(sr_class_feature_shape(from, f), sr_class_feature_shape(row, f));
                assert_int_equal(owner == -1, source != i);
                if (source != i) read[source][f]++;
                if (owner < 0) continue;
                assert_int_equal(s.liv[owner].rest_owner, l->rest_owner);
                assert_int_equal(s.liv[owner].weight_owner[f], owner);
                owned += owner != i;
            }
        }
        for (int i = 0; i < a.n; i++)
            for (int f = 0; f < SR_FEATURES; f++) {
                assert_int_equal(s.liv[i].feature_readers[f], read[i][f]);
                readers += read[i][f];
            }
    }
    assert_true(readers > 1000 && owned > 1000); /* the generator does share */
}

/* ---- canonical form and identity ---- */

static void test_canonical_by_hand(void **state) {
    (void)state;
    assert_canonical("21211-31112-21221-32112", "2.1.2.1.1-3.1.1.1.2-2.1.2.1.1-3.1.1.1.2");
    assert_canonical("1.7.2.9.4", "1.1.1.1.1");
    assert_canonical("1.5.2.8.4-1.5.2.8.2-1.3.2.4.3-1.3.2.4.3",
                     "1.1.2.1.2-1.1.2.1.2-1.2.2.2.3-1.2.2.2.3");
    /* one label, two shapes: two groups */
    assert_canonical("1.1.1.6.2-3.1.1.6.2-3.1.1.6.2-1.1.1.6.2",
                     "1.1.1.1.2-3.1.1.2.2-3.1.1.2.2-1.1.1.1.2");
    /* one label, K among some and V among others: two groups; tied by a member: one */
    assert_canonical("1.1.1.6.2-1.1.1.6.3-1.1.1.6.3-1.1.1.6.2",
                     "1.1.1.1.2-1.1.1.2.3-1.1.1.2.3-1.1.1.1.2");
    assert_canonical("1.1.1.6.2-1.1.1.6.3-1.1.1.6.4", "1.1.1.1.2-1.1.1.1.3-1.1.1.1.4");
    /* a late member ties two groups that were already numbered apart */
    assert_canonical("1.1.1.6.2-1.1.1.6.3-1.1.1.7.2-1.1.1.7.2-1.1.1.6.4",
                     "1.1.1.1.2-1.1.1.1.3-1.1.1.2.2-1.1.1.2.2-1.1.1.1.4");
    /* featurizer labels per class, feature-group labels per family */
    assert_canonical("1.4.2.4.2-7.4.2.4.2-1.4.2.4.2-7.4.2.4.2",
                     "1.1.2.1.2-7.1.2.1.2-1.1.2.1.2-7.1.2.1.2");
    /* strategy 1 with the label of a group is no member */
    assert_canonical("1.3.2.1.1-1.3.1.1.1-1.3.2.1.1", "1.1.2.1.1-1.1.1.1.1-1.1.2.1.1");
}

static void test_canonical_properties(void **state) {
    (void)state;
    static sr_sharing before, after;
    char id[SR_HASH_TEXT], id2[SR_HASH_TEXT];
    for (int round = 0; round < 6000; round++) {
        random_genome(&a);
        b = a;
        sr_genome_canonical(&b);
        assert_int_equal(sr_genome_check(ctx, &b, NULL), SARTOR_OK);
        sr_genome_resolve(&a, &before);
        sr_genome_resolve(&b, &after);
        assert_int_equal(before.n, after.n);
        assert_memory_equal(before.liv, after.liv, (size_t)a.n * sizeof *before.liv);
        c = b;
        sr_genome_canonical(&c);
        assert_true(sr_genome_equal(&b, &c));
        for (int i = 0; i < a.n; i++) {
            assert_int_equal(a.liv[i].liv_class, b.liv[i].liv_class);
            assert_true(b.liv[i].featurizer_label <= (a.n + 1) / 2);
            assert_true(b.liv[i].group_label <= (a.n + 1) / 2);
        }
        /* other names for the groups, the same genome */
        int shift = 1 + draw(1000), factor = 1 + 2 * draw(500);
        for (int i = 0; i < a.n; i++) {
            sr_gene *g = &a.liv[i];
            g->featurizer_label = 1 + (g->featurizer_label * factor + shift) % 1024;
            g->group_label = 1 + (g->group_label * factor + shift) % 1024;
        }
        sr_genome_id(&a, id);
        sr_genome_id(&b, id2);
        assert_string_equal(id, id2);
        sr_genome_canonical(&a);
        assert_true(sr_genome_equal(&a, &b));
        /* a genome that shares otherwise is another genome */
        random_genome(&c);
        sr_genome_canonical(&c);
        sr_genome_resolve(&c, &before);
        if (c.n == b.n && !sr_genome_equal(&b, &c)) {
            bool same = memcmp(before.liv, after.liv, (size_t)c.n * sizeof *before.liv) == 0;
            for (int i = 0; i < c.n; i++) same = same && c.liv[i].liv_class == b.liv[i].liv_class;
            assert_false(same);
        }
    }
}

/* Stored in studies and model files: these may never change. */
static void test_identity(void **state) {
    (void)state;
    char id[SR_HASH_TEXT], id2[SR_HASH_TEXT];
    parse("21211-31112-21221-32112", &a);
    sr_genome_id(&a, id);
    assert_string_equal(id, "9e5e10d0b59e67580703097c04e16de0");
    sr_arch_id(&a, "width=128", id);
    assert_string_equal(id, "0916c62ecb44456ab4f7ff8b8dbdbe7b");
    sr_arch_id(&a, "width=256", id2);
    assert_string_not_equal(id, id2);
    sr_genome_canonical(&a);
    sr_arch_id(&a, "width=128", id2);
    assert_string_equal(id, id2);
    a.liv[0].liv_class = 1;
    sr_arch_id(&a, "width=128", id2);
    assert_string_not_equal(id, id2);
}

/* ---- check and repair ---- */

static void test_pools(void **state) {
    (void)state;
    sr_pool paper = sr_pool_paper(), all = sr_pool_all(), none = {{false}};
    sr_repairs repairs;
    parse("SA-1 LA-2", &a);
    assert_int_equal(sr_genome_check(ctx, &a, &all), SARTOR_OK);
    assert_int_equal(sr_genome_check(ctx, &a, &paper), SARTOR_INVALID);
    assert_string_equal(sartor_error(ctx), "genome: LIV 2: class 19 (LA-2) is not in the pool");
    assert_int_equal(sr_genome_repair(ctx, &a, &none, 1, &repairs), SARTOR_INVALID);
    a.n = 0;
    assert_int_equal(sr_genome_check(ctx, &a, NULL), SARTOR_INVALID);
    assert_int_equal(sr_genome_repair(ctx, &a, NULL, 1, &repairs), SARTOR_INVALID);
    a.n = SR_MAX_LIVS + 1;
    assert_int_equal(sr_genome_check(ctx, &a, NULL), SARTOR_INVALID);
}

static void test_repair_by_hand(void **state) {
    (void)state;
    sr_pool pool = {{false}};
    sr_repairs r;
    pool.has[1] = pool.has[9] = true;
    a.n = 4;
    a.liv[0] = (sr_gene){5, 1, 1, 1, 1};           /* between 1 and 9: the smaller */
    a.liv[1] = (sr_gene){99, -3, 2, 5000, 1};      /* 9 is nearest; labels in range; alone */
    a.liv[2] = (sr_gene){-2000000000, 1, 9, 1, 1}; /* 1; strategy drawn */
    a.liv[3] = (sr_gene){9, 1, 1, 1, 2};           /* alone in its feature group */
    assert_int_equal(sr_genome_repair(ctx, &a, &pool, 3, &r), SARTOR_OK);
    assert_prints(&a, "1.1.1.1.1-9.1.1.1.1-1.1.1.1.1-9.1.1.1.1");
    assert_int_equal(r.classes, 3);
    assert_int_equal(r.labels, 2);
    assert_int_equal(r.strategies, 1);
    assert_in_range(r.dissolved, 2, 3);
}

static int wild(void) {
    switch (draw(6)) {
    case 0:
        return (int)(uint32_t)sr_rng_u64(rng, drawn++);
    case 1:
        return -draw(5);
    default:
        return draw(6);
    }
}

static void test_repair_properties(void **state) {
    (void)state;
    sr_pool all = sr_pool_all();
    sr_repairs r;
    int drawn_strategies[5] = {0};
    for (int round = 0; round < 4000; round++) {
        sr_pool pool = {{false}};
        for (int i = 1 + draw(4); i > 0; i--) pool.has[1 + draw(sr_class_count())] = true;
        a.n = 1 + draw(20);
        for (int i = 0; i < a.n; i++) a.liv[i] = (sr_gene){wild(), wild(), wild(), wild(), wild()};
        b = a;
        assert_int_equal(sr_genome_repair(ctx, &a, &pool, (uint64_t)round, &r), SARTOR_OK);
        assert_int_equal(sr_genome_check(ctx, &a, &pool), SARTOR_OK);
        assert_int_equal(sr_genome_repair(ctx, &b, &pool, (uint64_t)round, &r), SARTOR_OK);
        assert_true(sr_genome_equal(&a, &b));
        assert_int_equal(sr_genome_repair(ctx, &b, &pool, (uint64_t)round + 1, &r), SARTOR_OK);
        assert_true(sr_genome_equal(&a, &b));
        assert_int_equal(r.classes + r.labels + r.strategies + r.dissolved, 0);

        random_genome(&a);
        b = a;
        assert_int_equal(sr_genome_repair(ctx, &a, &all, (uint64_t)round, &r), SARTOR_OK);
        assert_int_equal(r.classes + r.labels + r.strategies, 0);
        sr_genome_canonical(&b);
        assert_true(sr_genome_equal(&a, &b));

        /* two equal units with an illegal strategy: every legal one is drawn sooner or later */
        parse("SA-1 SA-1", &a);
        a.liv[0].group_strategy = 9;
        a.liv[1].group_strategy = 4;
        assert_int_equal(sr_genome_repair(ctx, &a, &all, (uint64_t)round, &r), SARTOR_OK);
        drawn_strategies[a.liv[0].group_strategy]++;
    }
    for (int k = 1; k <= 4; k++) assert_in_range(drawn_strategies[k], 850, 1150);
}

/* ---- length, presets, ARCH ---- */

static void test_fit(void **state) {
    (void)state;
    parse("21211-31112-21221-32112", &a);
    b = a;
    assert_int_equal(sr_genome_fit(ctx, &b, 4), SARTOR_OK);
    assert_true(sr_genome_equal(&a, &b)); /* same length: untouched */
    assert_int_equal(sr_genome_fit(ctx, &b, 9), SARTOR_OK);
    assert_prints(&b, "2.1.2.1.1-3.1.1.1.2-2.1.2.1.1-3.1.1.1.2-2.2.2.1.1-3.1.1.2.2-2.2.2.1.1-"
                      "3.1.1.2.2-2.1.1.1.1");
    assert_int_equal(sr_genome_fit(ctx, &a, 3), SARTOR_OK);
    assert_prints(&a, "2.1.2.1.1-3.1.1.1.1-2.1.2.1.1");
    assert_int_equal(sr_genome_fit(ctx, &a, 0), SARTOR_INVALID);
    assert_int_equal(sr_genome_fit(ctx, &a, 1025), SARTOR_INVALID);
    assert_string_equal(sartor_error(ctx), "1025 LIVs: the count must be in 1..1024");
}

/* Each copy shares what the original shares, and nothing with another copy. */
static void test_fit_properties(void **state) {
    (void)state;
    static sr_sharing one, all;
    for (int round = 0; round < 1500; round++) {
        random_genome(&a);
        b = a;
        int copies = round % 100 == 0 ? SR_MAX_LIVS / a.n : 2 + draw(4);
        assert_int_equal(sr_genome_fit(ctx, &b, a.n * copies), SARTOR_OK);
        assert_int_equal(sr_genome_check(ctx, &b, NULL), SARTOR_OK);
        sr_genome_resolve(&a, &one);
        sr_genome_resolve(&b, &all);
        for (int i = 0; i < b.n; i++) {
            const sr_liv_sharing *x = &one.liv[i % a.n], *y = &all.liv[i];
            int shift = i / a.n * a.n;
            assert_int_equal(b.liv[i].liv_class, a.liv[i % a.n].liv_class);
            assert_int_equal(y->rest_owner, x->rest_owner + shift);
            for (int f = 0; f < SR_FEATURES; f++) {
                assert_int_equal(y->feature_source[f], x->feature_source[f] + shift);
                assert_int_equal(y->feature_readers[f], x->feature_readers[f]);
                assert_int_equal(y->weight_owner[f],
                                 x->weight_owner[f] < 0 ? -1 : x->weight_owner[f] + shift);
            }
        }
    }
}

static void test_presets(void **state) {
    (void)state;
    arch("transformer++", 24, &a);
    sr_genome_names(&a, text);
    assert_string_equal(text, "(SA-1 GMemless)x12");
    arch(" transformer++ ", 0, &a);
    assert_int_equal(a.n, SR_DEFAULT_LIVS);
    arch("lfm2", 32, &a);
    for (int i = 0; i < 16; i++) {
        bool attention = i == 2 || i == 5 || i == 8 || i == 10 || i == 12 || i == 14;
        assert_string_equal(sr_class_get(a.liv[2 * i].liv_class)->name,
                            attention ? "SA-3" : "GConv-1");
        assert_string_equal(sr_class_get(a.liv[2 * i + 1].liv_class)->name, "GMemless");
    }
    sr_genome_names(&a, text);
    assert_string_equal(text, sr_preset_find("lfm2")->names);
    arch("striped-mamba", 24, &a);
    for (int i = 0; i < 12; i++) {
        assert_string_equal(sr_class_get(a.liv[2 * i].liv_class)->name,
                            i % 6 == 3 ? "SA-1" : "Rec-1");
        assert_string_equal(sr_class_get(a.liv[2 * i + 1].liv_class)->name, "GMemless");
    }
    arch("hyena", 2, &a);
    assert_prints(&a, "8.1.1.1.1-9.1.1.1.1");
    for (int i = 0; i < sr_preset_count(); i++) {
        const sr_preset *preset = sr_preset_get(i);
        parse(preset->names, &a);
        assert_ptr_equal(sr_preset_find(preset->name), preset);
    }
    assert_null(sr_preset_get(-1));
    assert_null(sr_preset_get(sr_preset_count()));
    assert_null(sr_preset_find("transformer"));
}

static char folder[] = "/tmp/sartor-genome-XXXXXX";
static const char *file(const char *name, const char *content, size_t n) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void test_arch(void **state) {
    (void)state;
    static const struct {
        const char *content, *genome;
    } good[] = {{"21211-31112\n", "2.1.2.1.1-3.1.1.1.2"},
                {"(SA-1\n GMemless)x1\n", "1.1.1.1.1-9.1.1.1.1"},
                {"{\"version\": 1, \"genome\": \"1.1.1.1.1\", \"width\": 64}", "1.1.1.1.1"},
                {"{\"genome\": \" SA-1 SA-2 \"}", "1.1.1.1.1-2.1.1.1.1"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        arch(file("arch.txt", good[i].content, strlen(good[i].content)), 0, &a);
        assert_prints(&a, good[i].genome);
    }
    arch(file("my arch (1)", "lfm2\r\n", 6), 0, &a);
    assert_int_equal(a.n, SR_DEFAULT_LIVS);
    arch(file("3.txt", "hyena", 5), 4, &a);
    assert_int_equal(a.n, 4);
    arch("21211-31112", 5, &a);
    assert_int_equal(a.n, 5);
    arch("(op:1.2.1.1.3 GLU)x2", 0, &a);
    assert_int_equal(a.n, 4);

    static const struct {
        const char *content;
        size_t n;
        sartor_status status;
        const char *message;
    } bad[] = {
        {"", 0, SARTOR_FORMAT, "arch.txt: the file is empty"},
        {" \n", 2, SARTOR_FORMAT, "arch.txt: the file is empty"},
        {"SA-1\0", 5, SARTOR_FORMAT, "arch.txt: a binary file"},
        {"{", 1, SARTOR_FORMAT, "arch.txt: not JSON"},
        {"{\"genome\": 3}", 13, SARTOR_FORMAT, "arch.txt: the JSON has no \"genome\""},
        {"{\"x\": \"SA-1\"}", 13, SARTOR_FORMAT, "arch.txt: the JSON has no \"genome\""},
        {"{\"genome\":\"1\",\"genome\":\"2\"}", 27, SARTOR_FORMAT, "arch.txt: not JSON"},
        {"{\"genome\": \"99.1.1.1.1\"}", 24, SARTOR_INVALID, "arch.txt: genome: LIV 1: class 99"},
        {"SA-7", 4, SARTOR_INVALID, "arch.txt: genome: 'SA-7'"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = file("arch.txt", bad[i].content, bad[i].n);
        assert_int_equal(sr_arch_parse(ctx, path, 0, &a), bad[i].status);
        if (strstr(sartor_error(ctx), bad[i].message) == NULL)
            fail_msg("'%s' lacks '%s'", sartor_error(ctx), bad[i].message);
    }
    static char large[(1 << 20) + 2];
    memset(large, ' ', sizeof large);
    assert_int_equal(sr_arch_parse(ctx, file("large", large, sizeof large), 0, &a), SARTOR_FORMAT);
    memset(large, '[', sizeof large);
    large[0] = '{';
    assert_int_equal(sr_arch_parse(ctx, file("large", large, 1 << 20), 0, &a), SARTOR_FORMAT);
    assert_int_equal(sr_arch_parse(ctx, folder, 0, &a), SARTOR_IO);

    static const struct {
        const char *text, *message;
    } texts[] = {{"", "genome: empty"},
                 {"transformer", "'transformer' is no preset (sartor list presets)"},
                 {"no/such/file.txt", "'no/such/file.txt' is no preset"},
                 {"mamba", "no genome and no file; did you mean Mamba?"},
                 {"2.1.2.1.x", "genome: LIV 1: "},
                 {"99.1.1.1.1", "genome: LIV 1: class 99 is not in the catalogue (1.."},
                 {"SA-1 hyena", "genome: 'hyena' at position 6 is not a LIV class"},
                 {"(nothing)x2", "genome: 'nothing' at position 2 is not a LIV class"},
                 {"---", "genome: LIV 1: bad character '-' at position 1"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(sr_arch_parse(ctx, texts[i].text, 0, &a), SARTOR_INVALID);
        if (strstr(sartor_error(ctx), texts[i].message) == NULL)
            fail_msg("'%s' lacks '%s'", sartor_error(ctx), texts[i].message);
    }
    assert_int_equal(sr_arch_parse(ctx, "SA-1", 2000, &a), SARTOR_INVALID);
    assert_int_equal(sr_arch_parse(ctx, "hyena", -1, &a), SARTOR_INVALID);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}
static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {"arch.txt", "my arch (1)", "3.txt", "large"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_forms),
        cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_text_properties),
        cmocka_unit_test(test_sharing_by_hand),
        cmocka_unit_test(test_sharing_properties),
        cmocka_unit_test(test_canonical_by_hand),
        cmocka_unit_test(test_canonical_properties),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_repair_by_hand),
        cmocka_unit_test(test_repair_properties),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_fit_properties),
        cmocka_unit_test(test_presets),
        cmocka_unit_test_setup_teardown(test_arch, make_folder, remove_folder),
    };
    ctx = sartor_context_create();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sartor_context_destroy(&ctx);
    return failed;
}
