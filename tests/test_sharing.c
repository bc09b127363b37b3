/* What sharing saves: the tables of docs/livs.md, as formulas of the sizes, against models that are
 * built with and without sharing. Every class, and every family with every strategy. */
#include "model/cost.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static sartor_context *ctx;

/* No two sizes are equal, so that one cannot stand for another. */
static const sr_sizes sizes_of[] = {
    {.width = 64, .head_dim = 8, .window = 24, .vocab = 11, .context = 40, .filter_length = 36},
    {.width = 96, .head_dim = 6, .window = 70, .vocab = 13, .context = 50, .filter_length = 60},
};
enum { SIZES = sizeof sizes_of / sizeof *sizes_of };

typedef struct tally {
    int64_t params, cache; /* backbone; bytes, f16, one sequence */
} tally;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- the formulas ---- */

static int64_t branches(const sr_class *c) { return c->differential ? 2 : 1; }
static int64_t ff(const sr_sizes *s) { return ((8 * s->width + 2) / 3 + 15) / 16 * 16; }
static int64_t states(const sr_class *c) {
    return c->code.featurizer == 5 ? 16 : c->code.featurizer == 6 ? 2 : 4;
}
/* Channels of a recurrence. */
static int64_t inner(const sr_class *c, const sr_sizes *s) {
    return c->code.featurizer == 13 ? 2 * s->width : s->width;
}
static bool biased(const sr_class *c) { return c->code.featurizer == 10; }
static bool convolved(const sr_class *c) { return c->code.featurizer == 2; }

/* Channels of all keys (or values) of one branch. */
static int64_t kv(const sr_class *c, const sr_sizes *s) {
    return c->code.featurizer == 3   ? s->width / 4
           : c->code.featurizer == 4 ? s->width / 2
                                     : s->width;
}

/* Cached positions of attention. */
static int64_t rows(const sr_class *c, const sr_sizes *s) {
    if (c->code.sparsity == 2) return least(s->window, s->context);
    return c->code.nonlinearity == 1 ? 0 : s->context;
}

/* Key channels of a head of linear attention, and numbers in the states of a layer. */
static int64_t key(const sr_class *c, const sr_sizes *s) {
    if (c->code.channel_mixing == 2) return s->width;
    return c->code.featurizer == 15 ? 2 * s->head_dim : s->head_dim;
}
static int64_t linear_state(const sr_class *c, const sr_sizes *s) {
    const int64_t d = s->width, k = key(c, s);
    if (c->code.featurizer == 16) return 2 * d * s->head_dim;
    return c->code.featurizer == 14 ? k * (d + d / k) : k * d;
}

/* The pair of affine maps of q or k. */
static int64_t maps(const sr_class *c, const sr_sizes *s) {
    return 2 * key(c, s) * (key(c, s) + 1);
}

/* What a unit saves by reading feature f (0 or 1) of a unit of its own class. */
static tally by_feature(const sr_class *c, const sr_sizes *s, int f) {
    const int64_t d = s->width, b = branches(c);
    switch (c->family) { /* f matters where the features differ in size */
    case SR_FAMILY_SA:
        return (tally){b * (d + (convolved(c) ? 3 : 0) + (biased(c) ? 1 : 0)) * kv(c, s),
                       b * (rows(c, s) + (convolved(c) ? 2 : 0)) * kv(c, s) * 2};
    case SR_FAMILY_REC:
        return (tally){b * states(c) * inner(c, s), 0};
    case SR_FAMILY_GCONV:
        return (tally){b * d * d, 0};
    case SR_FAMILY_LINEAR:
        if (c->code.featurizer == 16) { /* a projection, taps and a bias; the window of the taps */
            const int64_t n = f == 0 ? s->head_dim : 2 * d;
            return (tally){n * (d + 5), 2 * 3 * n};
        }
        return (tally){d * d + (c->code.featurizer == 14 && f == 0 ? maps(c, s) : 0), 0};
    case SR_FAMILY_DELTA:
        return (tally){d * d + 4 * d, 2 * 3 * d};
    case SR_FAMILY_RWKV:
        return (tally){d * d + d + 2 * 32 * d, 0};
    case SR_FAMILY_RWKV_CM:
        return (tally){d * d + d, 0};
    case SR_FAMILY_MOE:
        return (tally){f == 0 ? d * d : 8 * d + 8, 0};
    default:
        return (tally){b * ff(s) * d, 0};
    }
}

/* The network of a trained long filter: positions, three layers of sines, projection and skip. */
static int64_t filter(int64_t width, int64_t channels, const sr_sizes *s) {
    return 3 * s->filter_length + 4 * width + 2 * (width * width + width) + width +
           (width + 1) * channels;
}

/* What a unit saves by using the featurizer weights of another: all but output projection and norm.
 */
static int64_t by_weights(const sr_class *c, const sr_sizes *s) {
    const int64_t d = s->width, r = (d + 15) / 16, e = inner(c, s), n = 2 * s->head_dim;
    switch (c->code.featurizer) {
    case 5:
    case 6:
    case 13:
        return branches(c) * (2 * d * e + e * (2 * r + 3 * states(c)) + 7 * e);
    case 7:
        return branches(c) * (3 * d * d + 3 * d);
    case 8:
        return branches(c) * (3 * d * d + 16 * d + 880);
    case 9:
        return 2 * ff(s) * d;
    case 11:
        return 4 * d * d;
    case 12:
    case 23:
        return 2 * d * d + 8 * d + 8;
    case 14:
        return 3 * d * d + 2 * maps(c, s);
    case 15:
        return 4 * d * d + 2 * 16 * d + d + key(c, s);
    case 16: /* z, x, B, C, dt; taps and biases; dt.bias, A_log, D; gain */
        return d * (4 * d + 2 * s->head_dim + d / s->head_dim) + 5 * (2 * d + 2 * s->head_dim) +
               3 * d / s->head_dim + 2 * d;
    case 20:
        return 3 * d * d + 3 * d + 4 * 12 * d + filter(4, 4 * d, s);
    case 21:
        return 3 * d * d / 4 + 3 * d / 4 + 4 * 3 * d + filter(2, d / (2 * s->head_dim), s);
    case 22:
        return 3 * d * d + 3 * d + 4 * 3 * d + filter(16, d, s) + 8 * d + 8;
    case 17:
        return 4 * d * d + 3 * 4 * d + 2 * (d / n) * (d + 1) + n;
    case 18:
        return 4 * d * d + 5 * (d + 2 * 32 * d) + 2 * 64 * d + 5 * d;
    case 19:
        return 5 * d * d + 2 * d;
    default:
        return branches(c) * (d + (convolved(c) ? 3 : 0) + (biased(c) ? 1 : 0)) *
               (d + 2 * kv(c, s));
    }
}

/* A unit that shares nothing. */
static tally alone(const sr_class *c, const sr_sizes *s) {
    const int64_t d = s->width, n = 2 * s->head_dim;
    int64_t cache = 0, out = d;
    switch (c->code.featurizer) {
    case 5:
    case 6:
    case 13:
        out = inner(c, s);
        cache = 4 * out * states(c) + 2 * 3 * out;
        break;
    case 7:
        cache = 2 * 2 * d;
        break;
    case 8:
        cache = least(s->filter_length, s->context);
        cache = 2 * d * (c->code.sparsity == 2 ? least(s->window, cache) : cache);
        break;
    case 9:
        out = ff(s);
        break;
    case 11:
        out = 4 * d;
        break;
    case 12:
        out = 8 * d;
        break;
    case 23:
        out = 9 * d;
        break;
    case 14:
    case 15:
        cache = 4 * linear_state(c, s);
        break;
    case 16:
        out = 2 * d;
        cache = 4 * linear_state(c, s) + 2 * 3 * (2 * d + 2 * s->head_dim);
        break;
    case 20:
        out = 4 * d + 1;
        cache = 2 * (2 * 3 * d + 4 * d * least(s->filter_length, s->context));
        break;
    case 21:
        out = d + 1;
        cache = 2 * (2 * 3 * d / 4 + 2 * d * least(s->filter_length, s->context));
        break;
    case 22:
        out = d / 8 + 1;
        cache = 2 * (2 * 3 * d + d * least(s->filter_length, s->context));
        break;
    case 17:
        cache = 4 * d * n + 3 * 2 * 3 * d;
        break;
    case 18:
        cache = 4 * d * n + 2 * d;
        break;
    case 19:
        out = 4 * d;
        cache = 2 * d;
        break;
    default:
        out = d + (biased(c) ? 1 : 0);
        cache = 2 * 2 * rows(c, s) * kv(c, s) + (convolved(c) ? 2 * 2 * (d + 2 * kv(c, s)) : 0);
        if (rows(c, s) == 0)
            cache += 4 * kv(c, s) * (c->code.channel_mixing == 2 ? d : s->head_dim);
    }
    return (tally){d + by_weights(c, s) + branches(c) * out * d, branches(c) * cache};
}

/* ---- models ---- */

static tally build(const sr_genome *genome, const sr_sizes *sizes) {
    sr_model *m = NULL;
    sr_cost cost;
    if (sr_model_create(ctx, genome, sizes, &m) != SARTOR_OK ||
        sr_model_cost(ctx, m, &cost) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    sr_model_destroy(&m);
    return (tally){cost.backbone - sizes->width, cost.cache_bytes}; /* without the final norm */
}

/* n units of one class in one group each. */
static sr_genome group(const sr_class *c, int n, int weights, int features) {
    sr_genome g = {.n = n};
    for (int i = 0; i < n; i++) g.liv[i] = (sr_gene){c->number, 1, weights, 1, features};
    return g;
}

static void expect(const char *what, const sr_class *c, int strategy, tally found, tally wanted) {
    if (found.params != wanted.params || found.cache != wanted.cache)
        fail_msg("%s, %s, strategy %d: %" PRId64 " parameters and %" PRId64
                 " cache bytes, by the formula %" PRId64 " and %" PRId64,
                 what, c->name, strategy, found.params, found.cache, wanted.params, wanted.cache);
}

static tally saved(const sr_genome *shared, const sr_genome *plain, const sr_sizes *s) {
    tally a = build(plain, s), b = build(shared, s);
    return (tally){a.params - b.params, a.cache - b.cache};
}

static void test_alone(void **state) {
    (void)state;
    for (int number = 1; number <= sr_class_count(); number++)
        for (int k = 0; k < SIZES; k++) {
            const sr_class *c = sr_class_get(number);
            sr_genome g = group(c, 1, 1, 1);
            expect("alone", c, 1, build(&g, &sizes_of[k]), alone(c, &sizes_of[k]));
        }
}

static void test_feature_groups(void **state) {
    (void)state;
    for (int number = 1; number <= sr_class_count(); number++)
        for (int k = 0; k < SIZES; k++) {
            const sr_class *c = sr_class_get(number);
            const sr_sizes *s = &sizes_of[k];
            for (int n = 2; n <= 3; n++)
                for (int strategy = 2; strategy <= 1 << sr_family_features(c->family); strategy++) {
                    tally wanted = {0, 0};
                    for (int f = 0; f < 2; f++)
                        if ((strategy - 1) >> f & 1) {
                            wanted.params += (n - 1) * by_feature(c, s, f).params;
                            wanted.cache += (n - 1) * by_feature(c, s, f).cache;
                        }
                    sr_genome g = group(c, n, 1, strategy), plain = group(c, n, 1, 1);
                    expect("feature group", c, strategy, saved(&g, &plain, s), wanted);
                }
        }
}

/* Weights only; together with a feature group the weights still exist once, and the caches are
 * those of the feature group. */
static void test_featurizers(void **state) {
    (void)state;
    for (int number = 1; number <= sr_class_count(); number++)
        for (int k = 0; k < SIZES; k++) {
            const sr_class *c = sr_class_get(number);
            const sr_sizes *s = &sizes_of[k];
            const int n = 3, last = 1 << sr_family_features(c->family);
            tally wanted = {(n - 1) * by_weights(c, s), 0};
            sr_genome g = group(c, n, 2, 1), plain = group(c, n, 1, 1);
            expect("featurizer", c, 2, saved(&g, &plain, s), wanted);
            for (int f = 0; f < sr_family_features(c->family); f++)
                wanted.cache += (n - 1) * by_feature(c, s, f).cache;
            g = group(c, n, 2, last);
            expect("both", c, last, saved(&g, &plain, s), wanted);
        }
}

/* Across classes a reader saves weights of its own shape, and one cache serves its longest reader.
 */
static void test_across_classes(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"SA-1", "SWA-1"},     {"SWA-1", "SA-1"}, {"SA-1", "LA-1"},  {"LA-1", "SA-1"},
        {"SA-2", "SA-1"},      {"SA-1", "SA-2"},  {"LWA-4", "SA-4"}, {"GConv-1", "GConv-2"},
        {"GMemless", "ReGLU"}, {"SA-1", "MHA"},   {"MHA-W", "SA-1"}, {"MHA-1H", "MHA-W-1H"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int k = 0; k < SIZES; k++) {
            const sr_class *a = sr_class_find(pairs[i][0]), *b = sr_class_find(pairs[i][1]);
            const sr_sizes *s = &sizes_of[k];
            const int strategy = 1 << sr_family_features(b->family);
            sr_genome plain = {.n = 2, .liv = {{a->number, 1, 1, 1, 1}, {b->number, 1, 1, 1, 1}}};
            sr_genome g = plain;
            g.liv[0].group_strategy = g.liv[1].group_strategy = strategy;
            tally wanted = {0, 0};
            for (int f = 0; f < sr_family_features(b->family); f++) {
                wanted.params += by_feature(b, s, f).params;
                if (b->family == SR_FAMILY_SA)
                    wanted.cache +=
                        2 * kv(b, s) * (least(rows(a, s), rows(b, s)) + (convolved(b) ? 2 : 0));
            }
            expect(a->name, b, strategy, saved(&g, &plain, s), wanted);
        }
}

/* Units of different feature shapes share nothing, whatever their labels say. */
static void test_other_shapes(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"SA-1", "SA-3"},    {"SA-1", "SA-1-Diff"},
                                           {"SA-1", "SA-1-1H"}, {"Rec-1", "Rec-2"},
                                           {"Rec-2", "Mamba"},  {"MoE-MLP-Shared", "MoE-MLP-Top2"},
                                           {"GLA", "LinAttn"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const sr_class *a = sr_class_find(pairs[i][0]), *b = sr_class_find(pairs[i][1]);
        sr_genome plain = {.n = 2, .liv = {{a->number, 1, 1, 1, 1}, {b->number, 1, 1, 1, 1}}};
        sr_genome g = {.n = 2, .liv = {{a->number, 1, 2, 1, 4}, {b->number, 1, 2, 1, 4}}};
        expect(a->name, b, 4, saved(&g, &plain, &sizes_of[0]), (tally){0, 0});
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),        cmocka_unit_test(test_feature_groups),
        cmocka_unit_test(test_featurizers),  cmocka_unit_test(test_across_classes),
        cmocka_unit_test(test_other_shapes),
    };
    ctx = sartor_context_create();
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    sartor_context_destroy(&ctx);
    return failures;
}
