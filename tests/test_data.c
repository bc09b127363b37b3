/* Documents and their parts, the token cache, training batches and evaluation windows. */
#define _GNU_SOURCE
#include "base/rng.h"
#include "data/batch.h"
#include "data/score.h"
#include "data/spm_model.h"

#include <dirent.h>
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * KIB };

static sartor_context *ctx;
static sr_tokenizer *bytes;
static char folder[64], cache[80];
static char last_log[256];

static void keep_log(void *user, const char *line) {
    (void)user;
    snprintf(last_log, sizeof last_log, "%s", line);
}

static uint64_t draw(uint64_t index, uint64_t bound) {
    return sr_rng_below((sr_rng){11, SR_FOR_TEST, 2}, index, bound);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/sartor-test-XXXXXX");
    ctx = sartor_context_create();
    if (ctx == NULL || mkdtemp(folder) == NULL) return -1;
    snprintf(cache, sizeof cache, "%s/cache", folder);
    sartor_set_log(ctx, keep_log, NULL);
    last_log[0] = '\0';
    return sr_tokenizer_bytes(ctx, &bytes) == SARTOR_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    sr_tokenizer_free(&bytes);
    sartor_context_destroy(&ctx);
    return 0;
}

/* A file under the test's folder, with the folders it needs. Static memory, eight results long. */
static const char *put(const char *name, const void *data, size_t n) {
    static char paths[8][160];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    char parent[160];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    assert_int_equal(sr_make_folder(ctx, parent), SARTOR_OK);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char *put_text(const char *name, const char *text) {
    return put(name, text, strlen(text));
}

static sr_source *open_with(sr_source_options options) {
    sr_source *s = NULL;
    if (sr_source_open(ctx, &options, &s) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    return s;
}

static sr_source *open_one(const char *path, const char *separator, bool whole) {
    return open_with((sr_source_options){&path, 1, NULL, 0, NULL, 0, separator, whole});
}

static void refuse(const char *path, sartor_status status, const char *words) {
    sr_source *s = NULL;
    assert_int_equal(sr_source_open(ctx, &(sr_source_options){.data = &path, .data_count = 1}, &s),
                     status);
    assert_null(s);
    if (strstr(sartor_error(ctx), words) == NULL) fail_msg("%s", sartor_error(ctx));
}

/* Paragraphs of words: `n` bytes, every 5 to 12 words a line, blank lines where `blank`. */
static char *make_text(size_t n, bool blank, uint64_t seed) {
    char *p = malloc(n + 64);
    assert_non_null(p);
    uint64_t at = seed << 32;
    for (size_t i = 0; i < n;) {
        size_t length = 1 + draw(at++, 9);
        for (size_t k = 0; k < length; k++) p[i++] = (char)('a' + draw(at++, 26));
        uint64_t end = draw(at++, 40);
        if (end > 3)
            p[i++] = ' ';
        else
            p[i++] = '\n';
        if (end == 0 && blank) p[i++] = '\n';
    }
    return p;
}

/* ---- documents ---- */

static void test_folder(void **state) {
    (void)state;
    put_text("in/b.txt", "bee");
    put_text("in/a/z.md", "zed");
    put_text("in/a.txt", "a text");
    put_text("in/a/a", "inner");
    put_text("in/.hidden", "hidden");
    put_text("in/.git/config", "hidden");
    put_text("in/empty", "");
    put("in/picture", "\x89PNG\0\0", 6);
    char path[96], outside[96];
    snprintf(path, sizeof path, "%s/in", folder);
    snprintf(outside, sizeof outside, "%s/in/link", folder);
    assert_int_equal(symlink("..", outside), 0);
    sr_source *s = open_one(path, NULL, true);
    static const char *const names[] = {"a.txt", "a/a", "a/z.md", "b.txt"};
    assert_int_equal(sr_source_count(s), 4);
    for (size_t i = 0; i < 4; i++) {
        const sr_document *d = sr_source_document(s, i);
        assert_string_equal(sr_source_path(s, d->file) + strlen(path) + 1, names[i]);
    }
    assert_non_null(strstr(last_log, "1 binary, 2 hidden, 1 other"));
    assert_int_equal(sr_source_bytes(s, SR_ALL_SPLITS), 3 + 3 + 6 + 5);
    const unsigned char *data = NULL;
    assert_int_equal(sr_source_read(ctx, s, 2, &data), SARTOR_OK);
    assert_memory_equal(data, "zed", 3);
    put_text("in/b.txt", "longer now");
    assert_int_equal(sr_source_read(ctx, s, 3, &data), SARTOR_MISMATCH);
    sr_source_close(&s);
}

static void test_bad_input(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/nothing", folder);
    refuse(path, SARTOR_IO, "No such file");
    assert_int_equal(mkdir(path, 0777), 0);
    refuse(path, SARTOR_INVALID, "without text files");
    refuse(put_text("empty.txt", ""), SARTOR_INVALID, "empty");
    put("only/binary", "\0\1\2", 3);
    snprintf(path, sizeof path, "%s/only", folder);
    refuse(path, SARTOR_INVALID, "no text");
    refuse(put("nul.bin", "text\0text", 9), SARTOR_INVALID, "binary");
    unsigned char noise[4096];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (unsigned char)(1 + draw(i, 255));
    refuse(put("noise.bin", noise, sizeof noise), SARTOR_INVALID, "binary");
    refuse("/dev/null", SARTOR_IO, "regular file");
    if (geteuid() != 0) {
        const char *secret = put_text("secret.txt", "text");
        assert_int_equal(chmod(secret, 0), 0);
        refuse(secret, SARTOR_IO, "Permission denied");
    }
    sr_source *s = NULL;
    assert_int_equal(sr_source_open(ctx, &(sr_source_options){0}, &s), SARTOR_INVALID);
    sr_split split;
    assert_int_equal(sr_split_parse(ctx, "val", &split), SARTOR_OK);
    assert_int_equal(split, SR_VAL);
    assert_int_equal(sr_split_parse(ctx, "dev", &split), SARTOR_INVALID);

    s = open_one(put_text("tiny.txt", "hello"), NULL, false);
    assert_int_equal(sr_source_require(ctx, s, SR_ALL_SPLITS), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "too few documents"));
    sr_source_close(&s);
}

static void test_separator(void **state) {
    (void)state;
    const char *path =
        put_text("s.txt", "<|end|>\none\n<|end|>  \r\n\n two<|end|>three<|end|><|end|>\nfour\n");
    static const char *const documents[] = {"one\n", "\n two", "three", "four\n"};
    sr_source *s = open_one(path, "<|end|>", true);
    assert_int_equal(sr_source_count(s), 4);
    for (size_t i = 0; i < 4; i++) {
        const unsigned char *data = NULL;
        assert_int_equal(sr_source_read(ctx, s, i, &data), SARTOR_OK);
        assert_int_equal(sr_source_document(s, i)->size, strlen(documents[i]));
        assert_memory_equal(data, documents[i], strlen(documents[i]));
    }
    sr_source_close(&s);
    s = open_one(path, "", true);
    assert_int_equal(sr_source_count(s), 1);
    sr_source_close(&s);
}

/* Cuts a file and checks that its blocks are the file. `mark` ends each block but the last. */
static void check_cuts(const char *name, const char *text, size_t n, const char *mark) {
    sr_source *s = open_one(put(name, text, n), NULL, true);
    uint64_t at = 0;
    size_t count = sr_source_count(s);
    assert_in_range(count, n / (96 * KIB), n / (63 * KIB) + 1);
    for (size_t i = 0; i < count; i++) {
        const sr_document *d = sr_source_document(s, i);
        assert_int_equal(d->offset, at);
        at += d->size;
        if (i + 1 == count) break;
        assert_in_range(d->size, 64 * KIB - 3, 96 * KIB);
        assert_memory_equal(text + at - strlen(mark), mark, strlen(mark));
        assert_int_not_equal(text[at] & 0xc0, 0x80);
        if (mark[0] != '\0') assert_int_not_equal(text[at], '\n');
    }
    assert_int_equal(at, n);
    sr_source_close(&s);
}

static void test_cutting(void **state) {
    (void)state;
    size_t n = 3 * MIB + 12345;
    char *text = make_text(n, true, 1);
    check_cuts("blank", text, n, "\n\n");
    sr_source *s = open_one(put("exact", text, MIB), NULL, true);
    assert_int_equal(sr_source_count(s), 1);
    sr_source_close(&s);
    free(text);
    text = make_text(n, false, 2);
    check_cuts("lines", text, n, "\n");
    for (size_t i = 0; i < n; i++) text[i] = "x\xf0\x9f\x91\xa9"[i % 5];
    check_cuts("characters", text, n, "");
    memset(text, 0xa9, n); /* not UTF-8 at all */
    s = open_one(put("bytes", text, n), NULL, true);
    assert_int_equal(sr_source_document(s, 0)->size, 64 * KIB);
    sr_source_close(&s);
    free(text);
}

static void test_parts(void **state) {
    (void)state;
    enum { N = 6000 };
    char *text = malloc(64 * N), *p = text;
    assert_non_null(text);
    for (int i = 0; i < N; i++) p += snprintf(p, 64, "document %d has a text\n%%%%\n", i);
    size_t half = (size_t)(strstr(text, "document 3000") - text);
    const char *all = put("all", text, (size_t)(p - text)), *some = put("some", text, half);
    sr_source *s = open_one(all, "%%", false), *t = open_one(some, "%%", false);
    assert_int_equal(sr_source_count(s), N);
    assert_int_equal(sr_source_count(t), N / 2);
    assert_in_range(sr_source_documents(s, SR_TRAIN), N * 88 / 100, N * 92 / 100);
    assert_in_range(sr_source_documents(s, SR_VAL), N * 4 / 100, N * 6 / 100);
    assert_in_range(sr_source_documents(s, SR_TEST), N * 4 / 100, N * 6 / 100);
    for (size_t i = 0; i < N / 2; i++) /* more text moves no document */
        assert_int_equal(sr_source_document(s, i)->split, sr_source_document(t, i)->split);
    sr_source_close(&t);

    const char *twice[] = {all, some}; /* copies go where the originals are */
    t = open_with((sr_source_options){.data = twice, .data_count = 2, .separator = "%%"});
    for (size_t i = 0; i < N / 2; i++)
        assert_int_equal(sr_source_document(t, i)->split, sr_source_document(t, N + i)->split);
    sr_source_close(&t);

    const char *val = put_text("val", "document 17 has a text\n%%\nanother\n");
    t = open_with((sr_source_options){&all, 1, &val, 1, NULL, 0, "%%", false});
    assert_int_equal(sr_source_documents(t, SR_VAL), 2);
    assert_int_equal(sr_source_documents(t, SR_TEST), sr_source_documents(s, SR_TEST));
    assert_int_equal(sr_source_documents(t, SR_TRAIN), N - sr_source_documents(s, SR_TEST));
    assert_non_null(strstr(last_log, "1 training documents"));
    sr_source_close(&t);
    t = open_with((sr_source_options){&all, 1, &val, 1, &some, 1, "%%", false});
    assert_int_equal(sr_source_documents(t, SR_TRAIN), N);
    assert_int_equal(sr_source_documents(t, SR_TEST), N / 2);
    sr_source_close(&t);

    /* The identity follows the content of the parts asked for, not names or folders. */
    sr_hash a = sr_source_identity(s, SR_TRAIN), b;
    t = open_one(put("renamed", text, (size_t)(p - text)), "%%", false);
    b = sr_source_identity(t, SR_TRAIN);
    assert_memory_equal(&a, &b, sizeof a);
    b = sr_source_identity(t, SR_VAL);
    assert_memory_not_equal(&a, &b, sizeof a);
    sr_source_close(&t);
    *strchr(text, 'h') = 'H';
    t = open_one(put("renamed", text, (size_t)(p - text)), "%%", false);
    b = sr_source_identity(t, SR_ALL_SPLITS);
    a = sr_source_identity(s, SR_ALL_SPLITS);
    assert_memory_not_equal(&a, &b, sizeof a);
    sr_source_close(&t);
    sr_source_close(&s);
    free(text);
}

static void test_few_documents_are_cut_finer(void **state) {
    (void)state;
    char *text = make_text(300 * KIB, true, 3);
    const char *path = put("book", text, 300 * KIB);
    sr_source *s = open_one(path, NULL, false);
    assert_int_equal(sr_source_require(ctx, s, SR_ALL_SPLITS), SARTOR_OK);
    assert_in_range(sr_source_count(s), 64, 150);
    assert_int_equal(sr_source_bytes(s, SR_ALL_SPLITS), 300 * KIB);
    assert_non_null(strstr(last_log, "few documents"));
    sr_source_close(&s);
    s = open_one(path, NULL, true);
    assert_int_equal(sr_source_count(s), 1);
    sr_source_close(&s);
    free(text);
}

/* ---- cache ---- */

static sr_tokens open_tokens(sr_source *s, const sr_tokenizer *t, sr_split split) {
    sr_tokens tokens;
    sr_cache_options options = {.folder = cache, .split = split};
    if (sr_tokens_open(ctx, s, t, &options, &tokens) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    return tokens;
}

/* The stream is SEP d0 SEP d1 ... SEP and says what the documents of the part say. */
static void check_stream(sr_source *s, const sr_tokenizer *t, const sr_tokens *tokens,
                         sr_split split) {
    uint64_t document = 0, total = 0;
    int32_t separator = sr_tokenizer_separator(t);
    assert_int_equal(sr_token(tokens, 0), separator);
    for (size_t i = 0; i < sr_source_count(s); i++) {
        const sr_document *d = sr_source_document(s, i);
        if ((d->split & split) == 0) continue;
        const unsigned char *data = NULL;
        assert_int_equal(sr_source_read(ctx, s, i, &data), SARTOR_OK);
        uint64_t at = tokens->starts[document++], end = tokens->starts[document] - 1, n = 0;
        assert_int_equal(sr_token(tokens, end), separator);
        for (; at < end; at++) {
            size_t size = 0;
            const char *piece = sr_tokenizer_piece(t, sr_token(tokens, at), &size);
            assert_true(size > 0 && n + size <= d->size && memcmp(data + n, piece, size) == 0);
            n += size;
        }
        assert_int_equal(n, d->size);
        total += n;
    }
    assert_int_equal(tokens->documents, document);
    assert_int_equal(tokens->starts[document], tokens->count);
    assert_int_equal(tokens->bytes, total);
}

static void test_cache(void **state) {
    (void)state;
    char *text = make_text(2 * MIB, true, 4), *again = NULL, path[384] = "";
    const char *file = put("text", text, 2 * MIB);
    sr_source *s = open_one(file, NULL, false);
    static const sr_split splits[] = {SR_TRAIN, SR_VAL, SR_TEST, SR_ALL_SPLITS};
    for (int i = 0; i < 4; i++) {
        if (i < 3 && sr_source_bytes(s, splits[i]) == 0) continue;
        sr_tokens tokens = open_tokens(s, bytes, splits[i]);
        assert_int_equal(tokens.width, 2);
        check_stream(s, bytes, &tokens, splits[i]);
        sr_tokens_close(&tokens);
    }
    nftw(cache, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    sr_tokens tokens = open_tokens(s, bytes, SR_TRAIN);
    sr_tokens_close(&tokens);
    DIR *dir = opendir(cache);
    assert_non_null(dir);
    int files = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", cache, e->d_name);
            files++;
        }
    closedir(dir);
    assert_int_equal(files, 1);

    char *first = NULL;
    size_t n = 0, m = 0;
    assert_int_equal(sr_file_read(ctx, path, 16 * MIB, &first, &n), SARTOR_OK);
    last_log[0] = '\0'; /* opened again, nothing is made */
    tokens = open_tokens(s, bytes, SR_TRAIN);
    sr_tokens_close(&tokens);
    assert_string_equal(last_log, "");
    static const double places[] = {0, 0.00001, 0.00003, 0.3, 0.99999, -1, -2};
    for (size_t i = 0; i < sizeof places / sizeof *places;
         i++) { /* damaged: made again, the same */
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, first, n);
        if (places[i] >= 0) copy[(size_t)((double)n * places[i])] ^= 0x10;
        m = places[i] == -1 ? n / 2 : places[i] == -2 ? 0 : n;
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(copy, 1, m, f), m);
        fclose(f);
        free(copy);
        tokens = open_tokens(s, bytes, SR_TRAIN);
        sr_tokens_close(&tokens);
        assert_int_equal(sr_file_read(ctx, path, 16 * MIB, &again, &m), SARTOR_OK);
        assert_int_equal(m, n);
        assert_memory_equal(first, again, n);
        free(again);
    }
    free(first);
    sartor_interrupt(ctx);
    sr_cache_options options = {.folder = cache, .split = SR_ALL_SPLITS};
    assert_int_equal(sr_tokens_open(ctx, s, bytes, &options, &tokens), SARTOR_INTERRUPTED);
    sr_source_close(&s);
    free(text);
}

static void test_cache_folder_that_cannot_be(void **state) {
    (void)state;
    char below[128];
    snprintf(below, sizeof below, "%s/cache", put_text("file", "hello world"));
    sr_source *s = open_one(put_text("text", "hello"), NULL, true);
    sr_tokens tokens;
    sr_cache_options options = {.folder = below};
    assert_int_equal(sr_tokens_open(ctx, s, bytes, &options, &tokens), SARTOR_IO);
    options = (sr_cache_options){.folder = cache, .split = SR_TEST | SR_VAL};
    assert_int_equal(sr_tokens_open(ctx, s, bytes, &options, &tokens), SARTOR_INVALID);
    assert_int_equal(access(cache, F_OK), -1); /* nothing written */
    sr_source_close(&s);
}

static void test_two_processes_build_at_once(void **state) {
    (void)state;
    char *text = make_text(4 * MIB, true, 5);
    const char *file = put("text", text, 4 * MIB);
    sr_source *s = open_one(file, NULL, true);
    sr_hash sums[2];
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child > 0) continue;
        omp_set_num_threads(1); /* the parent's threads do not survive the fork */
        sr_tokens tokens;
        sr_cache_options options = {.folder = cache};
        if (sr_tokens_open(ctx, s, bytes, &options, &tokens) != SARTOR_OK) _exit(1);
        sr_hash sum = sr_hash_bytes(tokens.data, tokens.count * 2, 0);
        _exit(write(pipes[1], &sum, sizeof sum) == sizeof sum ? 0 : 1);
    }
    for (int i = 0; i < 2; i++) {
        int code = -1;
        assert_true(wait(&code) > 0);
        assert_int_equal(code, 0);
        assert_int_equal(read(pipes[0], &sums[i], sizeof sums[i]), sizeof sums[i]);
    }
    assert_memory_equal(&sums[0], &sums[1], sizeof sums[0]);
    DIR *dir = opendir(cache);
    int files = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) files += e->d_name[0] != '.';
    closedir(dir);
    assert_int_equal(files, 1);
    sr_tokens tokens = open_tokens(s, bytes, SR_ALL_SPLITS);
    check_stream(s, bytes, &tokens, SR_ALL_SPLITS);
    sr_tokens_close(&tokens);
    close(pipes[0]);
    close(pipes[1]);
    sr_source_close(&s);
    free(text);
}

/* A vocabulary above 65536 takes four bytes a token. */
static void test_large_vocabulary(void **state) {
    (void)state;
    enum { N = 70000 };
    sr_spm_model m = {.model_type = 1, .special = {0, -1, -1, -1}};
    sr_spm_piece *pieces = calloc(N, sizeof *pieces);
    char *names = malloc(N * 16), *blob = NULL;
    assert_true(pieces != NULL && names != NULL);
    for (int i = 0; i < N; i++) {
        char *name = names + 16 * i;
        if (i == 0)
            snprintf(name, 16, "<unk>");
        else if (i <= 256)
            snprintf(name, 16, "<0x%02X>", (unsigned)(i - 1) & 0xff);
        else
            snprintf(name, 16, "w%x", (unsigned)(i - 1) & 0xffffff);
        pieces[i] = (sr_spm_piece){name, strlen(name), i <= 256 ? 0 : -1,
                                   i == 0     ? 2
                                   : i <= 256 ? 6
                                              : 1};
    }
    m.pieces = pieces;
    m.count = N;
    size_t size = 0;
    assert_int_equal(sr_spm_serialize(ctx, &m, &blob, &size), SARTOR_OK);
    sr_tokenizer *t = NULL;
    if (sr_tokenizer_from_blob(ctx, blob, size, &t) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    sr_source *s = open_one(put_text("text", "w1116e and w10ffe and w110\n"), NULL, true);
    sr_tokens tokens = open_tokens(s, t, SR_ALL_SPLITS);
    assert_int_equal(tokens.width, 4);
    assert_int_equal(sr_token(&tokens, 1), 0x1116e + 1);
    assert_int_equal(sr_token(&tokens, 2), ' ' + 1); /* there is no piece for a space */
    check_stream(s, t, &tokens, SR_ALL_SPLITS);
    sr_tokens_close(&tokens);
    sr_source_close(&s);
    sr_tokenizer_free(&t);
    free(blob);
    free(pieces);
    free(names);
}

/* ---- batches and windows ---- */

static sr_tokens number_tokens(uint16_t *ids, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) ids[i] = (uint16_t)(i % 256);
    ids[0] = ids[n - 1] = 256;
    return (sr_tokens){
        .data = ids, .count = n, .vocab = 257, .width = 2, .bytes = n - 2, .documents = 1};
}

static void test_batches(void **state) {
    (void)state;
    static uint16_t ids[4097];
    sr_batches b;
    for (uint64_t n = 33; n <= 4097; n = n * 2 + 7) {
        sr_tokens tokens = number_tokens(ids, n);
        assert_int_equal(sr_batches_init(ctx, &tokens, 42, 8, 4, 2, &b), SARTOR_OK);
        assert_int_equal(b.windows, (n - 1) / 8);
        uint64_t order[3] = {0, 0, 0};
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            unsigned char *seen = calloc(n, 1);
            assert_non_null(seen);
            for (uint64_t w = 0; w < b.windows; w++) {
                uint64_t at = sr_batch_start(&b, epoch * b.windows + w);
                order[epoch] = order[epoch] * 31 + at;
                for (uint64_t i = 0; i < 8; i++) seen[(at + i) % b.ring]++;
            }
            uint64_t unused = 0;
            for (uint64_t i = 0; i < b.ring; i++) {
                assert_true(seen[i] <= 1);
                unused += !seen[i];
            }
            assert_int_equal(unused, b.ring % 8);
            free(seen);
        }
        assert_true(order[0] != order[1] && order[1] != order[2]);
        int32_t x[32], y[32], x2[32], y2[32];
        for (uint64_t step = 0; step < 20; step++)
            for (int32_t micro = 0; micro < 2; micro++) {
                sr_batch_fill(&b, step, micro, x, y);
                sr_batch_fill(&b, 19 - step, micro, x2, y2); /* in another order */
                sr_batch_fill(&b, step, micro, x2, y2);
                assert_memory_equal(x, x2, sizeof x);
                assert_memory_equal(y, y2, sizeof y);
                for (int row = 0; row < 4; row++) {
                    uint64_t at =
                        sr_batch_start(&b, (step * 2 + (uint64_t)micro) * 4 + (uint64_t)row);
                    for (uint64_t i = 0; i < 8; i++) {
                        assert_int_equal(x[row * 8 + (int)i], ids[1 + (at + i) % b.ring]);
                        assert_int_equal(y[row * 8 + (int)i], ids[1 + (at + i + 1) % b.ring]);
                    }
                }
            }
    }
    sr_tokens tokens = number_tokens(ids, 32); /* 31 predictions, a batch has 32 */
    assert_int_equal(sr_batches_init(ctx, &tokens, 1, 8, 4, 1, &b), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "shorter than one batch"));
    assert_non_null(strstr(sartor_error(ctx), "32"));
    assert_int_equal(sr_batches_init(ctx, &tokens, 1, 1 << 30, 1 << 30, 1, &b), SARTOR_INVALID);
    assert_int_equal(sr_batches_init(ctx, &tokens, 1, 0, 1, 1, &b), SARTOR_INVALID);
}

static void test_windows(void **state) {
    (void)state;
    static uint16_t ids[600];
    static const int32_t contexts[] = {1, 2, 3, 7, 16, 33, 64, 599, 600, 5000};
    int32_t x[5000], y[5000];
    for (uint64_t n = 3; n <= 600; n = n * 3 / 2 + 1)
        for (size_t c = 0; c < sizeof contexts / sizeof *contexts; c++) {
            int32_t context = contexts[c];
            sr_tokens tokens = number_tokens(ids, n);
            sr_windows w;
            assert_int_equal(sr_windows_init(ctx, &tokens, bytes, context, &w), SARTOR_OK);
            uint64_t next = 1, scored = 0, scored_bytes = 0;
            for (uint64_t i = 0; i < w.count; i++) {
                sr_window_fill(&w, i, x, y, &scored, &scored_bytes);
                bool any = false;
                for (int32_t k = 0; k < context; k++) {
                    if (y[k] < 0) continue;
                    assert_int_equal(y[k], ids[next]); /* each once, in order */
                    assert_int_equal(x[k], ids[next - 1]);
                    uint64_t before = next < (uint64_t)context / 2 ? next : (uint64_t)context / 2;
                    assert_true((uint64_t)k + 1 >= before);
                    next++;
                    any = true;
                }
                assert_true(any);
            }
            assert_int_equal(next, n);
            assert_int_equal(scored, n - 1);
            assert_int_equal(scored_bytes, n - 2); /* the last separator has none */
        }
    sr_tokens tokens = number_tokens(ids, 600);
    sr_windows w;
    assert_int_equal(sr_windows_init(ctx, &tokens, bytes, 0, &w), SARTOR_INVALID);
    assert_true(fabs(sr_bits_per_byte(log(256) * 1000, 1000) - 8) < 1e-12);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_folder),
        TEST(test_bad_input),
        TEST(test_separator),
        TEST(test_cutting),
        TEST(test_parts),
        TEST(test_few_documents_are_cut_finer),
        TEST(test_cache),
        TEST(test_cache_folder_that_cannot_be),
        TEST(test_two_processes_build_at_once),
        TEST(test_large_vocabulary),
        TEST(test_batches),
        TEST(test_windows),
    };
    return cmocka_run_group_tests_name("data", tests, NULL, NULL);
}
