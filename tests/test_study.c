/* What a study is: creation, settings, names; queries, and reading while others write. */
#define _GNU_SOURCE
#include "study_tools.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what a study is ---- */

static void test_create_and_open(void **state) {
    (void)state;
    bool created;
    good(create_study(in_folder("s"), with_width(128), &created));
    assert_true(created);
    good(create_study(in_folder("s"), with_width(128), &created));
    assert_false(created);

    sr_study *study = open_study(in_folder("s"), SR_STUDY_WRITE);
    assert_string_equal(sr_study_path(study), in_folder("s"));
    assert_string_equal(sr_study_folder(study), in_folder("s.d"));
    struct stat st;
    assert_int_equal(stat(in_folder("s.d"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(json_integer_value(json_object_get(sr_study_settings(study), "width")), 128);
    assert_true(has_fact(study, "generations", NULL));
    put_fact(study, "generations", "18");
    put_fact(study, "generations", "20");
    assert_true(has_fact(study, "generations", "20"));
    good(sr_study_begin(ctx, study));
    good(sr_study_event(ctx, study, 0, "began"));
    sr_study_rollback(study);
    assert_int_equal(number(study, "SELECT count(*) FROM event"), 0);
    good(sr_study_begin(ctx, study));
    good(sr_study_event(ctx, study, 0, "began"));
    good(sr_study_event(ctx, study, 3, "ended"));
    good(sr_study_commit(ctx, study));
    assert_int_equal(number(study, "SELECT count(*) FROM event WHERE job IS NULL"), 1);

    sr_study *reader = open_study(in_folder("s"), SR_STUDY_READ);
    assert_true(has_fact(reader, "generations", "20"));
    assert_fails(sr_study_put(ctx, reader, "a", "b"), SARTOR_IO,
                 "s: cannot write: the file is read");
    put_fact(study, "generations", "21");
    assert_true(has_fact(reader, "generations", "21"));
    sr_study_close(&study);
    sr_study_close(&reader);
    sr_study_close(&reader);
    /* Whoever was last: one complete file remains. */
    assert_int_equal(file_size(in_folder("s-wal")), -1);
    reader = open_study(in_folder("s"), SR_STUDY_READ);
    assert_true(has_fact(reader, "generations", "21"));
    sr_study_close(&reader);
    assert_int_equal(file_size(in_folder("s-wal")), -1);
    assert_int_equal(file_size(in_folder("s-shm")), -1);
}

static void test_settings(void **state) {
    (void)state;
    const char *path = in_folder("s");
    char expected[256];
    good(create_study(path,
                      json_pack("{s:i, s:s, s:f, s:b, s:[ii]}", "width", 128, "data", "books",
                                "rate", 0.1, "tie", 1, "limits", 1, 2),
                      NULL));
    good(create_study(path,
                      json_pack("{s:i, s:[ii], s:s, s:f, s:b}", "width", 128, "limits", 1, 2,
                                "data", "books", "rate", 0.1, "tie", 1),
                      NULL));
    struct {
        json_t *asked;
        const char *message;
    } cases[] = {
        {json_pack("{s:i}", "width", 64), "was made with width 128, asked for is 64"},
        {json_pack("{s:f, s:s}", "width", 128.0, "data", "a b"),
         "was made with data books, asked for is a b"},
        {json_pack("{s:i, s:s, s:f}", "width", 128, "data", "books", "rate", 0.25),
         "was made with rate 0.1, asked for is 0.25"},
        {json_pack("{s:[ii]}", "limits", 1, 3), "was made with limits [1,2], asked for is [1,3]"},
        {json_pack("{s:b}", "tie", 0), "was made with tie true, asked for is false"},
        {json_pack("{s:i}", "seed", 1), "was made with seed none, asked for is 1"},
        {json_pack("{}"), "was made with width 128, asked for is none"},
        {json_pack("{s:s}", "evaluator", "inherit"),
         "was made with evaluator scratch, asked for is inherit"},
        {json_pack("{s:s}", "width", "128"), "was made with width 128, asked for is 128"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(expected, sizeof expected, "%s: %s", path, cases[i].message);
        assert_fails(create_study(path, cases[i].asked, NULL), SARTOR_MISMATCH, expected);
    }
}

static void test_two_create_at_once(void **state) {
    (void)state;
    enum { CHILDREN = 6 };
    for (int round = 0; round < 5; round++) {
        char name[32];
        snprintf(name, sizeof name, "c%d", round);
        const char *path = in_folder(name);
        pid_t pids[CHILDREN];
        int gate[2], made = 0;
        assert_int_equal(pipe(gate), 0);
        for (int i = 0; i < CHILDREN; i++) {
            pids[i] = fork();
            if (pids[i] != 0) continue;
            char c;
            bool created;
            close(gate[1]);
            (void)!read(gate[0], &c, 1); /* until all are there */
            sartor_status status = create_study(path, with_width(128), &created);
            if (status != SARTOR_OK) print_error("%s\n", sartor_error(ctx));
            _exit(status != SARTOR_OK ? 2 : created);
        }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < CHILDREN; i++) {
            int result;
            assert_int_equal(waitpid(pids[i], &result, 0), pids[i]);
            assert_true(WIFEXITED(result) && WEXITSTATUS(result) < 2);
            made += WEXITSTATUS(result);
        }
        assert_int_equal(made, 1);
        assert_int_equal(try_study(path, SR_STUDY_READ), SARTOR_OK);
    }
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"a?b#c%20 d&e=f;'\"+.study",
                                        "file:x?mode=memory",
                                        ":memory:",
                                        "\xc3\xbc\n\t|$(ls)",
                                        "-x",
                                        "%"};
    char old[512];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        good(create_study(names[i], with_width(1), NULL));
        good(try_study(names[i], SR_STUDY_READ));
        assert_true(file_size(in_folder(names[i])) > 0);
    }
    assert_int_equal(chdir(old), 0);
    assert_int_equal(create_study("", with_width(1), NULL), SARTOR_INVALID);
}

/* ---- queries ---- */

static void test_queries(void **state) {
    (void)state;
    sr_study *study = new_study();
    sr_query rows, again;
    static const char sql[] = "SELECT ?, ?, ?, ?";
    good(sr_sql(ctx, study, &rows, sql, "idds", INT64_C(-5), NAN, 0.5, (char *)NULL));
    assert_fails(sr_sql(ctx, study, &again, sql, "idds", INT64_C(1), 1.0, 1.0, "x"), SARTOR_LIBRARY,
                 "started twice");
    assert_false(sr_next(&again));
    good(sr_done(&again));
    assert_true(sr_next(&rows));
    assert_int_equal(sr_int(&rows, 0), -5);
    assert_true(isnan(sr_real(&rows, 1)) && sr_is_null(&rows, 1));
    assert_true(sr_real(&rows, 2) == 0.5);
    assert_null(sr_text(&rows, 3));
    assert_false(sr_next(&rows));
    assert_false(sr_next(&rows));
    good(sr_done(&rows));
    good(sr_done(&rows));
    assert_fails(sr_sql(ctx, study, &rows, sql, "ii", INT64_C(1), INT64_C(1)), SARTOR_LIBRARY,
                 "has 4 parameters, not 2");
    assert_fails(sr_sql(ctx, study, &rows, sql, "iiix", INT64_C(1), INT64_C(1), INT64_C(1), 1),
                 SARTOR_LIBRARY, "bind");
    assert_fails(sr_sql(ctx, study, &rows, "SELECT x FROM nowhere", ""), SARTOR_FORMAT,
                 "no such table: nowhere");
    assert_fails(sr_sql(ctx, study, &rows, "SELEKT", ""), SARTOR_LIBRARY, "syntax error");
    assert_fails(sr_sql(ctx, study, &rows, "", ""), SARTOR_LIBRARY, "empty query");

    /* The cache grows while a query is open. */
    static char texts[200][32];
    good(sr_sql(ctx, study, &rows, "SELECT 'open'", ""));
    for (int i = 0; i < 200; i++) {
        snprintf(texts[i], sizeof texts[i], "SELECT %d", i);
        sr_query one;
        good(sr_sql(ctx, study, &one, texts[i], ""));
        assert_true(sr_next(&one));
        assert_int_equal(sr_int(&one, 0), i);
        good(sr_done(&one));
    }
    assert_true(sr_next(&rows));
    assert_string_equal(sr_text(&rows, 0), "open");
    good(sr_done(&rows));
    snprintf(texts[5], sizeof texts[5], "SELECT 99");
    assert_fails(sr_sql(ctx, study, &rows, texts[5], ""), SARTOR_LIBRARY, "no literal");

    /* A transaction that is given up ends its queries. */
    int64_t changed;
    good(sr_study_begin(ctx, study));
    good(sr_run_sql(ctx, study, &changed, "INSERT INTO event (at, what) VALUES (1, 'a'), (2, 'b')",
                    ""));
    assert_int_equal(changed, 2);
    static const char all[] = "SELECT what FROM event";
    good(sr_sql(ctx, study, &rows, all, ""));
    assert_true(sr_next(&rows));
    sr_study_rollback(study);
    good(sr_sql(ctx, study, &again, all, ""));
    assert_false(sr_next(&again));
    good(sr_done(&again));
    assert_fails(sr_study_commit(ctx, study), SARTOR_LIBRARY, "no transaction");
    assert_fails(sr_run_sql(ctx, study, NULL, "INSERT INTO fact VALUES (NULL, NULL)", ""),
                 SARTOR_LIBRARY, "NOT NULL");
    sr_study_close(&study);
}

/* One consistent view, whatever is written meanwhile. */
static void test_reading_transaction(void **state) {
    (void)state;
    sr_study *study = new_study(), *reader = open_study(in_folder("s"), SR_STUDY_READ);
    put_fact(study, "a", "1");
    good(sr_study_begin_reading(ctx, reader));
    assert_true(has_fact(reader, "a", "1"));
    put_fact(study, "a", "2");
    assert_true(has_fact(reader, "a", "1"));
    sr_study_rollback(reader);
    assert_true(has_fact(reader, "a", "2"));
    sr_study_close(&reader);
    sr_study_close(&study);
}

/* What has been committed is there after SIGKILL. */
static void test_killed_writer(void **state) {
    (void)state;
    sr_study *study = new_study();
    sr_study_close(&study);
    int64_t told = 0, n;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        study = open_study(in_folder("s"), SR_STUDY_WRITE);
        for (int64_t i = 1;; i++) {
            if (sr_study_begin(ctx, study) || sr_study_event(ctx, study, i, "x") ||
                sr_study_event(ctx, study, i, "y") || sr_study_commit(ctx, study))
                _exit(1);
            if (write(ends[1], &i, sizeof i) != sizeof i) _exit(1);
        }
    }
    close(ends[1]);
    while (told < 300 && read(ends[0], &n, sizeof n) == sizeof n) told = n;
    kill(pid, SIGKILL);
    while (read(ends[0], &n, sizeof n) == sizeof n) told = n;
    close(ends[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    study = open_study(in_folder("s"), SR_STUDY_READ);
    int64_t rows = number(study, "SELECT count(*) FROM event");
    assert_in_range(rows, 2 * told, 2 * told + 2);
    assert_int_equal(rows % 2, 0);
    sr_study_close(&study);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, study_set_up, study_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_create_and_open), TEST(test_settings), TEST(test_two_create_at_once),
        TEST(test_names),           TEST(test_queries),  TEST(test_reading_transaction),
        TEST(test_killed_writer),
    };
    return cmocka_run_group_tests_name("study", tests, NULL, NULL);
}
