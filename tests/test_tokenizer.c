/* Tokenizers: lossless on every byte string, exact byte counts, and no harm from any model file. */
#define _GNU_SOURCE
#include "base/rng.h"
#include "data/spm_model.h"
#include "data/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { VOCAB = 500, SAMPLE = 60000 };

static sartor_context *ctx;
static char folder[] = "/tmp/sartor-test-XXXXXX", corpus[64];
static sr_tokenizer *tokenizers[3]; /* bytes, unigram, BPE */
static char sample[SAMPLE + 256];

static uint64_t draw(uint64_t index, uint64_t bound) {
    return sr_rng_below((sr_rng){7, SR_FOR_TEST, 1}, index, bound);
}

/* Sentences of a small language of 500 words, some frequent, with indented lines in between. */
static size_t make_sample(char *p) {
    static const char *const syllables[] = {
        "the", "se",   "arch", "mo",  "del", "tra", "in", "quick", "ly", "lap", "top", "na",
        "ïve", "stra", "ße",   "ker", "nel", "10",  "24", "ga",    "te", "–",   "\"x", "que"};
    enum { SYLLABLES = sizeof syllables / sizeof *syllables };
    size_t n = 0;
    for (uint64_t i = 0; n < SAMPLE; i++) {
        uint64_t word = draw(2 * i, draw(2 * i + 1, 500) + 1);
        for (uint64_t k = 0; k <= word % 3; k++)
            n += (size_t)snprintf(p + n, 8, "%s", syllables[draw(word * 8 + k, SYLLABLES)]);
        n += (size_t)snprintf(p + n, 8, "%s",
                              i % 12 == 11   ? ".\n"
                              : i % 50 == 49 ? "\n\n    "
                                             : " ");
    }
    return n;
}

static sr_source *open_corpus(const char *path) {
    const char *paths[] = {path};
    sr_source_options options = {.data = paths, .data_count = 1};
    sr_source *source = NULL;
    assert_int_equal(sr_source_open(ctx, &options, &source), SARTOR_OK);
    return source;
}

static void write_file(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static sr_tokenizer *train(bool bpe, int32_t vocab) {
    sr_source *source = open_corpus(corpus);
    sr_tokenizer_training options = {.bpe = bpe, .vocab = vocab};
    sr_tokenizer *t = NULL;
    sartor_status status = sr_tokenizer_train(ctx, source, &options, &t);
    if (status != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    sr_source_close(&source);
    return t;
}

static int set_up(void **state) {
    (void)state;
    ctx = sartor_context_create();
    if (ctx == NULL || mkdtemp(folder) == NULL) return -1;
    snprintf(corpus, sizeof corpus, "%s/corpus.txt", folder);
    write_file(corpus, sample, make_sample(sample));
    assert_int_equal(sr_tokenizer_bytes(ctx, &tokenizers[0]), SARTOR_OK);
    tokenizers[1] = train(false, VOCAB);
    tokenizers[2] = train(true, VOCAB);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) sr_tokenizer_free(&tokenizers[i]);
    unlink(corpus);
    rmdir(folder);
    sartor_context_destroy(&ctx);
    return 0;
}

/* decode(encode(x)) == x, no separator in it, and the byte counts sum to n. Gives the tokens used.
 */
static size_t check_lossless(const sr_tokenizer *t, const void *text, size_t n) {
    sr_ids ids = {NULL, 0, 0};
    assert_int_equal(sr_tokenizer_encode(ctx, t, text, n, &ids), SARTOR_OK);
    const int32_t *bytes = sr_tokenizer_token_bytes(t);
    size_t sum = 0;
    for (size_t i = 0; i < ids.count; i++) {
        assert_in_range(ids.ids[i], 0, sr_tokenizer_separator(t) - 1);
        assert_true(bytes[ids.ids[i]] > 0);
        sum += (size_t)bytes[ids.ids[i]];
    }
    assert_int_equal(sum, n);
    char *back = NULL;
    size_t size = 0;
    assert_int_equal(sr_tokenizer_decode(ctx, t, ids.ids, ids.count, &back, &size), SARTOR_OK);
    assert_int_equal(size, n);
    assert_memory_equal(back, text, n);
    size_t count = ids.count;
    free(back);
    sr_ids_free(&ids);
    return count;
}

static void check_all(const void *text, size_t n) {
    for (int i = 0; i < 3; i++) check_lossless(tokenizers[i], text, n);
}

static void test_vocabularies(void **state) {
    (void)state;
    assert_int_equal(sr_tokenizer_vocab(tokenizers[0]), 257);
    for (int i = 0; i < 3; i++) {
        const sr_tokenizer *t = tokenizers[i];
        if (i > 0) assert_int_equal(sr_tokenizer_vocab(t), VOCAB);
        assert_int_equal(sr_tokenizer_is_bytes(t), i == 0);
        assert_int_equal(sr_tokenizer_separator(t), sr_tokenizer_vocab(t) - 1);
        assert_int_equal(sr_tokenizer_token_bytes(t)[sr_tokenizer_separator(t)], 0);
        size_t size = 1;
        sr_tokenizer_piece(t, sr_tokenizer_separator(t), &size);
        assert_int_equal(size, 0);
        sr_tokenizer_piece(t, -1, &size);
        assert_int_equal(size, 0);
    }
    size_t n = strlen(sample);
    assert_int_equal(check_lossless(tokenizers[0], sample, n), n);
    assert_true(check_lossless(tokenizers[1], sample, n) < n / 3);
    assert_true(check_lossless(tokenizers[2], sample, n) < n / 3);
}

static void test_hard_strings(void **state) {
    (void)state;
    static const char *const strings[] = {
        "",
        " ",
        "  ",
        "        the        search  ",
        "\n",
        "\n\n\n",
        "\r\n\r\n",
        "\t\ttab\tbed\t",
        " leading and trailing ",
        "line\n    indented\n\tby tab\n",
        "\xe2\x96\x81", /* SentencePiece's own space mark */
        " \xe2\x96\x81 \xe2\x96\x81\xe2\x96\x81the\xe2\x96\x81search ",
        "\xe2\x96", /* half of it */
        "<0x41>",
        "<unk><s></s><pad>",
        "\xef\xbb\xbf"
        "byte order mark",
        "zero\xe2\x80\x8bwidth\xe2\x80\x8djoin\xc2\xad",
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 family",
        "e\xcc\x81 and \xc3\xa9, \xef\xac\x81 and \xef\xbc\xa1", /* what normalisation would join */
        "\xee\x80\x80\xf4\x8f\xbf\xbf\xef\xbf\xbf", /* private use, last, noncharacter */
        "\xe3\x80\x80\xc2\xa0\xe2\x80\x87\xe2\x80\xa8\xe2\x80\xa9\xc2\x85", /* other spaces */
        "\x01\x02\x1b[31m\x7f",
        "\xff\xfe\x80\xc0\xaf", /* never UTF-8 */
        "\xed\xa0\x80 surrogate \xf4\x90\x80\x80 too large",
        "truncated \xf0\x9f\x91",
        "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 \xe4\xbd\xa0\xe5\xa5\xbd "
        "\xe0\xa4\xa8\xe0\xa4\xae",
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        check_all(strings[i], strlen(strings[i]));
    check_all("a\0b\0\0the search", 15);
}

static size_t put_utf8(char *p, uint32_t c) {
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (char)(0xc0 | c >> 6);
        p[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (char)(0xe0 | c >> 12);
        p[1] = (char)(0x80 | (c >> 6 & 63));
        p[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    p[0] = (char)(0xf0 | c >> 18);
    p[1] = (char)(0x80 | (c >> 12 & 63));
    p[2] = (char)(0x80 | (c >> 6 & 63));
    p[3] = (char)(0x80 | (c & 63));
    return 4;
}

static void test_every_character(void **state) {
    (void)state;
    static char text[4 * 0x1000 + 8];
    for (uint32_t first = 0; first < 0x110000; first += 0x1000) {
        size_t n = 0;
        for (uint32_t c = first; c < first + 0x1000; c++)
            if (c < 0xd800 || c > 0xdfff) n += put_utf8(text + n, c);
        for (int i = 1; i < 3; i++) check_lossless(tokenizers[i], text, n);
    }
}

static void test_random_strings(void **state) {
    (void)state;
    static const uint32_t ranges[][2] = {{0x20, 0x7f},       {0x20, 0x7f},     {0, 0x20},
                                         {0x80, 0x800},      {0x2570, 0x2590}, {0x4e00, 0x9fff},
                                         {0x1f300, 0x1f6ff}, {0x20, 0x22}};
    char text[1200];
    uint64_t at = 1u << 20;
    for (int round = 0; round < 400; round++) {
        size_t n = 0, length = draw(at++, 200);
        for (size_t i = 0; i < length; i++) {
            const uint32_t *r = ranges[draw(at++, 8)];
            n += put_utf8(text + n, r[0] + (uint32_t)draw(at++, r[1] - r[0]));
        }
        check_all(text, n);
        for (size_t i = 0; i < n / 4; i++, at += 2) text[draw(at, n)] = (char)draw(at + 1, 256);
        check_all(text, n); /* now damaged, or any bytes at all */
        for (size_t i = 0; i < n; i++) text[i] = (char)draw(at++, 256);
        check_all(text, n);
    }
}

static void test_long_strings(void **state) {
    (void)state;
    size_t n = 150000;
    char *text = malloc(n);
    assert_non_null(text);
    const char *const units[] = {
        "a", " ", "\n", "the search ", "\xf0\x9f\x91\xa9", "\x80", "  \xe2\x96\x81"};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t unit = strlen(units[u]);
        for (size_t i = 0; i < n; i++) text[i] = units[u][i % unit];
        check_all(text, n);
    }
    free(text);
}

/* Text longer than a chunk is cut where no piece reaches across: the tokens are those of its lines.
 */
static void test_chunks_change_nothing(void **state) {
    (void)state;
    for (int k = 1; k < 3; k++) {
        sr_ids whole = {NULL, 0, 0}, lines = {NULL, 0, 0};
        size_t n = strlen(sample);
        assert_int_equal(sr_tokenizer_encode(ctx, tokenizers[k], sample, n, &whole), SARTOR_OK);
        for (size_t at = 0; at < n;) {
            const char *end = memchr(sample + at, '\n', n - at);
            size_t size = end != NULL ? (size_t)(end - sample) + 1 - at : n - at;
            assert_int_equal(sr_tokenizer_encode(ctx, tokenizers[k], sample + at, size, &lines),
                             SARTOR_OK);
            at += size;
        }
        assert_int_equal(whole.count, lines.count);
        assert_memory_equal(whole.ids, lines.ids, whole.count * sizeof *whole.ids);
        sr_ids_free(&whole);
        sr_ids_free(&lines);
    }
}

static void test_blob(void **state) {
    (void)state;
    char path[96];
    snprintf(path, sizeof path, "%s/copy.model", folder);
    for (int i = 0; i < 3; i++) {
        size_t size = 0;
        const void *blob = sr_tokenizer_blob(tokenizers[i], &size);
        sr_tokenizer *copy = NULL;
        write_file(path, blob, size);
        assert_int_equal(sr_tokenizer_load(ctx, path, &copy), SARTOR_OK);
        sr_hash a = sr_tokenizer_identity(tokenizers[i]), b = sr_tokenizer_identity(copy);
        assert_memory_equal(&a, &b, sizeof a);
        sr_ids x = {NULL, 0, 0}, y = {NULL, 0, 0};
        assert_int_equal(sr_tokenizer_encode(ctx, tokenizers[i], sample, 9999, &x), SARTOR_OK);
        assert_int_equal(sr_tokenizer_encode(ctx, copy, sample, 9999, &y), SARTOR_OK);
        assert_int_equal(x.count, y.count);
        assert_memory_equal(x.ids, y.ids, x.count * sizeof *x.ids);
        sr_ids_free(&x);
        sr_ids_free(&y);
        sr_tokenizer_free(&copy);
    }
    unlink(path);
    sr_tokenizer *none = NULL;
    assert_int_equal(sr_tokenizer_load(ctx, path, &none), SARTOR_IO);
    assert_null(none);
}

static void test_training(void **state) {
    (void)state;
    sr_tokenizer *again = train(false, VOCAB);
    sr_hash a = sr_tokenizer_identity(tokenizers[1]), b = sr_tokenizer_identity(again);
    assert_memory_equal(&a, &b, sizeof a);
    sr_tokenizer_free(&again);
    b = sr_tokenizer_identity(tokenizers[2]);
    assert_memory_not_equal(&a, &b, sizeof a);

    sr_source *source = open_corpus(corpus);
    sr_tokenizer_training options = {.vocab = 50000};
    assert_int_equal(sr_tokenizer_train(ctx, source, &options, &again), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "50000"));
    assert_null(again);
    options.vocab = 100;
    assert_int_equal(sr_tokenizer_train(ctx, source, &options, &again), SARTOR_INVALID);
    options = (sr_tokenizer_training){.vocab = 400, .max_bytes = 20000};
    assert_int_equal(sr_tokenizer_train(ctx, source, &options, &again), SARTOR_OK);
    check_lossless(again, sample, strlen(sample));
    sr_tokenizer_free(&again);
    sr_source_close(&source);
}

/* The last message of a kind counts, so appended settings replace those of the model. */
static void refuse(const char *settings, size_t n, const char *word) {
    size_t size = 0;
    const void *blob = sr_tokenizer_blob(tokenizers[1], &size);
    char *copy = malloc(size + n);
    assert_non_null(copy);
    memcpy(copy, blob, size);
    memcpy(copy + size, settings, n);
    sr_tokenizer *t = NULL;
    assert_int_equal(sr_tokenizer_from_blob(ctx, copy, size + n, &t), SARTOR_INVALID);
    if (strstr(sartor_error(ctx), word) == NULL) fail_msg("%s", sartor_error(ctx));
    assert_null(t);
    free(copy);
}

static void test_lossy_models_are_refused(void **state) {
    (void)state;
    refuse("\x1a\x04\x18\x01\x20\x00", 6, "dummy prefix");
    refuse("\x1a\x02\x20\x00", 4, "dummy prefix"); /* the format's default */
    refuse("\x1a\x04\x18\x00\x20\x01", 6, "extra whitespace");
    refuse("\x1a\x06\x18\x00\x20\x00\x28\x00", 8, "escape");
    refuse("\x1a\x07\x12\x01x\x18\x00\x20\x00", 9, "normalises");
    refuse("\x12\x02\x18\x01", 4, "byte fallback");
    refuse("\x12\x05\x18\x03\x98\x02\x01", 7, "neither unigram nor BPE");
}

static void test_malformed_models_do_no_harm(void **state) {
    (void)state;
    size_t size = 0;
    const char *blob = sr_tokenizer_blob(tokenizers[2], &size);
    sr_tokenizer *t = NULL;
    for (size_t n = 0; n < size; n += n < 64 || size - n < 64 ? 1 : 53) {
        assert_int_not_equal(sr_tokenizer_from_blob(ctx, blob, n, &t), SARTOR_OK);
        assert_null(t);
        assert_true(strlen(sartor_error(ctx)) > 0);
    }
    char *copy = malloc(size);
    assert_non_null(copy);
    int good = 0;
    for (uint64_t round = 0; round < 400; round++) {
        memcpy(copy, blob, size);
        for (uint64_t i = 0; i <= round % 3; i++)
            copy[draw(round * 8 + i, size)] ^= (char)(1 + draw(round * 8 + 4 + i, 255));
        if (sr_tokenizer_from_blob(ctx, copy, size, &t) != SARTOR_OK) continue;
        check_lossless(t, sample, 500);
        sr_tokenizer_free(&t);
        good++;
    }
    assert_true(good > 0);
    free(copy);
    int32_t outside = sr_tokenizer_vocab(tokenizers[1]);
    char *text = NULL;
    assert_int_equal(sr_tokenizer_decode(ctx, tokenizers[1], &outside, 1, &text, &size),
                     SARTOR_INVALID);
    assert_null(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vocabularies),
        cmocka_unit_test(test_hard_strings),
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_random_strings),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_chunks_change_nothing),
        cmocka_unit_test(test_blob),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_lossy_models_are_refused),
        cmocka_unit_test(test_malformed_models_do_no_harm),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, set_up, tear_down);
}
