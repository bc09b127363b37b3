/* Settings: baselines, the benchmark's grid, and which parameters can be met. */
#include "task/mad/rows.h"

#include <string.h>

static const struct {
    const char *name, *short_name;
} names[SR_MAD_TASKS] = {
    [SR_MAD_RECALL] = {"in-context-recall", "recall"},
    [SR_MAD_FUZZY] = {"fuzzy-in-context-recall", "fuzzy"},
    [SR_MAD_NOISY] = {"noisy-in-context-recall", "noisy"},
    [SR_MAD_COPY] = {"selective-copying", "copy"},
    [SR_MAD_COMPRESSION] = {"compression", "compression"},
    [SR_MAD_MEMORIZATION] = {"memorization", "memorization"},
};

const char *sr_mad_task_name(sr_mad_task_id task) { return names[task].name; }

int sr_mad_task_find(const char *name, size_t n) {
    for (int i = 0; i < SR_MAD_TASKS; i++) {
        const char *known[2] = {names[i].name, names[i].short_name};
        for (int k = 0; k < 2; k++)
            if (strlen(known[k]) == n && memcmp(known[k], name, n) == 0) return i;
    }
    return -1;
}

sr_mad_setting sr_mad_baseline(sr_mad_task_id task) {
    sr_mad_setting s = {
        .task = task, .vocab = 16, .length = 128, .train = 12800, .test = 1280, .seed = 12345};
    switch (task) {
    case SR_MAD_FUZZY:
        s.key_size = s.value_size = 3;
        s.multi_query = true;
        break;
    case SR_MAD_NOISY:
        s.vocab = 32;
        s.noise_vocab = 16;
        s.noise = 0.2;
        s.multi_query = true;
        break;
    case SR_MAD_COPY:
        s.length = 256;
        s.copy = 16;
        break;
    case SR_MAD_COMPRESSION:
        s.length = 32;
        break;
    case SR_MAD_MEMORIZATION:
        s.vocab = 256;
        s.length = 32;
        s.train = 256;
        break;
    default: /* plain recall */
        s.multi_query = true;
        break;
    }
    return s;
}

enum { MOST_VALUES = 5 }; /* of one parameter beside the baseline's; a 0 ends a shorter list */

/* The benchmark's published grids; all six are in mad-lab's configs/tasks. */
static const struct {
    int64_t vocab[MOST_VALUES], length[MOST_VALUES], train[MOST_VALUES], copy[MOST_VALUES];
    double noise[MOST_VALUES];
} grids[SR_MAD_TASKS] = {
    [SR_MAD_RECALL] = {{32, 64, 128}, {256, 512, 1024}, {6400, 3200, 1600, 800}, {0}, {0}},
    [SR_MAD_FUZZY] = {{32, 64, 128}, {256, 512, 1024}, {6400, 3200, 1600, 800}, {0}, {0}},
    [SR_MAD_NOISY] =
        {{48, 80, 144}, {256, 512, 1024}, {6400, 3200, 1600, 800}, {0}, {0.4, 0.6, 0.8}},
    [SR_MAD_COPY] = {{32, 64, 128}, {512, 1024}, {6400, 3200, 1600, 800}, {32, 64, 96}, {0}},
    [SR_MAD_COMPRESSION] = {{32, 64, 128}, {64, 128, 256}, {6400, 3200, 1600, 800}, {0}, {0}},
    [SR_MAD_MEMORIZATION] = {{512, 1024, 2048, 4096, 8192}, {0}, {0}, {0}, {0}},
};

int sr_mad_grid(sr_mad_task_id task, sr_mad_setting settings[SR_MAD_MOST_SETTINGS]) {
    const sr_mad_setting base = sr_mad_baseline(task);
    int n = 0;
    settings[n++] = base;
#define VARY(field)                                                                                \
    for (int i = 0; i < MOST_VALUES && grids[task].field[i] > 0; i++) {                            \
        settings[n] = base;                                                                        \
        settings[n++].field = grids[task].field[i];                                                \
    }
    VARY(vocab)
    VARY(length)
    VARY(train)
    VARY(copy)
    VARY(noise)
#undef VARY
    return n;
}

sr_mad_ids sr_mad_divide(const sr_mad_setting *s) {
    const int64_t many = s->multi_query ? 0 : 1; /* a single query has a token that announces it */
    sr_mad_ids ids = {.noise = s->noise_vocab};
    int64_t n = 0;
    switch (s->task) {
    case SR_MAD_COPY: /* the copy token and the blank */
        ids.contents = s->vocab - 2;
        return ids;
    case SR_MAD_COMPRESSION: /* the token that ends the sequence */
        ids.contents = s->vocab - 1;
        return ids;
    case SR_MAD_MEMORIZATION: /* the token in the place of values */
        n = s->vocab - 1;
        break;
    case SR_MAD_FUZZY: /* padding */
        n = s->vocab - 1 - many - s->noise_vocab;
        break;
    default:
        n = s->vocab - many - s->noise_vocab;
        break;
    }
    ids.keys = n / 2;
    ids.values = n - ids.keys;
    return ids;
}

int64_t sr_mad_network_length(const sr_mad_setting *s) {
    bool plain = s->task == SR_MAD_RECALL || s->task == SR_MAD_NOISY;
    return plain && s->multi_query ? s->length - 1 : s->length;
}

double sr_mad_chance(const sr_mad_setting *s) {
    sr_mad_ids ids = sr_mad_divide(s);
    switch (s->task) {
    case SR_MAD_COPY:
        return 1.0 / (double)ids.contents;
    case SR_MAD_COMPRESSION: /* the last token is a target, too */
        return 1.0 / (double)s->vocab;
    case SR_MAD_MEMORIZATION: /* a value without a key is never wanted */
        return 1.0 / (double)ids.keys;
    default:
        return 1.0 / (double)ids.values;
    }
}

/* Bounds against slips of the keyboard; a data set of the largest size takes 8 GB. */
enum { MOST_VOCAB = 1 << 16, MOST_LENGTH = 1 << 16, MOST_ROWS = 10000000, MOST_TOKENS = 1 << 30 };

static sartor_status in_range(sartor_context *ctx, const char *name, int64_t value, int64_t least,
                              int64_t most) {
    if (value >= least && value <= most) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID, "%s %lld is not in %lld..%lld", name, (long long)value,
                   (long long)least, (long long)most);
}

static sartor_status too_short(sartor_context *ctx, const sr_mad_setting *s, int64_t least) {
    return sr_fail(ctx, SARTOR_INVALID, "length %lld is too short for %s: at least %lld",
                   (long long)s->length, sr_mad_task_name(s->task), (long long)least);
}

static sartor_status check_vocab(sartor_context *ctx, const sr_mad_setting *s) {
    sr_mad_ids ids = sr_mad_divide(s);
    int64_t keys = s->key_size > 2 ? s->key_size : 2;
    int64_t values = s->value_size > 2 ? s->value_size : 2;
    bool contents = s->task == SR_MAD_COPY || s->task == SR_MAD_COMPRESSION;
    if (contents ? ids.contents >= 2 : ids.keys >= keys && ids.values >= values) return SARTOR_OK;
    if (contents)
        return sr_fail(ctx, SARTOR_INVALID,
                       "vocab %lld is too small for %s: at least 2 tokens beside the special ones",
                       (long long)s->vocab, sr_mad_task_name(s->task));
    return sr_fail(
        ctx, SARTOR_INVALID,
        "vocab %lld is too small for %s: it leaves %lld keys and %lld values, and it "
        "takes %lld and %lld",
        (long long)s->vocab, sr_mad_task_name(s->task), (long long)(ids.keys > 0 ? ids.keys : 0),
        (long long)(ids.values > 0 ? ids.values : 0), (long long)keys, (long long)values);
}

static sartor_status check_noise(sartor_context *ctx, const sr_mad_setting *s) {
    if (!(s->noise >= 0 && s->noise < 1))
        return sr_fail(ctx, SARTOR_INVALID, "noise %g is not a share from 0 to below 1", s->noise);
    if (s->noise > 0 && s->noise_vocab == 0)
        return sr_fail(ctx, SARTOR_INVALID, "noise %g needs noise-vocab of 1 or more", s->noise);
    return SARTOR_OK;
}

/* The length, and what it has to have room for. */
static sartor_status check_length(sartor_context *ctx, const sr_mad_setting *s) {
    bool pairs = s->task != SR_MAD_FUZZY && s->task != SR_MAD_COPY && s->task != SR_MAD_COMPRESSION;
    int64_t least = 2;
    if (s->task == SR_MAD_RECALL || s->task == SR_MAD_NOISY) least = 4;
    /* The probe twice, and a token to draw its place from. */
    if (s->task == SR_MAD_FUZZY) least = 2 * (s->key_size + s->value_size) + 1;
    /* The tokens twice, the copy token and a blank. */
    if (s->task == SR_MAD_COPY) least = 2 * s->copy + 2;
    if (s->length < least) return too_short(ctx, s, least);
    if (pairs && s->length % 2 != 0)
        return sr_fail(ctx, SARTOR_INVALID, "length %lld is odd: %s is made of pairs",
                       (long long)s->length, sr_mad_task_name(s->task));
    int64_t rows = s->train + 2 * s->test;
    if (rows * s->length > MOST_TOKENS)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%lld examples of length %lld are more than 2^30 tokens", (long long)rows,
                       (long long)s->length);
    return SARTOR_OK;
}

sartor_status sr_mad_setting_check(sartor_context *ctx, const sr_mad_setting *s) {
    if ((int)s->task < 0 || s->task >= SR_MAD_TASKS)
        return sr_fail(ctx, SARTOR_INVALID, "there is no MAD task %d", (int)s->task);
    bool recall = s->task <= SR_MAD_NOISY;
    SR_TRY(in_range(ctx, "vocab", s->vocab, 2, MOST_VOCAB));
    SR_TRY(in_range(ctx, "length", s->length, 2, MOST_LENGTH));
    SR_TRY(in_range(ctx, "train", s->train, 1, MOST_ROWS));
    SR_TRY(in_range(ctx, "test", s->test, 1, MOST_ROWS));
    if (recall) SR_TRY(in_range(ctx, "noise-vocab", s->noise_vocab, 0, MOST_VOCAB));
    if (recall) SR_TRY(check_noise(ctx, s));
    if (s->task == SR_MAD_FUZZY) {
        SR_TRY(in_range(ctx, "key-size", s->key_size, 1, SR_MAD_LONGEST_TUPLE));
        SR_TRY(in_range(ctx, "value-size", s->value_size, 1, SR_MAD_LONGEST_TUPLE));
    }
    if (s->task == SR_MAD_COPY) SR_TRY(in_range(ctx, "copy", s->copy, 1, MOST_LENGTH));
    SR_TRY(check_vocab(ctx, s));
    return check_length(ctx, s);
}
