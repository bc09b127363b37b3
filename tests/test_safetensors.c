/* The safetensors reader and writer: what is written is read back, equal calls give equal bytes,
 * and every kind of malformed file is refused with a line that names the file and the culprit. */
#define _GNU_SOURCE
#include "tensor/safetensors.h"

#include "base/clock.h"
#include "base/file.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static sartor_context *ctx;
static char folder[] = "/tmp/sartor-test.XXXXXX";

static int make_folder(void **state) {
    (void)state;
    ctx = sartor_context_create();
    return ctx != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return rmdir(folder); /* fails when a test left a file behind */
}

/* Static storage; the next call overwrites it. */
static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A file in memory: `header` behind its length, then `data_bytes` zeros. */
static unsigned char *make_bytes(const char *header, size_t data_bytes, size_t *size) {
    uint64_t n = strlen(header);
    unsigned char *bytes = calloc(8 + n + data_bytes, 1);
    assert_non_null(bytes);
    memcpy(bytes, &n, 8);
    memcpy(bytes + 8, header, n);
    *size = 8 + n + data_bytes;
    return bytes;
}

static void expect_refused_bytes(const void *bytes, size_t size, const char *part) {
    sr_st_reader *reader = NULL;
    sartor_status status = sr_st_open_memory(ctx, "evil.safetensors", bytes, size, &reader);
    if (status != SARTOR_FORMAT || reader != NULL) fail_msg("accepted, though %s", part);
    const char *message = sartor_error(ctx);
    if (strncmp(message, "evil.safetensors: ", 18) != 0 || strstr(message, part) == NULL)
        fail_msg("message '%s' does not say '%s'", message, part);
}

static void expect_refused(const char *header, size_t data_bytes, const char *part) {
    size_t size;
    unsigned char *bytes = make_bytes(header, data_bytes, &size);
    expect_refused_bytes(bytes, size, part);
    free(bytes);
}

#define ENTRY(name, type, shape, range)                                                            \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" range "}"

static void write_example(const char *path, const float *weights, bool in_pieces) {
    sr_st_writer *w = NULL;
    assert_int_equal(sr_st_create(ctx, path, &w), SARTOR_OK);
    assert_int_equal(sr_st_set_metadata(ctx, w, "note", "line 1\nline \"2\" \xc3\xa9"), SARTOR_OK);
    assert_int_equal(sr_st_declare(ctx, w, "step", SR_ST_I64, 0, NULL), SARTOR_OK);
    assert_int_equal(sr_st_declare(ctx, w, "weights", SR_ST_F32, 2, (int64_t[]){3, 4}), SARTOR_OK);
    assert_int_equal(sr_st_declare(ctx, w, "none", SR_ST_F32, 2, (int64_t[]){0, 4}), SARTOR_OK);
    assert_int_equal(sr_st_declare(ctx, w, "text", SR_ST_U8, 1, (int64_t[]){3}), SARTOR_OK);
    assert_int_equal(sr_st_write(ctx, w, "step", &(int64_t){-7}, 8), SARTOR_OK);
    size_t first = in_pieces ? 20 : 48;
    assert_int_equal(sr_st_write(ctx, w, "weights", weights, first), SARTOR_OK);
    assert_int_equal(sr_st_write(ctx, w, "weights", (const char *)weights + first, 48 - first),
                     SARTOR_OK);
    assert_int_equal(sr_st_write(ctx, w, "text", "abc", 3), SARTOR_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(sr_st_commit(ctx, &w), SARTOR_OK);
    assert_null(w);
}

static void test_round_trip(void **state) {
    (void)state;
    float weights[12];
    for (int i = 0; i < 12; i++) weights[i] = (float)i / 3;
    const char *path = path_of("a.safetensors");
    write_example(path, weights, false);
    sr_st_reader *r = NULL;
    assert_int_equal(sr_st_open(ctx, path, &r), SARTOR_OK);
    assert_int_equal(sr_st_count(r), 4);
    assert_string_equal(sr_st_metadata(r, "note"), "line 1\nline \"2\" \xc3\xa9");
    assert_string_equal(sr_st_metadata(r, "format"), "pt");
    assert_null(sr_st_metadata(r, "absent"));
    assert_null(sr_st_find(r, "__metadata__"));

    const sr_st_tensor *t = sr_st_find(r, "weights");
    assert_non_null(t);
    assert_int_equal(t->type, SR_ST_F32);
    assert_int_equal(t->count, 12);
    assert_int_equal((uintptr_t)t->data % 8, 0);
    assert_memory_equal(t->data, weights, sizeof weights);
    t = sr_st_find(r, "step");
    int64_t step;
    memcpy(&step, t->data, 8);
    assert_int_equal(t->rank, 0);
    assert_int_equal(step, -7);
    assert_int_equal(sr_st_find(r, "none")->bytes, 0);
    assert_memory_equal(sr_st_find(r, "text")->data, "abc", 3);
    assert_string_equal(sr_st_at(r, 3)->name, "text");

    assert_int_equal(sr_st_expect(ctx, r, "weights", SR_ST_F32, 2, (int64_t[]){3, 4}, &t),
                     SARTOR_OK);
    assert_int_equal(sr_st_expect(ctx, r, "weights", SR_ST_F32, 2, (int64_t[]){4, 3}, &t),
                     SARTOR_MISMATCH);
    assert_non_null(strstr(sartor_error(ctx), "tensor 'weights' is F32 [3, 4], not F32 [4, 3]"));
    assert_int_equal(sr_st_expect(ctx, r, "bias", SR_ST_F32, 0, NULL, &t), SARTOR_MISMATCH);
    assert_non_null(strstr(sartor_error(ctx), "tensor 'bias' is missing"));
    sr_st_close(&r);
    assert_null(r);
    unlink(path);
}

static void test_same_calls_same_bytes(void **state) {
    (void)state;
    float weights[12] = {0.5f};
    char *a, *b, name[128];
    size_t n, m;
    snprintf(name, sizeof name, "%s", path_of("a"));
    write_example(name, weights, false);
    write_example(path_of("b"), weights, true);
    assert_int_equal(sr_file_read(ctx, name, 1 << 20, &a, &n), SARTOR_OK);
    assert_int_equal(sr_file_read(ctx, path_of("b"), 1 << 20, &b, &m), SARTOR_OK);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    unlink(name);
    unlink(path_of("b"));
}

/* Each misuse of the writer is refused, and no file remains, not even the temporary one. */
static void test_writer_refuses(void **state) {
    (void)state;
    const int64_t two[] = {2}, huge[] = {INT64_MAX, 4}, below[] = {-1};
    for (int i = 0; i < 12; i++) {
        sr_st_writer *w = NULL;
        assert_int_equal(sr_st_create(ctx, path_of("w"), &w), SARTOR_OK);
        assert_int_equal(sr_st_declare(ctx, w, "a", SR_ST_F32, 1, two), SARTOR_OK);
        sartor_status s = SARTOR_OK;
        switch (i) {
        case 0:
            s = sr_st_declare(ctx, w, "a", SR_ST_F32, 1, two);
            break;
        case 1:
            s = sr_st_declare(ctx, w, "b", SR_ST_F64, 1, two);
            break;
        case 2:
            s = sr_st_declare(ctx, w, "b", SR_ST_F32, 2, huge);
            break;
        case 3:
            s = sr_st_declare(ctx, w, "b", SR_ST_F32, 1, below);
            break;
        case 4:
            s = sr_st_declare(ctx, w, "b", SR_ST_F32, 9, two);
            break;
        case 5:
            s = sr_st_declare(ctx, w, "\xff", SR_ST_F32, 1, two);
            break;
        case 6:
            s = sr_st_declare(ctx, w, "__metadata__", SR_ST_F32, 1, two);
            break;
        case 7:
            s = sr_st_set_metadata(ctx, w, "k", "\xc3");
            break;
        case 8:
            s = sr_st_write(ctx, w, "b", "12345678", 8);
            break;
        case 9:
            s = sr_st_write(ctx, w, "a", "123456789", 9);
            break;
        case 10:
            assert_int_equal(sr_st_write(ctx, w, "a", "1234", 4), SARTOR_OK);
            s = sr_st_declare(ctx, w, "b", SR_ST_F32, 1, two);
            break;
        case 11:
            assert_int_equal(sr_st_write(ctx, w, "a", "1234", 4), SARTOR_OK);
            s = sr_st_commit(ctx, &w);
            assert_non_null(strstr(sartor_error(ctx), "'a' is incomplete: 4 of 8 bytes"));
            assert_null(w);
            break;
        }
        if (s != SARTOR_INVALID) fail_msg("case %d: %s", i, sartor_status_name(s));
        sr_st_abandon(&w);
        assert_int_equal(access(path_of("w"), F_OK), -1);
    }
    sr_st_writer *w = NULL;
    assert_int_equal(sr_st_create(ctx, path_of("no/such/folder"), &w), SARTOR_IO);
    assert_null(w);
}

/* A disk that fills up (here: a limit on file sizes) fails the write and leaves the old file. */
static void test_full_disk(void **state) {
    (void)state;
    static const char zeros[1 << 20];
    char path[128], *old;
    size_t n;
    snprintf(path, sizeof path, "%s", path_of("full"));
    write_example(path, (float[12]){0}, false);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){65536, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    sr_st_writer *w = NULL;
    sartor_status create = sr_st_create(ctx, path, &w);
    sartor_status declare =
        sr_st_declare(ctx, w, "a", SR_ST_U8, 1, (int64_t[]){(int64_t)sizeof zeros});
    sartor_status status = sr_st_write(ctx, w, "a", zeros, sizeof zeros);
    if (status == SARTOR_OK) status = sr_st_commit(ctx, &w);
    sr_st_abandon(&w);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(create, SARTOR_OK);
    assert_int_equal(declare, SARTOR_OK);
    assert_int_equal(status, SARTOR_IO);
    assert_non_null(strstr(sartor_error(ctx), "full: cannot write: File too large"));
    assert_int_equal(sr_file_read(ctx, path, 1 << 20, &old, &n), SARTOR_OK);
    assert_non_null(strstr(old + 8, "weights"));
    free(old);
    unlink(path);
}

static void test_empty_files(void **state) {
    (void)state;
    sr_st_writer *w = NULL;
    const char *path = path_of("empty");
    assert_int_equal(sr_st_create(ctx, path, &w), SARTOR_OK);
    assert_int_equal(sr_st_commit(ctx, &w), SARTOR_OK);
    sr_st_reader *r = NULL;
    assert_int_equal(sr_st_open(ctx, path, &r), SARTOR_OK);
    assert_int_equal(sr_st_count(r), 0);
    assert_null(sr_st_find(r, "a"));
    sr_st_close(&r);
    unlink(path);

    size_t size;
    unsigned char *bytes = make_bytes("{}   ", 0, &size);
    assert_int_equal(sr_st_open_memory(ctx, "x", bytes, size, &r), SARTOR_OK);
    assert_int_equal(sr_st_count(r), 0);
    assert_null(sr_st_metadata(r, "format"));
    sr_st_close(&r);
    free(bytes);
    assert_int_equal(sr_st_open(ctx, path_of("absent"), &r), SARTOR_IO);
    assert_int_equal(sr_st_open(ctx, folder, &r), SARTOR_IO);
}

/* Zero-sized and rank-0 tensors are legal anywhere, and data need not be aligned. */
static void test_odd_but_legal(void **state) {
    (void)state;
    size_t size;
    unsigned char *bytes =
        make_bytes("{" ENTRY("z", "F64", "[0,3]", "[1,1]") "," ENTRY(
                       "f", "F32", "[]", "[1,5]") "," ENTRY("b", "U8", "[1]", "[0,1]") "}",
                   5, &size);
    sr_st_reader *r = NULL;
    assert_int_equal(sr_st_open_memory(ctx, "x", bytes, size, &r), SARTOR_OK);
    assert_int_equal(sr_st_count(r), 3);
    assert_string_equal(sr_st_at(r, 0)->name, "b");
    assert_string_equal(sr_st_at(r, 1)->name, "z");
    assert_int_equal(sr_st_find(r, "f")->count, 1);
    assert_int_equal(sr_st_find(r, "f")->rank, 0);
    assert_int_equal(sr_st_find(r, "z")->count, 0);
    sr_st_close(&r);
    free(bytes);
}

static void test_hostile_lengths(void **state) {
    (void)state;
    unsigned char bytes[64] = {0};
    expect_refused_bytes(bytes, 0, "only 0 bytes");
    expect_refused_bytes(bytes, 7, "only 7 bytes");
    expect_refused_bytes(bytes, 8, "not a JSON object");
    memset(bytes, 0xff, 8);
    expect_refused_bytes(bytes, 64, "would have 18446744073709551615 bytes");
    memcpy(bytes, &(uint64_t){57}, 8);
    expect_refused_bytes(bytes, 64, "truncated");
    memcpy(bytes, &(uint64_t){SR_ST_MAX_HEADER + 1}, 8);
    expect_refused_bytes(bytes, 64, "at most 16777216");
}

static void test_hostile_ranges(void **state) {
    (void)state;
    expect_refused("{" ENTRY("a", "U8", "[4]", "[0,4]") "," ENTRY("b", "U8", "[4]", "[2,6]") "}", 6,
                   "tensor 'b': overlaps");
    expect_refused("{" ENTRY("a", "U8", "[4]", "[0,4]") "," ENTRY("b", "U8", "[4]", "[0,4]") "}", 4,
                   "overlaps");
    expect_refused("{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[3,5]") "}", 5,
                   "tensor 'b': leaves a hole");
    expect_refused("{" ENTRY("a", "U8", "[2]", "[1,3]") "}", 3, "tensor 'a': leaves a hole");
    expect_refused("{" ENTRY("a", "U8", "[2]", "[0,2]") "}", 3, "1 bytes follow");
    expect_refused("{}", 1, "1 bytes follow");
    expect_refused("{" ENTRY("a", "U8", "[4]", "[0,4]") "}", 3, "tensor 'a': ends at byte 4 of 3");
    expect_refused("{" ENTRY("a", "F32", "[2]", "[0,4]") "}", 4, "tensor 'a': its shape needs 8");
    expect_refused("{" ENTRY("a", "U8", "[0]", "[1,1]") "}", 0, "tensor 'a': ends");
    expect_refused("{" ENTRY("a", "U8", "[1]", "[-1,0]") "}", 0, "tensor 'a': data_offsets");
    expect_refused("{" ENTRY("a", "U8", "[1]", "[1,0]") "}", 1, "tensor 'a': data_offsets");
    expect_refused("{" ENTRY("a", "U8", "[1]", "[0.0,1.0]") "}", 1, "tensor 'a': data_offsets");
    expect_refused("{" ENTRY("a", "U8", "[1]", "[0,1,2]") "}", 1, "tensor 'a': data_offsets");
    expect_refused("{" ENTRY("a", "U8", "[1]", "\"01\"") "}", 1, "tensor 'a': data_offsets");
    expect_refused("{" ENTRY("a", "U8", "[1]", "[0,9223372036854775807]") "}", 1,
                   "tensor 'a': ends");
    expect_refused("{" ENTRY("a", "U8", "[1]", "[0,99999999999999999999]") "}", 1,
                   "not valid JSON");
}

static void test_hostile_shapes(void **state) {
    (void)state;
    expect_refused("{" ENTRY("a", "U8", "[4294967296,4294967296]", "[0,0]") "}", 0, "overflows");
    expect_refused("{" ENTRY("a", "F64", "[2305843009213693952]", "[0,0]") "}", 0, "overflows");
    expect_refused("{" ENTRY("a", "U8", "[0,4294967296,4294967296]", "[0,0]") "}", 0, "overflows");
    expect_refused("{" ENTRY("a", "U8", "[-1]", "[0,1]") "}", 1, "natural number");
    expect_refused("{" ENTRY("a", "U8", "[1.0]", "[0,1]") "}", 1, "natural number");
    expect_refused("{" ENTRY("a", "U8", "[true]", "[0,1]") "}", 1, "natural number");
    expect_refused("{" ENTRY("a", "U8", "1", "[0,1]") "}", 1, "shape is not an array");
    expect_refused("{" ENTRY("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, "more than 8");
    expect_refused("{" ENTRY("a", "Q4_0", "[1]", "[0,1]") "}", 1, "dtype 'Q4_0' is not known");
    expect_refused("{" ENTRY("a", "f32", "[1]", "[0,4]") "}", 4, "dtype 'f32' is not known");
    expect_refused("{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                   "dtype is missing");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "shape is not");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "data_offsets");
    expect_refused("{\"a\":[1]}", 0, "tensor 'a': its entry is not an object");
}

static void test_hostile_json(void **state) {
    (void)state;
    expect_refused("", 0, "not a JSON object");
    expect_refused("[]", 0, "not a JSON object");
    expect_refused(" {}", 0, "not a JSON object");
    expect_refused("\xef\xbb\xbf{}", 0, "not a JSON object");
    expect_refused("{", 0, "not valid JSON");
    expect_refused("{\"a", 0, "not valid JSON");
    expect_refused("{}{}", 0, "not valid JSON");
    expect_refused("{\"\xff\":1}", 0, "not valid JSON");
    expect_refused("{\"\xc0\xaf\":1}", 0, "not valid JSON");
    expect_refused("{\"\xed\xa0\x80\":1}", 0, "not valid JSON");
    expect_refused("{\"a\\u0000b\":1}", 0, "not valid JSON");
    expect_refused(
        "{" ENTRY("a", "U8", "[1]", "[0,1]") "," ENTRY("\\u0061", "U8", "[1]", "[1,2]") "}", 2,
        "duplicate");
    expect_refused(
        "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
        "duplicate");
    expect_refused("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "duplicate");
    expect_refused("{\"__metadata__\":{\"k\":1}}", 0, "metadata 'k' is not a string");
    expect_refused("{\"__metadata__\":[]}", 0, "__metadata__ is not an object");

    enum { DEPTH = 1 << 20 };
    char *deep = malloc(DEPTH + 8);
    assert_non_null(deep);
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', DEPTH);
    deep[5 + DEPTH] = '\0';
    expect_refused(deep, 0, "deeper than 8");
    for (int i = 0; i + 2 < DEPTH; i += 2) memcpy(deep + 6 + i, "0,", 2);
    expect_refused(deep, 0, "not valid JSON");
    free(deep);

    enum { VALUES = 5 << 20 };
    char *wide = malloc(VALUES + 8);
    assert_non_null(wide);
    memcpy(wide, "{\"a\":[", 6);
    for (int i = 0; i + 2 < VALUES; i += 2) memcpy(wide + 6 + i, "0,", 2);
    wide[VALUES + 4] = '\0';
    expect_refused(wide, 0, "more than 1048576 values");
    free(wide);
}

/* As many tensors as are allowed: written, read, and each looked up, in time that a quadratic
 * algorithm would exceed a hundredfold. */
static void test_many_tensors(void **state) {
    (void)state;
    const char *path = path_of("many");
    double start = sr_seconds();
    sr_st_writer *w = NULL;
    assert_int_equal(sr_st_create(ctx, path, &w), SARTOR_OK);
    char name[32];
    for (int i = 0; i < SR_ST_MAX_TENSORS; i++) {
        snprintf(name, sizeof name, "layer.%d.weight", i);
        int64_t dims[SR_ST_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
        assert_int_equal(sr_st_declare(ctx, w, name, SR_ST_U16, 8, dims), SARTOR_OK);
    }
    assert_int_equal(sr_st_declare(ctx, w, "more", SR_ST_U16, 0, NULL), SARTOR_INVALID);
    for (int i = 0; i < SR_ST_MAX_TENSORS; i++) {
        snprintf(name, sizeof name, "layer.%d.weight", i);
        assert_int_equal(sr_st_write(ctx, w, name, &(uint16_t){(uint16_t)i}, 2), SARTOR_OK);
    }
    assert_int_equal(sr_st_commit(ctx, &w), SARTOR_OK);
    sr_st_reader *r = NULL;
    assert_int_equal(sr_st_open(ctx, path, &r), SARTOR_OK);
    assert_int_equal(sr_st_count(r), SR_ST_MAX_TENSORS);
    for (int i = 0; i < SR_ST_MAX_TENSORS; i++) {
        snprintf(name, sizeof name, "layer.%d.weight", i);
        const sr_st_tensor *t = sr_st_find(r, name);
        uint16_t value;
        assert_non_null(t);
        memcpy(&value, t->data, 2);
        assert_int_equal(value, (uint16_t)i);
    }
    sr_st_close(&r);
    unlink(path);
    assert_true(sr_seconds() - start < 30);
}

/* A name from a file cannot send a second line or an escape sequence to the terminal. */
static void test_message_is_one_line(void **state) {
    (void)state;
    size_t size;
    unsigned char *bytes =
        make_bytes("{" ENTRY("a\\n\\u001b[2J", "U8", "[2]", "[0,1]") "}", 1, &size);
    expect_refused_bytes(bytes, size, "tensor 'a  [2J'");
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_same_calls_same_bytes),
        cmocka_unit_test(test_writer_refuses),  cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_empty_files),     cmocka_unit_test(test_odd_but_legal),
        cmocka_unit_test(test_hostile_lengths), cmocka_unit_test(test_hostile_ranges),
        cmocka_unit_test(test_hostile_shapes),  cmocka_unit_test(test_hostile_json),
        cmocka_unit_test(test_many_tensors),    cmocka_unit_test(test_message_is_one_line),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
