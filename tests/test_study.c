/* Study files: creation, settings, failures of every kind, reading where nothing can be written. */
#define _GNU_SOURCE
#include "study_tools.h"

#include "base/rng.h"
#include "study/schema.h"
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_fails(sartor_status got, sartor_status expected, const char *message) {
    if (got != expected || strstr(sartor_error(ctx), message) == NULL)
        fail_msg("%s: %s; expected %s: %s", sartor_status_name(got), sartor_error(ctx),
                 sartor_status_name(expected), message);
    assert_null(strchr(sartor_error(ctx), '\n'));
}

static sartor_status create(const char *path, json_t *settings, bool *created) {
    sr_study *study;
    sartor_status status = sr_study_create(ctx, path, settings, &study, created);
    json_decref(settings);
    sr_study_close(&study);
    return status;
}
static sartor_status try_open(const char *path, sr_study_mode mode) {
    sr_study *study;
    sartor_status status = sr_study_open(ctx, path, mode, &study);
    assert_true((status == SARTOR_OK) == (study != NULL));
    sr_study_close(&study);
    return status;
}
static json_t *width(int value) { return json_pack("{s:i}", "width", value); }

static void put(sr_study *study, const char *name, const char *value) {
    good(sr_study_begin(ctx, study));
    good(sr_study_put(ctx, study, name, value));
    good(sr_study_commit(ctx, study));
}
static bool has(sr_study *study, const char *name, const char *value) {
    char *text;
    if (sr_study_get(ctx, study, name, &text) != SARTOR_OK) return false;
    bool same = value == NULL ? text == NULL : text != NULL && strcmp(text, value) == 0;
    free(text);
    return same;
}
static void run(sr_study *study, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(sr_study_database(study), sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

/* ---- what a study is ---- */

static void test_create_and_open(void **state) {
    (void)state;
    bool created;
    good(create(in_folder("s"), width(128), &created));
    assert_true(created);
    good(create(in_folder("s"), width(128), &created));
    assert_false(created);

    sr_study *study = open_study(in_folder("s"), SR_STUDY_WRITE);
    assert_string_equal(sr_study_path(study), in_folder("s"));
    assert_string_equal(sr_study_folder(study), in_folder("s.d"));
    struct stat st;
    assert_int_equal(stat(in_folder("s.d"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(json_integer_value(json_object_get(sr_study_settings(study), "width")), 128);
    assert_true(has(study, "generations", NULL));
    put(study, "generations", "18");
    put(study, "generations", "20");
    assert_true(has(study, "generations", "20"));
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
    assert_true(has(reader, "generations", "20"));
    assert_fails(sr_study_put(ctx, reader, "a", "b"), SARTOR_IO,
                 "s: cannot write: the file is read");
    put(study, "generations", "21");
    assert_true(has(reader, "generations", "21"));
    sr_study_close(&study);
    sr_study_close(&reader);
    sr_study_close(&reader);
    /* Whoever was last: one complete file remains. */
    assert_int_equal(file_size(in_folder("s-wal")), -1);
    reader = open_study(in_folder("s"), SR_STUDY_READ);
    assert_true(has(reader, "generations", "21"));
    sr_study_close(&reader);
    assert_int_equal(file_size(in_folder("s-wal")), -1);
    assert_int_equal(file_size(in_folder("s-shm")), -1);
}

static void test_settings(void **state) {
    (void)state;
    const char *path = in_folder("s");
    char expected[256];
    good(create(path,
                json_pack("{s:i, s:s, s:f, s:b, s:[ii]}", "width", 128, "data", "books", "rate",
                          0.1, "tie", 1, "limits", 1, 2),
                NULL));
    good(create(path,
                json_pack("{s:i, s:[ii], s:s, s:f, s:b}", "width", 128, "limits", 1, 2, "data",
                          "books", "rate", 0.1, "tie", 1),
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
        {json_pack("{s:i}", "seed", 1), "was made with seed nothing, asked for is 1"},
        {json_pack("{}"), "was made with width 128, asked for is nothing"},
        {json_pack("{s:s}", "width", "128"), "was made with width 128, asked for is 128"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(expected, sizeof expected, "%s: %s", path, cases[i].message);
        assert_fails(create(path, cases[i].asked, NULL), SARTOR_MISMATCH, expected);
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
            sartor_status status = create(path, width(128), &created);
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
        assert_int_equal(try_open(path, SR_STUDY_READ), SARTOR_OK);
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
        good(create(names[i], width(1), NULL));
        good(try_open(names[i], SR_STUDY_READ));
        assert_true(file_size(in_folder(names[i])) > 0);
    }
    assert_int_equal(chdir(old), 0);
    assert_int_equal(create("", width(1), NULL), SARTOR_INVALID);
}

/* ---- files that are none ---- */

static void test_places(void **state) {
    (void)state;
    assert_fails(try_open(in_folder("none"), SR_STUDY_READ), SARTOR_IO, "none: does not exist");
    assert_fails(try_open(in_folder("none"), SR_STUDY_WRITE), SARTOR_IO, "none: does not exist");
    assert_int_equal(file_size(in_folder("none")), -1);
    assert_fails(try_open(folder, SR_STUDY_READ), SARTOR_IO, "is a folder, not a study");
    assert_fails(create(folder, width(1), NULL), SARTOR_IO, "is a folder, not a study");
    assert_fails(create(in_folder("a/b/c"), width(1), NULL), SARTOR_IO,
                 "a/b: No such file or directory");
    write_file(in_folder("plain"), "x", 1);
    assert_fails(create(in_folder("plain/s"), width(1), NULL), SARTOR_IO, "cannot create");
    assert_int_equal(mkfifo(in_folder("pipe"), 0666), 0);
    assert_fails(try_open(in_folder("pipe"), SR_STUDY_READ), SARTOR_IO, "no regular file");
    assert_fails(create(in_folder("pipe"), width(1), NULL), SARTOR_IO, "no regular file");
    assert_int_equal(symlink(in_folder("loop"), in_folder("loop")), 0);
    assert_int_equal(create(in_folder("loop"), width(1), NULL), SARTOR_IO);
    /* The folder beside it cannot be. */
    write_file(in_folder("t.d"), "x", 1);
    assert_int_equal(create(in_folder("t"), width(1), NULL), SARTOR_IO);
}

/* A link to a study is that study, its folder included. */
static void test_link(void **state) {
    (void)state;
    sr_study *study = new_study();
    sr_study_close(&study);
    assert_int_equal(symlink("s", in_folder("link")), 0);
    char *real = realpath(in_folder("s.d"), NULL);
    assert_non_null(real);
    study = open_study(in_folder("link"), SR_STUDY_READ);
    assert_string_equal(sr_study_folder(study), real);
    sr_study_close(&study);
    study = open_study(in_folder("link"), SR_STUDY_WRITE);
    assert_string_equal(sr_study_folder(study), real);
    sr_study_close(&study);
    assert_int_equal(file_size(in_folder("link.d")), -1);
    free(real);
}

/* What a removed study left behind is not taken for the work of a new one. */
static void test_left_behind(void **state) {
    (void)state;
    sr_study *study;
    json_t *settings = json_pack("{s:i}", "a", 1);
    assert_int_equal(mkdir(in_folder("new.d"), 0777), 0);
    assert_int_equal(mkdir(in_folder("new.d/workers"), 0777), 0);
    good(sr_study_create(ctx, in_folder("new"), settings, &study, NULL));
    sr_study_close(&study);
    assert_int_equal(mkdir(in_folder("old.d"), 0777), 0);
    assert_int_equal(mkdir(in_folder("old.d/trial"), 0777), 0);
    assert_int_equal(sr_study_create(ctx, in_folder("old"), settings, &study, NULL), SARTOR_IO);
    assert_non_null(strstr(sartor_error(ctx), "old.d has files of a study that is gone"));
    assert_int_equal(file_size(in_folder("old")), -1);
    json_decref(settings);
}

static void test_no_study(void **state) {
    (void)state;
    static const char text[] = "This is no database, but a text that goes on. ";
    char page[8192];
    for (size_t i = 0; i < sizeof page; i++) page[i] = text[i % (sizeof text - 1)];
    const char *path = in_folder("f");
    for (size_t n = 1; n <= sizeof page; n = n * 2 + 3) {
        write_file(path, page, n);
        assert_fails(try_open(path, SR_STUDY_READ), SARTOR_FORMAT, "f: is not a sartor study");
        assert_fails(try_open(path, SR_STUDY_WRITE), SARTOR_FORMAT, "f: is not a sartor study");
        assert_fails(create(path, width(1), NULL), SARTOR_FORMAT, "f: is not a sartor study");
        assert_int_equal(file_size(path), n);
    }
    assert_int_equal(file_size(in_folder("f.d")), -1);
    /* Nothing: what a process that died early leaves. */
    write_file(path, "", 0);
    assert_fails(try_open(path, SR_STUDY_READ), SARTOR_FORMAT, "is not a sartor study");
    assert_fails(try_open(path, SR_STUDY_WRITE), SARTOR_FORMAT, "is not a sartor study");
    bool created;
    good(create(path, width(1), &created));
    assert_true(created);
    /* Somebody else's database stays as it is. */
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_folder("other"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE job (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    long size = file_size(in_folder("other"));
    assert_fails(try_open(in_folder("other"), SR_STUDY_READ), SARTOR_FORMAT, "is not a sartor");
    assert_fails(try_open(in_folder("other"), SR_STUDY_WRITE), SARTOR_FORMAT, "is not a sartor");
    assert_fails(create(in_folder("other"), width(1), NULL), SARTOR_FORMAT, "is not a sartor");
    assert_int_equal(file_size(in_folder("other")), size);
    assert_int_equal(file_size(in_folder("other-wal")), -1);
}

static void test_versions(void **state) {
    (void)state;
    sr_study *study = new_study();
    run(study, "PRAGMA user_version = 3");
    sr_study_close(&study);
    const char *newer = "s: was written by a newer sartor (schema 3, this one knows 1)";
    assert_fails(try_open(in_folder("s"), SR_STUDY_READ), SARTOR_MISMATCH, newer);
    assert_fails(try_open(in_folder("s"), SR_STUDY_WRITE), SARTOR_MISMATCH, newer);
    assert_fails(create(in_folder("s"), width(128), NULL), SARTOR_MISMATCH, newer);
}

/* Every version leads to the newest by the steps that it lacks, and only by those. */
static void test_migration(void **state) {
    (void)state;
    static const char *const first[] = {"CREATE TABLE a (x)", "INSERT INTO a VALUES (1)"},
                             *const second[] = {"INSERT INTO a VALUES (2)"},
                             *const third[] = {"UPDATE a SET x = x * 10", "CREATE TABLE b (y)"};
    const sr_schema_step steps[] = {{first, 2}, {second, 1}, {third, 2}};
    for (int version = 0; version <= 3; version++) {
        char name[16];
        snprintf(name, sizeof name, "v%d", version);
        sr_study *study;
        good(sr_study_new(ctx, in_folder(name), &study));
        good(sr_study_connect(ctx, study, in_folder(name),
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
        const int stops[] = {0, version, 3};
        for (int i = 0; i < 2; i++) {
            good(sr_study_begin(ctx, study));
            good(sr_schema_apply(ctx, study, steps, stops[i + 1], stops[i]));
            good(sr_study_commit(ctx, study));
            sr_study_header header;
            good(sr_study_header_read(ctx, study, &header));
            assert_int_equal(header.application, SR_STUDY_APPLICATION);
            assert_int_equal(header.version, stops[i + 1]);
        }
        assert_int_equal(number(study, "SELECT sum(x) FROM a"), 30);
        sr_study_close(&study);
    }
    /* An older study is brought up to date when it is opened for writing: version 0 with the
     * right mark stands for one. It has no settings, which is found after. */
    sr_study *study;
    good(sr_study_new(ctx, in_folder("old"), &study));
    good(
        sr_study_connect(ctx, study, in_folder("old"), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    good(sr_schema_apply(ctx, study, steps, 0, 0));
    sr_study_close(&study);
    assert_fails(try_open(in_folder("old"), SR_STUDY_READ), SARTOR_MISMATCH,
                 "was written by an older sartor (schema 0, this one reads 1)");
    assert_fails(try_open(in_folder("old"), SR_STUDY_WRITE), SARTOR_FORMAT, "no settings");
    good(sr_study_new(ctx, in_folder("old"), &study));
    good(sr_study_connect(ctx, study, in_folder("old"), SQLITE_OPEN_READONLY));
    assert_int_equal(number(study, "SELECT count(*) FROM job"), 0);
    sr_study_close(&study);
    /* A step that fails leaves nothing. */
    static const char *const bad[] = {"CREATE TABLE a (x)", "CREATE TABLE a (x)"};
    good(sr_study_new(ctx, in_folder("bad"), &study));
    good(
        sr_study_connect(ctx, study, in_folder("bad"), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    good(sr_study_begin(ctx, study));
    assert_fails(sr_schema_apply(ctx, study, &(sr_schema_step){bad, 2}, 1, 0), SARTOR_LIBRARY,
                 "already exists");
    sr_study_rollback(study);
    assert_int_equal(number(study, "SELECT count(*) FROM sqlite_schema"), 0);
    sr_study_close(&study);
}

/* Reads and writes here and there, and tells the first failure. */
static sartor_status use(const char *path, sr_study_mode mode) {
    sr_study *study;
    sr_job_counts counts;
    sr_query rows;
    SR_TRY(sr_study_open(ctx, path, mode, &study));
    sartor_status status = sr_job_count(ctx, study, NULL, sr_all_jobs, &counts);
    if (status == SARTOR_OK)
        status = sr_sql(ctx, study, &rows, "SELECT * FROM job ORDER BY name", "");
    if (status == SARTOR_OK) {
        while (sr_next(&rows)) {
            (void)sr_text(&rows, 2);
            (void)sr_int(&rows, 4);
        }
        status = sr_done(&rows);
    }
    if (status == SARTOR_OK && mode == SR_STUDY_WRITE) {
        sr_job job;
        sr_claim claim;
        status = sr_job_claim(ctx, study, "w", 60, sr_all_jobs, &job, &claim);
        sr_job_release(&job);
    }
    sr_study_close(&study);
    return status;
}

static void test_corrupted(void **state) {
    (void)state;
    sr_study *study = new_study();
    for (int i = 0; i < 300; i++) {
        char name[200];
        snprintf(name, sizeof name, "job %0150d", i);
        (void)add_job(study, name, i, i % 7 == 0);
    }
    sr_study_close(&study);
    const char *path = in_folder("s"), *bad = in_folder("bad");
    long size = file_size(path);
    assert_true(size > 20 * 4096);
    assert_int_equal(file_size(in_folder("s-wal")), -1);
    assert_int_equal(use(path, SR_STUDY_READ), SARTOR_OK);

    copy_file(path, bad);
    assert_int_equal(truncate(bad, size / 2), 0);
    assert_fails(use(bad, SR_STUDY_READ), SARTOR_FORMAT, "bad: is corrupted");
    assert_fails(use(bad, SR_STUDY_WRITE), SARTOR_FORMAT, "bad: is corrupted");
    copy_file(path, bad);
    assert_int_equal(truncate(bad, 100), 0);
    assert_int_equal(use(bad, SR_STUDY_READ), SARTOR_FORMAT);
    copy_file(path, bad);
    FILE *f = fopen(bad, "r+b");
    fseek(f, 4096, SEEK_SET);
    for (long i = 4096; i < size; i++) fputc(0xA5, f);
    fclose(f);
    assert_fails(use(bad, SR_STUDY_READ), SARTOR_FORMAT, "bad: is corrupted");

    /* Any bytes anywhere: an error or none, but nothing worse. */
    int failures = 0;
    for (uint32_t round = 0; round < 150; round++) {
        sr_rng rng = {3, SR_FOR_TEST, round};
        unlink(in_folder("bad-wal"));
        unlink(in_folder("bad-shm"));
        copy_file(path, bad);
        f = fopen(bad, "r+b");
        for (uint64_t i = 0; i < 40; i++) {
            bool front = sr_rng_below(rng, 3 * i, 3) == 0;
            fseek(f, (long)sr_rng_below(rng, 3 * i + 1, front ? 4096 : (uint64_t)size), SEEK_SET);
            fputc((int)sr_rng_below(rng, 3 * i + 2, 256), f);
        }
        fclose(f);
        sartor_status status = use(bad, round % 2 ? SR_STUDY_READ : SR_STUDY_WRITE);
        failures += status != SARTOR_OK;
        if (status != SARTOR_OK && status != SARTOR_FORMAT && status != SARTOR_MISMATCH)
            fail_msg("round %u: %s: %s", round, sartor_status_name(status), sartor_error(ctx));
    }
    assert_in_range(failures, 30, 150);
}

/* The right mark, but other tables: malformed, not a fault of the library. */
static void test_missing_tables(void **state) {
    (void)state;
    sr_study *study = new_study();
    run(study, "PRAGMA foreign_keys = OFF; DROP TABLE curve; DROP TABLE attempt");
    (void)add_job(study, "x", 1, false);
    sr_study_close(&study);
    assert_fails(use(in_folder("s"), SR_STUDY_WRITE), SARTOR_FORMAT, "no such table: attempt");
    study = open_study(in_folder("s"), SR_STUDY_WRITE);
    run(study, "UPDATE fact SET value = '[1' WHERE name = 'settings'");
    sr_study_close(&study);
    assert_fails(try_open(in_folder("s"), SR_STUDY_READ), SARTOR_FORMAT, "no settings");
}

/* ---- surroundings that fail ---- */

static void test_locked(void **state) {
    (void)state;
    sr_study *study = new_study(), *other;
    sr_study_set_patience(0.05);
    other = open_study(in_folder("s"), SR_STUDY_WRITE);
    run(other, "BEGIN EXCLUSIVE");
    sr_study_set_patience(0.05);
    sr_study *third = open_study(in_folder("s"), SR_STUDY_WRITE);
    assert_fails(sr_study_begin(ctx, third), SARTOR_IO, "s: is locked by another program");
    assert_true(third->locked);
    assert_true(has(third, "none", NULL)); /* reading goes on */
    run(other, "COMMIT");
    put(third, "a", "b");
    assert_false(third->locked);
    sr_study_close(&third);
    sr_study_close(&study);
    /* A program that wants it for itself alone. */
    run(other, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
    assert_fails(try_open(in_folder("s"), SR_STUDY_READ), SARTOR_IO,
                 "is locked by another program");
    assert_fails(try_open(in_folder("s"), SR_STUDY_WRITE), SARTOR_IO, "is locked by another");
    assert_fails(create(in_folder("s"), width(128), NULL), SARTOR_IO, "is locked by another");
    run(other, "COMMIT");
    sr_study_close(&other);
    good(create(in_folder("s"), width(128), NULL));
}

static sartor_status fill(sr_study *study) {
    char text[4000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 1000; i++) {
        sartor_status status = sr_study_begin(ctx, study);
        if (status == SARTOR_OK) status = sr_study_event(ctx, study, 0, text);
        if (status == SARTOR_OK)
            status = sr_study_commit(ctx, study);
        else
            sr_study_rollback(study);
        if (status != SARTOR_OK) return status;
    }
    return SARTOR_OK;
}

static void test_limited_pages(void **state) {
    (void)state;
    sr_study *study = new_study();
    run(study, "PRAGMA max_page_count = 60");
    assert_fails(fill(study), SARTOR_IO, "s: cannot write: disk full");
    assert_true(sqlite3_get_autocommit(study->db));
    int64_t n = number(study, "SELECT count(*) FROM event");
    assert_in_range(n, 5, 100);
    run(study, "PRAGMA max_page_count = 1000000; DELETE FROM event");
    put(study, "a", "b");
    sr_study_close(&study);
}

static int on_full_disk(void) {
    if (!mount_small(in_folder("small"), "400k")) return -1;
    bool created;
    sr_study *study;
    json_t *settings = width(1);
    REQUIRE(sr_study_create(ctx, in_folder("small/s"), settings, &study, &created) == SARTOR_OK);
    sartor_status status = fill(study);
    REQUIRE(status == SARTOR_IO);
    REQUIRE(strstr(sartor_error(ctx), "disk full") != NULL);
    sr_study_close(&study);
    REQUIRE(try_open(in_folder("small/s"), SR_STUDY_READ) == SARTOR_OK);
    write_file(in_folder("small/rest"), "", 0);
    /* No room for another one at all. */
    FILE *f = fopen(in_folder("small/rest"), "wb");
    REQUIRE(f != NULL);
    setvbuf(f, NULL, _IONBF, 0);
    for (int i = 0; i < 400 * 1024 && fputc('x', f) != EOF; i++) continue;
    fclose(f);
    status = create(in_folder("small/t"), width(1), NULL);
    REQUIRE(status == SARTOR_IO);
    REQUIRE(strstr(sartor_error(ctx), "t: cannot") != NULL);
    json_decref(settings);
    return 0;
}
static void test_full_disk(void **state) {
    (void)state;
    int line = in_child(on_full_disk);
    if (line == -1) skip();
    assert_int_equal(line, 0);
}

/* ---- reading without writing ---- */

static bool temporary_left(void) {
    DIR *d = opendir(in_folder("tmp"));
    bool found = false;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        found = found || e->d_name[0] != '.';
    if (d != NULL) closedir(d);
    return found;
}

static const char odd_name[] = "ro/a?b#c%20 d.s";

static int read_closed_study(void) {
    if (!make_read_only(in_folder("ro"))) return -1;
    sr_study *study;
    REQUIRE(sr_study_open(ctx, in_folder(odd_name), SR_STUDY_READ, &study) == SARTOR_OK);
    REQUIRE(has(study, "state", "closed"));
    REQUIRE(!temporary_left());
    sr_study_close(&study);
    sartor_status status = try_open(in_folder(odd_name), SR_STUDY_WRITE);
    REQUIRE(status == SARTOR_IO);
    REQUIRE(strstr(sartor_error(ctx), "read-only") != NULL ||
            strstr(sartor_error(ctx), "unable to open") != NULL);
    status = create(in_folder("ro/new"), width(1), NULL);
    REQUIRE(status == SARTOR_IO);
    REQUIRE(strstr(sartor_error(ctx), "ro/new: cannot create") != NULL);
    return 0;
}

static int read_copied_study(void) {
    if (!make_read_only(in_folder("ro"))) return -1;
    sr_study *study;
    REQUIRE(sr_study_open(ctx, in_folder(odd_name), SR_STUDY_READ, &study) == SARTOR_OK);
    REQUIRE(has(study, "state", "in the log"));
    REQUIRE(sr_study_put(ctx, study, "state", "x") == SARTOR_IO);
    REQUIRE(temporary_left());
    sr_study_close(&study);
    REQUIRE(!temporary_left());
    return 0;
}

static int read_live_study(void) {
    if (!make_read_only(in_folder("ro"))) return -1;
    sr_study *study;
    REQUIRE(sr_study_open(ctx, in_folder(odd_name), SR_STUDY_READ, &study) == SARTOR_OK);
    REQUIRE(has(study, "state", "in the log"));
    REQUIRE(!temporary_left());
    sr_study_close(&study);
    return 0;
}

static void assert_child(int line) {
    if (line == -1) skip();
    (void)chmod(in_folder("ro"), 0755);
    assert_int_equal(line, 0);
}

static void test_read_only_folder(void **state) {
    (void)state;
    assert_int_equal(mkdir(in_folder("ro"), 0755), 0);
    assert_int_equal(mkdir(in_folder("tmp"), 0755), 0);
    assert_int_equal(setenv("TMPDIR", in_folder("tmp"), 1), 0);
    sr_study *study;
    json_t *settings = width(1);
    bool created;
    good(sr_study_create(ctx, in_folder(odd_name), settings, &study, &created));
    json_decref(settings);
    put(study, "state", "closed");
    sr_study_close(&study);
    assert_child(in_child(read_closed_study));

    study = open_study(in_folder(odd_name), SR_STUDY_WRITE);
    put(study, "state", "in the log");
    assert_child(in_child(read_live_study));
    /* As it would be after a crash of the machine, or copied while it was in use. */
    char shm[512], wal[512];
    snprintf(shm, sizeof shm, "%s-shm", in_folder(odd_name));
    snprintf(wal, sizeof wal, "%s-wal", in_folder(odd_name));
    copy_file(in_folder(odd_name), in_folder("db"));
    copy_file(wal, in_folder("wal"));
    sr_study_close(&study);
    copy_file(in_folder("db"), in_folder(odd_name));
    copy_file(in_folder("wal"), wal);
    assert_int_equal(file_size(shm), -1);
    assert_child(in_child(read_copied_study));

    /* Copied without its log: what was in the file itself. */
    unlink(wal);
    assert_child(in_child(read_closed_study));
    unsetenv("TMPDIR");
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
    put(study, "a", "1");
    good(sr_study_begin_reading(ctx, reader));
    assert_true(has(reader, "a", "1"));
    put(study, "a", "2");
    assert_true(has(reader, "a", "1"));
    sr_study_rollback(reader);
    assert_true(has(reader, "a", "2"));
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
        TEST(test_create_and_open),
        TEST(test_settings),
        TEST(test_two_create_at_once),
        TEST(test_names),
        TEST(test_places),
        TEST(test_link),
        TEST(test_left_behind),
        TEST(test_no_study),
        TEST(test_versions),
        TEST(test_migration),
        TEST(test_corrupted),
        TEST(test_missing_tables),
        TEST(test_locked),
        TEST(test_limited_pages),
        TEST(test_full_disk),
        TEST(test_read_only_folder),
        TEST(test_queries),
        TEST(test_reading_transaction),
        TEST(test_killed_writer),
    };
    return cmocka_run_group_tests_name("study", tests, NULL, NULL);
}
