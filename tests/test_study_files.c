/* Study files that are none, old, corrupted or locked, and places where nothing can be written. */
#define _GNU_SOURCE
#include "study_tools.h"

#include "base/rng.h"
#include "study/schema.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files that are none ---- */

static void test_places(void **state) {
    (void)state;
    assert_fails(try_study(in_folder("none"), SR_STUDY_READ), SARTOR_IO, "none: does not exist");
    assert_fails(try_study(in_folder("none"), SR_STUDY_WRITE), SARTOR_IO, "none: does not exist");
    assert_int_equal(file_size(in_folder("none")), -1);
    assert_fails(try_study(folder, SR_STUDY_READ), SARTOR_IO, "is a folder, not a study");
    assert_fails(create_study(folder, with_width(1), NULL), SARTOR_IO, "is a folder, not a study");
    assert_fails(create_study(in_folder("a/b/c"), with_width(1), NULL), SARTOR_IO,
                 "a/b: No such file or directory");
    write_file(in_folder("plain"), "x", 1);
    assert_fails(create_study(in_folder("plain/s"), with_width(1), NULL), SARTOR_IO,
                 "cannot create");
    assert_int_equal(mkfifo(in_folder("pipe"), 0666), 0);
    assert_fails(try_study(in_folder("pipe"), SR_STUDY_READ), SARTOR_IO, "no regular file");
    assert_fails(create_study(in_folder("pipe"), with_width(1), NULL), SARTOR_IO,
                 "no regular file");
    assert_int_equal(symlink(in_folder("loop"), in_folder("loop")), 0);
    assert_int_equal(create_study(in_folder("loop"), with_width(1), NULL), SARTOR_IO);
    /* The folder beside it cannot be. */
    write_file(in_folder("t.d"), "x", 1);
    assert_int_equal(create_study(in_folder("t"), with_width(1), NULL), SARTOR_IO);
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
        assert_fails(try_study(path, SR_STUDY_READ), SARTOR_FORMAT, "f: is not a sartor study");
        assert_fails(try_study(path, SR_STUDY_WRITE), SARTOR_FORMAT, "f: is not a sartor study");
        assert_fails(create_study(path, with_width(1), NULL), SARTOR_FORMAT,
                     "f: is not a sartor study");
        assert_int_equal(file_size(path), n);
    }
    assert_int_equal(file_size(in_folder("f.d")), -1);
    /* Nothing: what a process that died early leaves. */
    write_file(path, "", 0);
    assert_fails(try_study(path, SR_STUDY_READ), SARTOR_FORMAT, "is not a sartor study");
    assert_fails(try_study(path, SR_STUDY_WRITE), SARTOR_FORMAT, "is not a sartor study");
    bool created;
    good(create_study(path, with_width(1), &created));
    assert_true(created);
    /* Somebody else's database stays as it is. */
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_folder("other"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE job (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    long size = file_size(in_folder("other"));
    assert_fails(try_study(in_folder("other"), SR_STUDY_READ), SARTOR_FORMAT, "is not a sartor");
    assert_fails(try_study(in_folder("other"), SR_STUDY_WRITE), SARTOR_FORMAT, "is not a sartor");
    assert_fails(create_study(in_folder("other"), with_width(1), NULL), SARTOR_FORMAT,
                 "is not a sartor");
    assert_int_equal(file_size(in_folder("other")), size);
    assert_int_equal(file_size(in_folder("other-wal")), -1);
}

static void test_versions(void **state) {
    (void)state;
    sr_study *study = new_study();
    run_sql(study, "PRAGMA user_version = 3");
    sr_study_close(&study);
    const char *newer = "s: was written by a newer sartor (schema 3, this one knows 1)";
    assert_fails(try_study(in_folder("s"), SR_STUDY_READ), SARTOR_MISMATCH, newer);
    assert_fails(try_study(in_folder("s"), SR_STUDY_WRITE), SARTOR_MISMATCH, newer);
    assert_fails(create_study(in_folder("s"), with_width(128), NULL), SARTOR_MISMATCH, newer);
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
    assert_fails(try_study(in_folder("old"), SR_STUDY_READ), SARTOR_MISMATCH,
                 "was written by an older sartor (schema 0, this one reads 1)");
    assert_fails(try_study(in_folder("old"), SR_STUDY_WRITE), SARTOR_FORMAT, "no settings");
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
    sartor_status status = sr_job_count(ctx, study, NULL, &counts);
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
        status = sr_job_claim(ctx, study, "w", 60, &job, &claim);
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
    run_sql(study, "PRAGMA foreign_keys = OFF; DROP TABLE curve; DROP TABLE attempt");
    (void)add_job(study, "x", 1, false);
    sr_study_close(&study);
    assert_fails(use(in_folder("s"), SR_STUDY_WRITE), SARTOR_FORMAT, "no such table: attempt");
    study = open_study(in_folder("s"), SR_STUDY_WRITE);
    run_sql(study, "UPDATE fact SET value = '[1' WHERE name = 'settings'");
    sr_study_close(&study);
    assert_fails(try_study(in_folder("s"), SR_STUDY_READ), SARTOR_FORMAT, "no settings");
}

/* ---- surroundings that fail ---- */

static void test_locked(void **state) {
    (void)state;
    sr_study *study = new_study(), *other;
    sr_study_set_patience(0.05);
    other = open_study(in_folder("s"), SR_STUDY_WRITE);
    run_sql(other, "BEGIN EXCLUSIVE");
    sr_study_set_patience(0.05);
    sr_study *third = open_study(in_folder("s"), SR_STUDY_WRITE);
    assert_fails(sr_study_begin(ctx, third), SARTOR_IO, "s: is locked by another program");
    assert_true(third->locked);
    assert_true(has_fact(third, "none", NULL)); /* reading goes on */
    run_sql(other, "COMMIT");
    put_fact(third, "a", "b");
    assert_false(third->locked);
    sr_study_close(&third);
    sr_study_close(&study);
    /* A program that wants it for itself alone. */
    run_sql(other,
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
    assert_fails(try_study(in_folder("s"), SR_STUDY_READ), SARTOR_IO,
                 "is locked by another program");
    assert_fails(try_study(in_folder("s"), SR_STUDY_WRITE), SARTOR_IO, "is locked by another");
    assert_fails(create_study(in_folder("s"), with_width(128), NULL), SARTOR_IO,
                 "is locked by another");
    run_sql(other, "COMMIT");
    sr_study_close(&other);
    good(create_study(in_folder("s"), with_width(128), NULL));
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
    run_sql(study, "PRAGMA max_page_count = 60");
    assert_fails(fill(study), SARTOR_IO, "s: cannot write: disk full");
    assert_true(sqlite3_get_autocommit(study->db));
    int64_t n = number(study, "SELECT count(*) FROM event");
    assert_in_range(n, 5, 100);
    run_sql(study, "PRAGMA max_page_count = 1000000; DELETE FROM event");
    put_fact(study, "a", "b");
    sr_study_close(&study);
}

static int on_full_disk(void) {
    if (!mount_small(in_folder("small"), "400k")) return -1;
    bool created;
    sr_study *study;
    json_t *settings = with_width(1);
    REQUIRE(sr_study_create(ctx, in_folder("small/s"), settings, &study, &created) == SARTOR_OK);
    sartor_status status = fill(study);
    REQUIRE(status == SARTOR_IO);
    REQUIRE(strstr(sartor_error(ctx), "disk full") != NULL);
    sr_study_close(&study);
    REQUIRE(try_study(in_folder("small/s"), SR_STUDY_READ) == SARTOR_OK);
    write_file(in_folder("small/rest"), "", 0);
    /* No room for another one at all. */
    FILE *f = fopen(in_folder("small/rest"), "wb");
    REQUIRE(f != NULL);
    setvbuf(f, NULL, _IONBF, 0);
    for (int i = 0; i < 400 * 1024 && fputc('x', f) != EOF; i++) continue;
    fclose(f);
    status = create_study(in_folder("small/t"), with_width(1), NULL);
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
    REQUIRE(has_fact(study, "state", "closed"));
    REQUIRE(!temporary_left());
    sr_study_close(&study);
    sartor_status status = try_study(in_folder(odd_name), SR_STUDY_WRITE);
    REQUIRE(status == SARTOR_IO);
    REQUIRE(strstr(sartor_error(ctx), "read-only") != NULL ||
            strstr(sartor_error(ctx), "unable to open") != NULL);
    status = create_study(in_folder("ro/new"), with_width(1), NULL);
    REQUIRE(status == SARTOR_IO);
    REQUIRE(strstr(sartor_error(ctx), "ro/new: cannot create") != NULL);
    return 0;
}

static int read_copied_study(void) {
    if (!make_read_only(in_folder("ro"))) return -1;
    sr_study *study;
    REQUIRE(sr_study_open(ctx, in_folder(odd_name), SR_STUDY_READ, &study) == SARTOR_OK);
    REQUIRE(has_fact(study, "state", "in the log"));
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
    REQUIRE(has_fact(study, "state", "in the log"));
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
    json_t *settings = with_width(1);
    bool created;
    good(sr_study_create(ctx, in_folder(odd_name), settings, &study, &created));
    json_decref(settings);
    put_fact(study, "state", "closed");
    sr_study_close(&study);
    assert_child(in_child(read_closed_study));

    study = open_study(in_folder(odd_name), SR_STUDY_WRITE);
    put_fact(study, "state", "in the log");
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

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, study_set_up, study_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_places),        TEST(test_link),           TEST(test_left_behind),
        TEST(test_no_study),      TEST(test_versions),       TEST(test_migration),
        TEST(test_corrupted),     TEST(test_missing_tables), TEST(test_locked),
        TEST(test_limited_pages), TEST(test_full_disk),      TEST(test_read_only_folder),
    };
    return cmocka_run_group_tests_name("study_files", tests, NULL, NULL);
}
