/* Fuzzy in-context recall: as in-context recall, but a key and a value are tuples of one to a few
 * tokens, without a mark between them. The sequence ends with a key that was drawn first of all and
 * put in somewhere, the probe; rows are filled up with padding on the left.
 *
 * The benchmark lists all permutations of keys and of values, shuffles the lists for every row and
 * picks from them. That is done here as long as the lists are short, so that the rows are the
 * benchmark's; beyond, tuples are drawn directly, which gives the same distribution. */
#include "base/memory.h"
#include "task/mad/rows.h"
#include <stdlib.h>
#include <string.h>

typedef struct tuple {
    int size;
    int32_t token[SR_MAD_LONGEST_TUPLE];
} tuple;

/* Tuples of `ids` tokens from `first` on. lists[size - 1]: numbers of all permutations in
 * lexicographic order, shuffled; NULL: tuples are drawn directly. */
typedef struct pool {
    int64_t first, ids;
    int most; /* tokens of a tuple */
    int32_t *lists[SR_MAD_LONGEST_TUPLE];
} pool;

/* What a row has shown of keys and their values: a hash table with open addressing. An entry of
 * another row than `row` is free. */
typedef struct entry {
    int64_t row;
    uint64_t key;
    tuple value;
} entry;

typedef struct fuzzy {
    const sr_mad_setting *setting;
    pool keys, values;
    int64_t noise; /* noise tokens, behind the values */
    entry *shown;
    uint64_t mask; /* entries - 1 */
    int64_t row;
    int32_t *tokens, *wanted; /* of the row: `n` so far */
    int64_t n;
} fuzzy;

static int64_t permutations(int64_t ids, int size) {
    int64_t count = 1;
    for (int i = 0; i < size; i++) count *= ids - i; /* at most 2^60: see sr_mad_setting_check() */
    return count;
}

static int64_t all_permutations(const pool *p) {
    int64_t count = 0;
    for (int size = 1; size <= p->most; size++) count += permutations(p->ids, size);
    return count;
}

static void shuffle_list(const pool *p, int size, sr_pcg64 *rng) {
    int32_t *list = p->lists[size - 1];
    if (list == NULL) return;
    int32_t n = (int32_t)permutations(p->ids, size);
    for (int32_t i = 0; i < n; i++) list[i] = i;
    sr_pcg64_shuffle(rng, list, n);
}

/* A tuple without repeated tokens, uniform among all of this size: each place is the k-th of the
 * tokens that are left. */
static tuple draw_tuple(const pool *p, int size, sr_pcg64 *rng) {
    tuple t = {.size = size};
    int32_t sorted[SR_MAD_LONGEST_TUPLE];
    const int32_t *list = p->lists[size - 1];
    int64_t permutation = list ? list[sr_pcg64_choice(rng, permutations(p->ids, size))] : 0;
    for (int i = 0; i < size; i++) {
        int64_t k;
        if (list != NULL) {
            int64_t following = permutations(p->ids - i - 1, size - i - 1);
            k = permutation / following;
            permutation %= following;
        } else {
            k = sr_pcg64_choice(rng, p->ids - i);
        }
        int at = 0;
        for (; at < i && k >= sorted[at]; at++) k++;
        memmove(sorted + at + 1, sorted + at, (size_t)(i - at) * sizeof sorted[0]);
        sorted[at] = (int32_t)k;
        t.token[i] = (int32_t)(p->first + k);
    }
    return t;
}

/* Different tuples have different codes: tokens of keys are below 2^15, half of the vocabulary. */
_Static_assert(16 * SR_MAD_LONGEST_TUPLE <= 64, "a code is 16 bits for each token");
static uint64_t code(const tuple *t) {
    uint64_t code = 0;
    for (int i = 0; i < t->size; i++) code = code << 16 | (uint64_t)(t->token[i] + 1);
    return code;
}

/* The entry of a key, or the free one where it belongs. */
static entry *find(const fuzzy *f, uint64_t key) {
    uint64_t at = (key * 0x9e3779b97f4a7c15u >> 32) & f->mask;
    while (f->shown[at].row == f->row && f->shown[at].key != key) at = (at + 1) & f->mask;
    return &f->shown[at];
}

static void emit(fuzzy *f, const tuple *t, bool scored) {
    for (int i = 0; i < t->size; i++, f->n++) {
        f->tokens[f->n] = t->token[i];
        f->wanted[f->n] = scored ? t->token[i] : SR_MAD_IGNORE;
    }
}

static void emit_one(fuzzy *f, int64_t token) { emit(f, &(tuple){1, {(int32_t)token}}, false); }

/* The training form uses keys of all sizes, the test form only the longest. */
static int key_size(const fuzzy *f, bool test_form, sr_pcg64 *rng) {
    return test_form ? f->keys.most : 1 + (int)sr_pcg64_choice(rng, f->keys.most);
}

/* One row from its first key to the probe's value, not padded. The order of drawing is the
 * benchmark's: sizes are drawn even where the probe or noise takes the pair's place. */
static void draw(fuzzy *f, bool test_form, sr_pcg64 *rng) {
    const sr_mad_setting *s = f->setting;
    for (int size = test_form ? f->keys.most : 1; size <= f->keys.most; size++)
        shuffle_list(&f->keys, size, rng);
    for (int size = 1; size <= f->values.most; size++) shuffle_list(&f->values, size, rng);

    int probe_key_size = key_size(f, test_form, rng);
    int probe_value_size = 1 + (int)sr_pcg64_choice(rng, f->values.most);
    tuple probe_key = draw_tuple(&f->keys, probe_key_size, rng);
    tuple probe_value = draw_tuple(&f->values, probe_value_size, rng);
    uint64_t probe = code(&probe_key);
    int64_t probe_tokens = probe_key_size + probe_value_size;
    int64_t probe_from = sr_pcg64_choice(rng, s->length - 2 * probe_tokens);
    bool probe_shown = false; /* may stay so: the row can be full before probe_from */
    f->n = 0;
    f->row++;
    while (f->n < s->length - probe_tokens - f->keys.most - f->values.most) {
        int k_size = key_size(f, test_form, rng);
        int v_size = 1 + (int)sr_pcg64_choice(rng, f->values.most);
        if (f->n >= probe_from && !probe_shown) {
            emit(f, &probe_key, false);
            emit(f, &probe_value, false);
            *find(f, probe) = (entry){f->row, probe, probe_value};
            probe_shown = true;
            continue;
        }
        if (s->noise > 0 && sr_pcg64_uniform(rng) < s->noise) {
            int64_t first = f->values.first + f->values.ids;
            for (int i = 0; i < k_size + v_size; i++)
                emit_one(f, first + sr_pcg64_choice(rng, f->noise));
            continue;
        }
        tuple key = draw_tuple(&f->keys, k_size, rng);
        uint64_t k = code(&key);
        entry *e = find(f, k);
        bool again = e->row == f->row;
        if (k == probe) probe_shown = true;
        if (!again)
            *e = (entry){f->row, k, k == probe ? probe_value : draw_tuple(&f->values, v_size, rng)};
        emit(f, &key, false);
        emit(f, &e->value, again && s->multi_query);
    }
    if (!s->multi_query) emit_one(f, s->vocab - 1);
    emit(f, &probe_key, false);
    emit(f, &probe_value, true);
}

/* Moves the row to the end of `length` tokens and fills what is before it. */
static void pad(fuzzy *f, int64_t length, int32_t padding) {
    int64_t missing = length - f->n;
    memmove(f->tokens + missing, f->tokens, (size_t)f->n * sizeof f->tokens[0]);
    memmove(f->wanted + missing, f->wanted, (size_t)f->n * sizeof f->wanted[0]);
    for (int64_t i = 0; i < missing; i++) {
        f->tokens[i] = padding;
        f->wanted[i] = SR_MAD_IGNORE;
    }
}

static void release(fuzzy *f) {
    for (int i = 0; i < SR_MAD_LONGEST_TUPLE; i++) {
        free(f->keys.lists[i]);
        free(f->values.lists[i]);
    }
    free(f->shown);
    free(f->tokens);
}

static sartor_status make_lists(sartor_context *ctx, pool *p) {
    for (int size = 1; size <= p->most; size++) {
        void *list = NULL;
        SR_TRY(sr_alloc(ctx, (size_t)permutations(p->ids, size), sizeof(int32_t), "permutations",
                        &list));
        p->lists[size - 1] = list;
    }
    return SARTOR_OK;
}

static sartor_status prepare(sartor_context *ctx, fuzzy *f, int64_t length, int64_t enumerate) {
    if (all_permutations(&f->keys) + all_permutations(&f->values) <= enumerate) {
        SR_TRY(make_lists(ctx, &f->keys));
        SR_TRY(make_lists(ctx, &f->values));
    }
    /* A pair has two tokens or more: the table is never more than half full. */
    size_t entries = 1;
    while (entries < (size_t)length + 1) entries *= 2;
    f->mask = entries - 1;
    void *block = NULL;
    SR_TRY(sr_alloc(ctx, entries, sizeof(entry), "the keys of a sequence", &block));
    f->shown = block;
    SR_TRY(sr_alloc(ctx, 2 * ((size_t)length + 1), sizeof(int32_t), "a sequence", &block));
    f->tokens = block;
    f->wanted = f->tokens + length + 1;
    return SARTOR_OK;
}

sartor_status sr_mad_fuzzy_rows(sartor_context *ctx, const sr_mad_setting *setting,
                                sr_mad_stream *stream, bool test_form, sr_mad_set *set) {
    sr_mad_ids ids = sr_mad_divide(setting);
    fuzzy f = {.setting = setting,
               .keys = {.first = 0, .ids = ids.keys, .most = (int)setting->key_size},
               .values = {.first = ids.keys, .ids = ids.values, .most = (int)setting->value_size},
               .noise = ids.noise};
    int32_t padding = (int32_t)setting->vocab - (setting->multi_query ? 1 : 2);
    sartor_status status = prepare(ctx, &f, set->length, stream->enumerate);
    for (int64_t row = 0; status == SARTOR_OK && row < set->rows; row++) {
        draw(&f, test_form, &stream->rng);
        pad(&f, set->length + 1, padding);
        sr_mad_shift(f.tokens, f.wanted, set->length, test_form, set->inputs + row * set->length,
                     set->targets + row * set->length);
    }
    release(&f);
    return status;
}
