/* The .npy reader and writer: all integer types of both byte orders and all versions are read, what
 * is written is what NumPy writes, and every kind of bad file is refused with one line. */
#define _GNU_SOURCE
#include "data/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* A file in memory: its start, and how much there is of it. */
typedef struct file {
    unsigned char bytes[4096];
    size_t size;
} file;

static void append(file *f, const void *bytes, size_t n) {
    assert_true(f->size + n <= sizeof f->bytes);
    memcpy(f->bytes + f->size, bytes, n);
    f->size += n;
}

/* Magic, version and `header` behind its length. */
static file with_header(int version, const char *header) {
    file f = {.size = 0};
    size_t n = strlen(header);
    append(&f, "\x93NUMPY", 6);
    append(&f, (unsigned char[]){(unsigned char)version, 0}, 2);
    append(&f, (unsigned char[]){(unsigned char)n, (unsigned char)(n >> 8), 0, 0},
           version == 1 ? 2 : 4);
    append(&f, header, n);
    return f;
}

#define HEADER(type, order, shape)                                                                 \
    "{'descr': '" type "', 'fortran_order': " order ", 'shape': " shape ", }  \n"
#define TABLE(shape) HEADER("<i8", "False", shape)

static void expect_refused(const file *f, const char *part) {
    sr_npy npy;
    sartor_status status = sr_npy_open_memory(ctx, "evil.npy", f->bytes, f->size, &npy);
    if (status != SARTOR_FORMAT) fail_msg("accepted, though %s", part);
    const char *message = sartor_error(ctx);
    if (strncmp(message, "evil.npy: ", 10) != 0 || strstr(message, part) == NULL)
        fail_msg("message '%s' does not say '%s'", message, part);
    assert_null(npy.name);
}

static void expect_bad_header(const char *header, const char *part) {
    file f = with_header(1, header);
    unsigned char zeros[64] = {0};
    append(&f, zeros, sizeof zeros);
    expect_refused(&f, part);
}

/* Each type in each byte order, from the smallest to the largest value that can be a token. */
static void test_types(void **state) {
    (void)state;
    static const char *const types[] = {"<i1", ">i1", "|i1", "<u1", ">u1", "|u1",
                                        "<i2", ">i2", "<u2", ">u2", "<i4", ">i4",
                                        "<u4", ">u4", "<i8", ">i8", "<u8", ">u8"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (int version = 1; version <= 3; version++) {
            const char *t = types[i];
            int bytes = t[2] - '0';
            char header[200];
            snprintf(header, sizeof header,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (2, 2), }\n", t);
            file f = with_header(version, header);
            const int64_t high = bytes == 1 ? 127 : bytes == 2 ? 32767 : 2147483646;
            const int64_t ignored = t[1] == 'i' ? -100 : 100;
            const int64_t values[4] = {0, high, ignored, 3};
            for (int k = 0; k < 4; k++)
                for (int b = 0; b < bytes; b++) {
                    int place = t[0] == '>' ? bytes - 1 - b : b;
                    append(&f, &(unsigned char){(unsigned char)(values[k] >> 8 * place)}, 1);
                }
            sr_npy npy;
            if (sr_npy_open_memory(ctx, "good.npy", f.bytes, f.size, &npy) != SARTOR_OK)
                fail_msg("%s: %s", t, sartor_error(ctx));
            assert_int_equal(npy.rows, 2);
            assert_int_equal(npy.columns, 2);
            int32_t out[4];
            assert_int_equal(sr_npy_tokens(ctx, &npy, INT32_MAX, -100, out), SARTOR_OK);
            for (int k = 0; k < 4; k++) assert_int_equal(out[k], values[k]);
            sr_npy_close(&npy);
        }
    }
}

/* The same dictionary in other words. */
static void test_headers(void **state) {
    (void)state;
    static const char *const good[] = {
        "{'descr':'<i8','fortran_order':False,'shape':(2,3)}",
        " { 'shape' : ( 2 , 3 , ) , \"fortran_order\" : False , \"descr\" : \"<i8\" }\n\n",
        "{'fortran_order': False, 'shape': (2, 3,), 'descr': '<i8',}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        file f = with_header(1, good[i]);
        unsigned char zeros[48] = {0};
        append(&f, zeros, sizeof zeros);
        sr_npy npy;
        if (sr_npy_open_memory(ctx, "good.npy", f.bytes, f.size, &npy) != SARTOR_OK)
            fail_msg("%s: %s", good[i], sartor_error(ctx));
        assert_int_equal(npy.rows, 2);
        assert_int_equal(npy.columns, 3);
        sr_npy_close(&npy);
    }
}

static void test_bad_headers(void **state) {
    (void)state;
    static const char *const no_dictionary[] = {
        "",
        "{",
        "}",
        "()",
        "{'descr': '<i8', 'fortran_order': False}",
        "{'descr': '<i8', 'shape': (2, 4)}",
        "{'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': '<i8', 'descr': '<i8', 'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 4), 'shape': (2, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 4), 'more': 1}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 4)} trailing",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 4)",
        "{'descr': '<i8' 'fortran_order': False, 'shape': (2, 4)}",
        "{,'descr': '<i8', 'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': '<i8', 'fortran_order': 0, 'shape': (2, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': [2, 4]}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (-2, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2., 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (02, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (, 2, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (8)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 4",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 9223372036854775808)}",
        "{'descr': '<i8, 'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': '\\x3ci8', 'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
        "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
    };
    for (size_t i = 0; i < sizeof no_dictionary / sizeof no_dictionary[0]; i++)
        expect_bad_header(no_dictionary[i], "header is no dictionary");

    expect_bad_header(HEADER("<f4", "False", "(4, 4)"), "type '<f4' is no integer");
    expect_bad_header(HEADER("|b1", "False", "(8, 8)"), "type '|b1' is no integer");
    expect_bad_header(HEADER("|i8", "False", "(2, 4)"), "type '|i8' is no integer");
    expect_bad_header(HEADER("=i8", "False", "(2, 4)"), "type '=i8' is no integer");
    expect_bad_header(HEADER("<i3", "False", "(2, 4)"), "type '<i3' is no integer");
    expect_bad_header(HEADER("<i16", "False", "(2, 2)"), "type '<i16' is no integer");
    expect_bad_header(HEADER("|O", "False", "(2, 4)"), "type '|O' is no integer");
    expect_bad_header(HEADER("", "False", "(2, 4)"), "type '' is no integer");
    expect_bad_header(HEADER("<i8", "True", "(2, 4)"), "Fortran order");
    expect_bad_header(TABLE("()"), "has 0 dimensions");
    expect_bad_header(TABLE("(8,)"), "has 1 dimension, not");
    expect_bad_header(TABLE("(2, 2, 2)"), "has 3 dimensions");
    expect_bad_header(TABLE("(4294967296, 4294967296)"), "are more than");
    expect_bad_header(TABLE("(65536, 65536)"), "are more than 2147483648");
    expect_bad_header(TABLE("(2, 5)"), "take 80 bytes, and the file has 64: it is truncated");
    expect_bad_header(TABLE("(2, 3)"), "take 48 bytes, and the file has 64");
    expect_bad_header(TABLE("(0, 7)"), "take 0 bytes, and the file has 64");

    /* A type of no bytes, which C's strings cannot say. */
    file f = with_header(1, HEADER("<??", "False", "(2, 4)"));
    unsigned char *marks = memmem(f.bytes, f.size, "??", 2);
    marks[0] = marks[1] = 0;
    expect_refused(&f, "is no integer");
}

static void test_bad_starts(void **state) {
    (void)state;
    file f = with_header(1, TABLE("(2, 4)"));
    size_t whole = f.size;
    for (f.size = 0; f.size < whole; f.size++)
        expect_refused(&f, f.size < 8 ? "is not a .npy file" : "ends in its header");
    expect_refused(&f, "take 64 bytes, and the file has 0");
    f.bytes[0] = 'P';
    expect_refused(&f, "is not a .npy file");
    for (int version = 0; version < 256; version += version == 0 ? 4 : 1) {
        f = with_header(2, TABLE("(2, 4)"));
        f.bytes[6] = (unsigned char)version;
        expect_refused(&f, "known are 1 to 3");
    }
    f = with_header(2, TABLE("(2, 4)"));
    f.bytes[7] = 1;
    expect_refused(&f, "of version 2.1");
    f = with_header(2, TABLE("(2, 4)"));
    memset(f.bytes + 8, 0xff, 4);
    expect_refused(&f, "ends in its header");
}

static void test_tokens(void **state) {
    (void)state;
    file f = with_header(1, HEADER("<u8", "False", "(2, 2)"));
    const uint64_t values[4] = {0, 15, UINT64_MAX - 99, 16};
    append(&f, values, sizeof values);
    sr_npy npy;
    int32_t out[4];
    assert_int_equal(sr_npy_open_memory(ctx, "a.npy", f.bytes, f.size, &npy), SARTOR_OK);
    /* 2^64 - 100 is no -100. */
    assert_int_equal(sr_npy_tokens(ctx, &npy, 16, -100, out), SARTOR_FORMAT);
    assert_string_equal(
        sartor_error(ctx),
        "a.npy: row 1, column 0: 18446744073709551516 is not in the vocabulary of 16, "
        "nor -100 (not scored)");
    npy.is_signed = true;
    assert_int_equal(sr_npy_tokens(ctx, &npy, 17, -100, out), SARTOR_OK);
    assert_int_equal(out[2], -100);
    assert_int_equal(sr_npy_tokens(ctx, &npy, 16, -100, out), SARTOR_FORMAT);
    assert_string_equal(
        sartor_error(ctx),
        "a.npy: row 1, column 1: 16 is not in the vocabulary of 16, nor -100 (not scored)");
    assert_int_equal(sr_npy_tokens(ctx, &npy, 17, 0, out), SARTOR_FORMAT);
    assert_string_equal(sartor_error(ctx),
                        "a.npy: row 1, column 0: -100 is not in the vocabulary of 17");
    sr_npy_close(&npy);
}

static void test_round_trip(void **state) {
    (void)state;
    enum { ROWS = 700, COLUMNS = 13 }; /* more than one block of the writer */
    static int32_t values[ROWS * COLUMNS], back[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = i % 5 == 0 ? -100 : i * 200003;
    char path[64];
    snprintf(path, sizeof path, "%s/a.npy", folder);
    assert_int_equal(sr_npy_write(ctx, path, ROWS, COLUMNS, values), SARTOR_OK);

    /* The bytes that numpy.save() puts in front. */
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(sr_file_read(ctx, path, 1 << 20, &bytes, &size), SARTOR_OK);
    assert_int_equal(size, 128 + 8 * ROWS * COLUMNS);
    char start[129];
    snprintf(start, sizeof start, "%-127s\n",
             "\x93NUMPY\x01#v#{'descr': '<i8', 'fortran_order': False, 'shape': (700, 13), }");
    start[7] = start[9] = '\0';
    assert_memory_equal(bytes, start, 128);
    free(bytes);

    sr_npy npy;
    assert_int_equal(sr_npy_open(ctx, path, &npy), SARTOR_OK);
    assert_int_equal(npy.rows, ROWS);
    assert_int_equal(npy.columns, COLUMNS);
    assert_int_equal(sr_npy_tokens(ctx, &npy, INT32_MAX, -100, back), SARTOR_OK);
    sr_npy_close(&npy);
    assert_memory_equal(values, back, sizeof values);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(sr_npy_open(ctx, path, &npy), SARTOR_IO);
    assert_non_null(strstr(sartor_error(ctx), "a.npy: cannot open"));
    snprintf(path, sizeof path, "%s/none/a.npy", folder);
    assert_int_equal(sr_npy_write(ctx, path, ROWS, COLUMNS, values), SARTOR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),       cmocka_unit_test(test_headers),
        cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_bad_starts),
        cmocka_unit_test(test_tokens),      cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
