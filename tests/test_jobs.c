/* Jobs: the order of claims, leases and fencing, jobs that must be alone, deaths. */
#define _GNU_SOURCE
#include "study_tools.h"

#include "base/rng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static sr_study *study;

static int set_up(void **state) {
    if (study_set_up(state) != 0) return -1;
    study = new_study();
    return 0;
}
static int tear_down(void **state) {
    sr_study_close(&study);
    return study_tear_down(state);
}

/* The id claimed, 0: none. */
static int64_t claim(const char *worker, double lease, sr_job *job, sr_claim expected) {
    sr_claim got;
    good(sr_job_claim(ctx, study, worker, lease, sr_all_jobs, job, &got));
    assert_int_equal(got, expected);
    assert_int_equal(job->id != 0, got == SR_CLAIMED);
    return job->id;
}
static int64_t claim_only(const char *worker, double lease, sr_claim expected) {
    sr_job job;
    int64_t id = claim(worker, lease, &job, expected);
    sr_job_release(&job);
    return id;
}
static bool finish(const sr_job *job, const char *result, const char *reason) {
    json_t *json = result != NULL ? json_string(result) : NULL;
    bool ours;
    good(sr_study_begin(ctx, study));
    good(sr_job_finish(ctx, study, job, json, reason, &ours));
    good(sr_study_commit(ctx, study));
    json_decref(json);
    return ours;
}
static bool give_back(const sr_job *job, const char *outcome) {
    bool ours;
    good(sr_study_begin(ctx, study));
    good(sr_job_give_back(ctx, study, job, outcome, &ours));
    good(sr_study_commit(ctx, study));
    return ours;
}
static bool extend(const sr_job *job, double lease) {
    bool ours;
    good(sr_job_extend(ctx, study, job, lease, 7, 10, NAN, &ours));
    return ours;
}
static void run(const char *sql) {
    assert_int_equal(sqlite3_exec(sr_study_database(study), sql, NULL, NULL, NULL), SQLITE_OK);
}
static void expire(void) { run("UPDATE job SET lease_until = started WHERE state = 'running'"); }
static void assert_text(const char *sql, const char *expected) {
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(sr_study_database(study), sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(s, 0);
    assert_string_equal(text != NULL ? text : "NULL", expected);
    sqlite3_finalize(s);
}

static void test_add(void **state) {
    (void)state;
    json_t *spec = json_pack("{s:f, s:s, s:[i]}", "rate", 0.1, "name", "a\"b\xc3\xbc", "n", 1);
    int64_t id, again;
    bool added;
    good(sr_study_begin(ctx, study));
    good(sr_job_add(ctx, study, "trial", "t1", spec, 2, false, &id, &added));
    assert_true(added);
    good(sr_job_add(ctx, study, "trial", "t1", spec, 5, true, &again, &added));
    assert_false(added);
    assert_int_equal(again, id);
    good(sr_job_add(ctx, study, "final", "t1", spec, NAN, false, &again, NULL));
    assert_int_not_equal(again, id);
    good(sr_study_commit(ctx, study));
    assert_int_equal(number(study, "SELECT count(*) FROM job"), 2);
    assert_int_equal(number(study, "SELECT cost FROM job WHERE kind = 'trial'"), 2);

    sr_job job;
    assert_int_equal(claim("w", 60, &job, SR_CLAIMED), id);
    assert_string_equal(job.kind, "trial");
    assert_string_equal(job.name, "t1");
    assert_int_equal(job.attempt, 1);
    assert_true(json_equal(job.spec, spec));
    json_decref(spec);
    sr_job_release(&job);
    assert_null(job.spec);
}

static void test_order(void **state) {
    (void)state;
    static const double costs[] = {1, 5, 3, 5, 2};
    static const int order[] = {1, 3, 2, 4, 0};
    int64_t ids[5];
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "j%d", i);
        ids[i] = add_job(study, name, costs[i], false);
    }
    for (int i = 0; i < 5; i++) assert_int_equal(claim_only("w", 60, SR_CLAIMED), ids[order[i]]);
    claim_only("w", 60, SR_CLAIM_BUSY);
    /* Those that expired and those that wait are one queue. */
    run("UPDATE job SET lease_until = 1 WHERE cost = 3 OR cost = 1;"
        "UPDATE job SET state = 'waiting' WHERE cost = 2");
    assert_int_equal(claim_only("w", 60, SR_CLAIMED), ids[2]);
    assert_int_equal(claim_only("w", 60, SR_CLAIMED), ids[4]);
    assert_int_equal(claim_only("w", 60, SR_CLAIMED), ids[0]);
    run("UPDATE job SET state = 'done'");
    claim_only("w", 60, SR_CLAIM_NONE);
}

static void test_fencing(void **state) {
    (void)state;
    int64_t id = add_job(study, "j", 1, false);
    sr_job slow, next;
    claim("slow", 60, &slow, SR_CLAIMED);
    assert_true(extend(&slow, 60));
    assert_int_equal(number(study, "SELECT step FROM job"), 7);
    claim_only("next", 60, SR_CLAIM_BUSY);
    expire();
    assert_true(extend(&slow, 60)); /* nobody has taken it: it is still ours */
    expire();
    assert_int_equal(claim("next", 60, &next, SR_CLAIMED), id);
    assert_int_equal(next.attempt, 2);
    assert_false(extend(&slow, 60));
    assert_false(finish(&slow, "late", NULL));
    assert_false(finish(&slow, NULL, "late"));
    assert_false(give_back(&slow, "late"));
    assert_text("SELECT state || worker FROM job", "runningnext");
    assert_text("SELECT outcome FROM attempt WHERE attempt = 1", "lease expired");
    assert_true(finish(&next, "good", NULL));
    assert_false(finish(&next, "twice", NULL));
    assert_false(finish(&slow, "late", NULL));
    assert_false(extend(&next, 60));
    assert_text("SELECT result FROM job", "\"good\"");
    assert_text("SELECT state FROM job", "done");
    assert_text("SELECT outcome FROM attempt WHERE attempt = 2", "done");
    assert_int_equal(number(study, "SELECT count(*) FROM attempt WHERE ended IS NULL"), 0);
    claim_only("w", 60, SR_CLAIM_NONE);
    sr_job_release(&slow);
    sr_job_release(&next);
}

/* Leases that nobody gave do not keep a job for ever, and attempts do not overflow. */
static void test_absurd_rows(void **state) {
    (void)state;
    static const char *const leases[] = {"NULL", "1e300", "'x'", "-1"};
    sr_job job;
    sr_claim claimed;
    int64_t id = add_job(study, "a", 1, false);
    assert_int_equal(claim("w", 60, &job, SR_CLAIMED), id);
    sr_job_release(&job);
    for (size_t i = 0; i < sizeof leases / sizeof *leases; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "UPDATE job SET lease_until = %s", leases[i]);
        run(sql);
        assert_int_equal(claim("v", 60, &job, SR_CLAIMED), id);
        sr_job_release(&job);
        assert_int_equal(claim("w", 60, &job, SR_CLAIM_BUSY), 0);
    }
    static const char *const attempts[] = {"9223372036854775807", "2147483647", "-5", "'x'"};
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        char sql[120];
        snprintf(sql, sizeof sql, "UPDATE job SET state = 'waiting', attempt = %s", attempts[i]);
        run(sql);
        sartor_status status = sr_job_claim(ctx, study, "w", 60, sr_all_jobs, &job, &claimed);
        if (i < 3) assert_int_equal(status, SARTOR_FORMAT);
        sr_job_release(&job);
    }
}

static void test_give_back(void **state) {
    (void)state;
    add_job(study, "j", 1, false);
    sr_job job;
    claim("w", 60, &job, SR_CLAIMED);
    assert_true(give_back(&job, "interrupted"));
    assert_false(finish(&job, "x", NULL));
    assert_text("SELECT state FROM job", "waiting");
    assert_text("SELECT outcome FROM attempt", "interrupted");
    run("UPDATE attempt SET started = ended - 5");
    sr_job_release(&job);
    claim("w", 60, &job, SR_CLAIMED);
    assert_int_equal(job.attempt, 2);
    run("UPDATE attempt SET started = started - 3 WHERE attempt = 2");
    assert_true(finish(&job, NULL, "loss is not finite"));
    assert_text("SELECT state || ': ' || reason FROM job", "failed: loss is not finite");
    assert_int_equal(number(study, "SELECT round(seconds) FROM job"), 8);
    assert_text("SELECT result FROM job", "NULL");
    sr_job_release(&job);
}

static void test_alone(void **state) {
    (void)state;
    int64_t alone = add_job(study, "measure", 100, true), a = add_job(study, "a", 2, false),
            b = add_job(study, "b", 1, false), other = add_job(study, "other", 50, true);
    sr_job first, second, third;
    assert_int_equal(claim("w1", 60, &first, SR_CLAIMED), a); /* others before it */
    assert_int_equal(claim("w2", 60, &second, SR_CLAIMED), b);
    claim_only("w3", 60, SR_CLAIM_BUSY);
    assert_true(finish(&first, "x", NULL));
    claim_only("w1", 60, SR_CLAIM_BUSY);
    assert_true(finish(&second, "x", NULL));
    assert_int_equal(claim("w1", 60, &third, SR_CLAIMED), alone);
    claim_only("w2", 60, SR_CLAIM_BUSY); /* not even the next of them */
    int64_t late = add_job(study, "late", 1, false);
    claim_only("w2", 60, SR_CLAIM_BUSY);
    expire(); /* its worker is gone: what is not alone comes first */
    assert_int_equal(claim_only("w2", 60, SR_CLAIMED), late);
    claim_only("w3", 60, SR_CLAIM_BUSY);
    assert_true(finish(&third, "x", NULL)); /* late, but nobody else has begun it */
    run("UPDATE job SET state = 'done' WHERE name = 'late'");
    assert_int_equal(claim_only("w2", 60, SR_CLAIMED), other);
    run("UPDATE job SET state = 'done'");
    claim_only("w2", 60, SR_CLAIM_NONE);
    sr_job_release(&first);
    sr_job_release(&second);
    sr_job_release(&third);
}

/* The worker of the only job dies at `step`. */
static bool die(int64_t step, const char *how) {
    int64_t job;
    bool failed;
    claim_only("w", 60, SR_CLAIMED);
    good(sr_job_crashed(ctx, study, "w", step, how, &job, &failed));
    assert_true(job != 0);
    return failed;
}

static void test_deaths(void **state) {
    (void)state;
    int64_t id = add_job(study, "j", 1, false), job;
    bool failed;
    good(sr_job_crashed(ctx, study, "w", 5, "signal 9", &job, &failed));
    assert_true(job == 0 && !failed);
    assert_false(die(120, "signal 9"));
    assert_text("SELECT outcome FROM attempt", "killed its worker at step 120 (signal 9)");
    assert_false(die(120, "signal 9"));
    assert_false(die(130, "signal 9")); /* it has got further: counted anew */
    assert_false(die(120, "signal 9"));
    assert_false(die(0, "signal 9"));
    assert_false(die(0, "signal 9"));
    assert_true(die(0, "signal 11"));
    assert_text("SELECT reason FROM job", "killed its worker 3 times at step 0 (signal 11)");
    assert_text("SELECT state FROM job", "failed");
    assert_int_equal(number(study, "SELECT count(*) FROM attempt WHERE ended IS NULL"), 0);
    assert_int_equal(number(study, "SELECT count(*) FROM event WHERE job = 1"), 7);
    claim_only("w", 60, SR_CLAIM_NONE);
    /* A worker that is gone, though the job cannot help it. */
    assert_int_equal(id, 1);
    add_job(study, "k", 1, false);
    for (int i = 0; i < 5; i++) {
        claim_only("w", 60, SR_CLAIMED);
        good(sr_job_take_back(ctx, study, "w", "stopped", &job));
        assert_int_equal(job, 2);
    }
    good(sr_job_take_back(ctx, study, "w", "stopped", &job));
    assert_int_equal(job, 0);
    assert_text("SELECT state || crashes FROM job WHERE id = 2", "waiting0");
    /* Somebody else has it by now. */
    claim_only("w", 60, SR_CLAIMED);
    expire();
    claim_only("x", 60, SR_CLAIMED);
    good(sr_job_crashed(ctx, study, "w", 1, "signal 9", &job, &failed));
    assert_int_equal(job, 0);
}

/* The first job of a set, or whether the set has open ones. */
static int64_t claim_of(const char *text, sr_claim expected, sr_job *job) {
    char *spans;
    sr_claim got;
    good(sr_job_set_parse(ctx, text, &spans));
    good(sr_job_claim(ctx, study, "w", 60, (sr_job_set){spans}, job, &got));
    free(spans);
    assert_int_equal(got, expected);
    return job->id;
}

static void test_sets(void **state) {
    (void)state;
    sr_job first, second, none;
    int64_t ids[6];
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "j%d", i);
        ids[i] = add_job(study, name, 10 - i, false);
        assert_int_equal(ids[i], i + 1);
    }
    int64_t alone = add_job(study, "alone", 100, true);
    assert_int_equal(claim_of("3-4,6", SR_CLAIMED, &first), 3);
    assert_int_equal(claim_of("3,6", SR_CLAIMED, &second), 6);
    (void)claim_of("3,6", SR_CLAIM_BUSY, &none); /* own ones run */
    assert_true(finish(&first, "r", NULL));
    (void)claim_of("3", SR_CLAIM_NONE, &none); /* whatever others do */
    (void)claim_of("7", SR_CLAIM_BUSY, &none); /* must wait for 6 */
    assert_true(finish(&second, "r", NULL));
    sr_job_release(&first);
    sr_job_release(&second);
    assert_int_equal(claim_of("7", SR_CLAIMED, &first), alone);
    (void)claim_of("3,6", SR_CLAIM_NONE, &none);
    (void)claim_of("1", SR_CLAIM_BUSY, &none);
    sr_job_release(&first);

    char *spans;
    sr_job_counts n;
    good(sr_job_set_parse(ctx, "2-6", &spans));
    good(sr_job_count(ctx, study, NULL, (sr_job_set){spans}, &n));
    assert_true(n.waiting == 3 && n.running == 0 && n.done == 2 && n.failed == 0);
    free(spans);
}

static void test_text_of_sets(void **state) {
    (void)state;
    int64_t ids[] = {52, 14, 12, 13, 13, 7, INT64_MAX}, far[3000];
    char *text = sr_job_set_print(ids, 7), *spans;
    assert_string_equal(text, "7,12-14,52,9223372036854775807");
    good(sr_job_set_parse(ctx, text, &spans));
    assert_string_equal(spans, "[[7,7],[12,14],[52,52],[9223372036854775807,9223372036854775807]]");
    free(spans);
    free(text);
    for (int i = 0; i < 3000; i++) far[i] = 10 * i;
    text = sr_job_set_print(far, 3000);
    assert_non_null(strstr(text, "9970,9980,9990-29990"));
    good(sr_job_set_parse(ctx, text, &spans));
    free(spans);
    free(text);
    good(sr_job_set_parse(ctx, NULL, &spans));
    assert_null(spans);
    static const char *const wrong[] = {"",      ",",  "1,", ",1", "1,,2", "4-3",
                                        "1-2-3", "-1", "1-", "a",  "1 2",  "9223372036854775808"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(sr_job_set_parse(ctx, wrong[i], &spans), SARTOR_INVALID);
}

static void test_counts_and_curves(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        add_job(study, name, i, false);
    }
    sr_job job;
    for (int i = 0; i < 3; i++) {
        claim("w", 60, &job, SR_CLAIMED);
        if (i < 2) finish(&job, i == 0 ? "x" : NULL, i == 0 ? NULL : "bad");
        sr_job_release(&job);
    }
    sr_job_counts n;
    good(sr_job_count(ctx, study, "count", sr_all_jobs, &n));
    assert_true(n.waiting == 3 && n.running == 1 && n.done == 1 && n.failed == 1);
    good(sr_job_count(ctx, study, NULL, sr_all_jobs, &n));
    assert_true(n.waiting == 3 && n.running == 1 && n.done == 1 && n.failed == 1);
    good(sr_job_count(ctx, study, "other", sr_all_jobs, &n));
    assert_true(n.waiting + n.running + n.done + n.failed == 0);

    good(sr_study_begin(ctx, study));
    good(sr_curve_add(ctx, study, 1, 10, 2560, 2.5, NAN));
    good(sr_curve_add(ctx, study, 1, 20, 5120, NAN, 1.5));
    good(sr_curve_add(ctx, study, 1, 10, 2560, 2.25, NAN));
    good(sr_study_commit(ctx, study));
    assert_int_equal(number(study, "SELECT count(*) FROM curve"), 2);
    assert_int_equal(number(study, "SELECT loss * 100 FROM curve WHERE bits_per_byte IS NULL"),
                     225);
}

/* Two processes, a thousand jobs: each is done once, none is lost. */
static void test_two_processes(void **state) {
    (void)state;
    enum { JOBS = 1000 };
    good(sr_study_begin(ctx, study));
    for (int i = 0; i < JOBS; i++) {
        char name[16];
        snprintf(name, sizeof name, "j%d", i);
        json_t *spec = json_integer(i);
        int64_t id;
        good(sr_job_add(ctx, study, "count", name, spec, i % 10, false, &id, NULL));
        json_decref(spec);
    }
    good(sr_study_commit(ctx, study));
    sr_study_close(&study);
    pid_t pids[2];
    for (int p = 0; p < 2; p++) {
        pids[p] = fork();
        if (pids[p] != 0) continue;
        char worker[16];
        snprintf(worker, sizeof worker, "w%d", p);
        study = open_study(in_folder("s"), SR_STUDY_WRITE);
        for (;;) {
            sr_job job;
            sr_claim got;
            if (sr_job_claim(ctx, study, worker, 60, sr_all_jobs, &job, &got) != SARTOR_OK)
                _exit(1);
            if (got == SR_CLAIM_NONE) _exit(0);
            if (got == SR_CLAIM_BUSY) continue;
            bool ours;
            if (sr_study_begin(ctx, study) ||
                sr_job_finish(ctx, study, &job, job.spec, NULL, &ours) || !ours ||
                sr_study_event(ctx, study, job.id, worker) || sr_study_commit(ctx, study))
                _exit(2);
            sr_job_release(&job);
        }
    }
    for (int p = 0; p < 2; p++) {
        int result;
        assert_int_equal(waitpid(pids[p], &result, 0), pids[p]);
        assert_int_equal(result, 0);
    }
    study = open_study(in_folder("s"), SR_STUDY_WRITE);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'done'"), JOBS);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE result != spec"), 0);
    assert_int_equal(number(study, "SELECT count(DISTINCT job) FROM event"), JOBS);
    assert_int_equal(number(study, "SELECT count(*) FROM event"), JOBS);
    assert_int_equal(number(study, "SELECT max(attempt) FROM job"), 1);
    assert_int_equal(number(study, "SELECT count(DISTINCT worker) FROM job"), 2);
}

/* However many jobs are done, a claim reads but a few rows: its queries use the index of open jobs
 * and sort nothing. */
static void test_claims_stay_cheap(void **state) {
    (void)state;
    run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO job (kind, name, spec, cost, alone, state, created)"
        " SELECT 'count', i, '1', i % 17, i % 5 = 0,"
        " CASE i % 3 WHEN 0 THEN 'waiting' ELSE 'done' END, 1 FROM n; ANALYZE");
    sr_study_close(&study);
    study = open_study(in_folder("s"), SR_STUDY_WRITE);
    for (int i = 0; i < 50; i++) {
        sr_job job;
        claim("w", 60, &job, SR_CLAIMED);
        assert_true(extend(&job, 60));
        assert_true(finish(&job, "x", NULL));
        sr_job_release(&job);
    }
    for (int i = 0; i < study->n_statements; i++) {
        sqlite3_stmt *s = study->statements[i].statement;
        if (sqlite3_stmt_status(s, SQLITE_STMTSTATUS_SORT, 0) != 0 ||
            sqlite3_stmt_status(s, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0) > 0 ||
            sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 0) > 50 * 400)
            fail_msg("%s: %d sorts, %d rows scanned, %d steps", sqlite3_sql(s),
                     sqlite3_stmt_status(s, SQLITE_STMTSTATUS_SORT, 0),
                     sqlite3_stmt_status(s, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0),
                     sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 0));
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_add),           TEST(test_order),
        TEST(test_fencing),       TEST(test_absurd_rows),
        TEST(test_give_back),     TEST(test_alone),
        TEST(test_deaths),        TEST(test_sets),
        TEST(test_text_of_sets),  TEST(test_counts_and_curves),
        TEST(test_two_processes), TEST(test_claims_stay_cheap),
    };
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
