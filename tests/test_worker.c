/* Workers and their supervisor, with real processes: this program, run again as a worker. */
#define _GNU_SOURCE
#include "study_tools.h"

#include "base/clock.h"
#include "study/pulse.h"
#include "study/supervisor.h"
#include "study/worker.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- kinds of jobs ---- */

typedef struct user {
    sartor_context *outer;
    int more; /* jobs that advance adds, one at a time */
    int advances;
} user;

static int64_t member(const sr_job *job, const char *name) {
    return json_integer_value(json_object_get(job->spec, name));
}

/* `steps` steps of `ms`; no two attempts are at one step. */
static sartor_status run_count(sartor_context *inner, sr_worker *worker, void *data,
                               const sr_job *job, json_t **result) {
    (void)data;
    for (int64_t i = 0; i < member(job, "steps"); i++) {
        if (sr_interrupted(inner)) return sr_fail(inner, SARTOR_INTERRUPTED, "count: stopped");
        sr_worker_progress(worker, 1000 * job->attempt + i, member(job, "steps"), 0.5);
        sleep_ms((long)member(job, "ms"));
    }
    *result = json_pack("{s:I}", "attempt", (json_int_t)job->attempt);
    return SARTOR_OK;
}
static sartor_status store_count(sartor_context *c, sr_study *study, void *data, const sr_job *job,
                                 const json_t *result) {
    (void)data;
    if (!json_is_object(result)) return sr_fail(c, SARTOR_INVALID, "no result");
    return sr_study_event(c, study, job->id, "stored");
}

/* Kills its process at step `at`. */
static sartor_status run_killer(sartor_context *inner, sr_worker *worker, void *data,
                                const sr_job *job, json_t **result) {
    (void)inner, (void)data, (void)result;
    for (int64_t i = 0; i <= member(job, "at"); i++) sr_worker_progress(worker, i, 1000, NAN);
    raise(SIGKILL);
    return SARTOR_OK;
}

/* Fails as the job says. */
static sartor_status run_fail(sartor_context *inner, sr_worker *worker, void *data,
                              const sr_job *job, json_t **result) {
    (void)worker, (void)data, (void)result;
    sr_log(inner, "about to fail");
    return sr_fail(inner, (sartor_status)member(job, "status"), "trial: it failed\nbadly");
}

/* Interrupts the worker from outside, and waits to be told. */
static sartor_status run_interrupt(sartor_context *inner, sr_worker *worker, void *data,
                                   const sr_job *job, json_t **result) {
    (void)worker, (void)job, (void)result;
    user *u = data;
    sartor_interrupt(u->outer);
    double end = sr_seconds() + 20;
    while (!sr_interrupted(inner) && sr_seconds() < end) sleep_ms(5);
    return sr_interrupted(inner) ? sr_fail(inner, SARTOR_INTERRUPTED, "saved") : SARTOR_OK;
}

/* Another worker takes the job away; whatever is returned is dropped. `wait`: until told; `broken`:
 * it fails for what the other did to its files. */
static sartor_status run_stolen(sartor_context *inner, sr_worker *worker, void *data,
                                const sr_job *job, json_t **result) {
    (void)data;
    if (job->attempt > 1) {
        *result = json_object();
        return SARTOR_OK;
    }
    sr_study *study = sr_worker_study(worker);
    sartor_status status =
        sr_run_sql(inner, study, NULL, "UPDATE job SET attempt = 2, state = 'waiting'", "");
    double end = sr_seconds() + 20;
    while (member(job, "wait") != 0 && !sr_interrupted(inner) && sr_seconds() < end) sleep_ms(5);
    if (member(job, "broken") != 0) return sr_fail(inner, SARTOR_IO, "the folder is gone");
    *result = json_object();
    return status;
}

/* Sees its own progress and lease in the study. */
static sartor_status run_watch(sartor_context *inner, sr_worker *worker, void *data,
                               const sr_job *job, json_t **result) {
    (void)data;
    sr_study *study = sr_worker_study(worker);
    sr_query rows;
    double first = 0, end = sr_seconds() + 20;
    bool seen = false;
    sr_worker_progress(worker, 42, 100, 1.25);
    while (!seen && sr_seconds() < end) {
        SR_TRY(sr_sql(inner, study, &rows,
                      "SELECT step, steps, loss, lease_until FROM job WHERE id = ?", "i", job->id));
        if (sr_next(&rows)) {
            if (first == 0) first = sr_real(&rows, 3);
            seen = sr_int(&rows, 0) == 42 && sr_int(&rows, 1) == 100 && sr_real(&rows, 2) == 1.25 &&
                   sr_real(&rows, 3) > first;
        }
        SR_TRY(sr_done(&rows));
        sleep_ms(5);
    }
    *result = json_boolean(seen);
    return SARTOR_OK;
}

static sartor_status store_bad(sartor_context *c, sr_study *study, void *data, const sr_job *job,
                               const json_t *result) {
    (void)data, (void)result;
    SR_TRY(sr_study_event(c, study, job->id, "half stored"));
    return sr_fail(c, SARTOR_IO, "model.safetensors: disk full");
}

static const sr_job_kind kinds[] = {
    {"count", run_count, store_count},
    {"killer", run_killer, NULL},
    {"fail", run_fail, NULL},
    {"interrupt", run_interrupt, NULL},
    {"stolen", run_stolen, store_count},
    {"watch", run_watch, NULL},
    {"unstorable", run_count, store_bad},
};

static int64_t add(sr_study *study, const char *kind, const char *name, const char *spec) {
    json_t *json = json_loads(spec, 0, NULL);
    assert_non_null(json);
    int64_t id;
    good(sr_study_begin(ctx, study));
    good(sr_job_add(ctx, study, kind, name, json, 1, false, &id, NULL));
    good(sr_study_commit(ctx, study));
    json_decref(json);
    return id;
}

static sartor_status advance(sartor_context *c, sr_study *study, void *data, bool *finished) {
    user *u = data;
    u->advances++;
    *finished = u->more == 0;
    if (*finished) return SARTOR_OK;
    u->more--;
    if (u->more == 2) return SARTOR_OK; /* nothing yet: asked again */
    char name[16];
    snprintf(name, sizeof name, "more%d", u->more);
    json_t *spec = json_pack("{s:i, s:i}", "steps", 1, "ms", 0);
    int64_t id;
    SR_TRY(sr_study_begin(c, study));
    sartor_status status = sr_job_add(c, study, "count", name, spec, 1, false, &id, NULL);
    json_decref(spec);
    if (status == SARTOR_OK) return sr_study_commit(c, study);
    sr_study_rollback(study);
    return status;
}

static sartor_status work(const char *study, const char *name, double lease, user *u) {
    u->outer = ctx;
    sr_worker_options options = {.study = study,
                                 .name = name,
                                 .machine = "test",
                                 .lease = lease,
                                 .kinds = kinds,
                                 .n_kinds = sizeof kinds / sizeof *kinds,
                                 .advance = advance,
                                 .user = u};
    return sr_worker_run(ctx, &options);
}

/* ---- this program as a worker ---- */

static volatile sig_atomic_t caught;
static void on_signal(int n) {
    caught = n;
    sartor_interrupt(ctx);
}
static void print_line(void *data, const char *line) {
    (void)data;
    fprintf(stderr, "%s\n", line);
}

/* PROGRAM work STUDY LEASE --worker-name NAME */
static int worker_main(char **argv) {
    ctx = sartor_context_create();
    sartor_set_log(ctx, print_line, NULL);
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGTERM, &act, NULL);
    user u = {0};
    sartor_status status = work(argv[2], argv[5], strtod(argv[3], NULL), &u);
    if (status != SARTOR_OK) fprintf(stderr, "sartor: %s\n", sartor_error(ctx));
    sartor_context_destroy(&ctx);
    return status == SARTOR_OK ? 0 : status == SARTOR_INTERRUPTED ? 128 + caught : 1;
}

static sartor_status supervise(int workers, const char *lease, void (*poll)(void *, sr_study *),
                               void *data) {
    const char *command[] = {"/proc/self/exe", "work", in_folder("s"), lease, NULL};
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    command[0] = self;
    sr_supervisor_options options = {.study = in_folder("s"),
                                     .command = command,
                                     .workers = workers,
                                     .poll = poll,
                                     .user = data};
    return sr_supervise(ctx, &options);
}

/* ---- one worker, in this process ---- */

static void test_runs_all(void **state) {
    (void)state;
    sr_study *study = new_study();
    user u = {.more = 5};
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        add(study, "count", name, "{\"steps\": 2, \"ms\": 1}");
    }
    good(work(in_folder("s"), NULL, 60, &u));
    assert_int_equal(u.advances, 6);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'done'"), 7);
    assert_int_equal(number(study, "SELECT count(*) FROM event WHERE what = 'stored'"), 7);
    assert_int_equal(number(study, "SELECT count(*) FROM worker WHERE pid > 0 AND seen >= started"
                                   " AND machine = 'test'"),
                     1);
    /* Nothing to do. */
    good(work(in_folder("s"), "again", 60, &u));
    assert_int_equal(work(in_folder("s"), "../x", 60, &u), SARTOR_INVALID);
    assert_int_equal(work(in_folder("s"), "", 60, &u), SARTOR_INVALID);
    assert_int_equal(work(in_folder("s"), "x", 0, &u), SARTOR_INVALID);
    assert_int_equal(work(in_folder("none"), "x", 60, &u), SARTOR_IO);
    sr_study_close(&study);
}

static void test_jobs_that_fail(void **state) {
    (void)state;
    static const sartor_status at_fault[] = {SARTOR_NOT_FINITE, SARTOR_INVALID, SARTOR_FORMAT,
                                             SARTOR_MISMATCH},
                               surroundings[] = {SARTOR_IO, SARTOR_MEMORY, SARTOR_LIBRARY,
                                                 SARTOR_INTERRUPTED};
    sr_study *study = new_study();
    user u = {0};
    char name[16], spec[32];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%d", i);
        snprintf(spec, sizeof spec, "{\"status\": %d}", at_fault[i]);
        add(study, "fail", name, spec);
    }
    good(work(in_folder("s"), NULL, 60, &u));
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'failed' AND"
                                   " reason = 'trial: it failed badly'"),
                     4);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%d", 10 + i);
        snprintf(spec, sizeof spec, "{\"status\": %d}", surroundings[i]);
        int64_t id = add(study, "fail", name, spec);
        assert_int_equal(work(in_folder("s"), NULL, 60, &u), surroundings[i]);
        if (i < 3) assert_string_equal(sartor_error(ctx), "trial: it failed badly");
        snprintf(spec, sizeof spec, "DELETE FROM attempt");
        assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'waiting'"), 1);
        assert_int_equal(number(study, "SELECT max(job) FROM attempt WHERE outcome ="
                                       " 'trial: it failed badly' AND ended IS NOT NULL"),
                         id);
        run_sql(study, "UPDATE job SET state = 'done' WHERE state = 'waiting'");
    }
    add(study, "mystery", "m", "{}");
    assert_int_equal(work(in_folder("s"), NULL, 60, &u), SARTOR_MISMATCH);
    assert_non_null(strstr(sartor_error(ctx), "knows no jobs of kind mystery"));
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'waiting'"), 1);
    sr_study_close(&study);
}

static void test_store_fails(void **state) {
    (void)state;
    sr_study *study = new_study();
    user u = {0};
    add(study, "unstorable", "x", "{\"steps\": 1, \"ms\": 0}");
    assert_int_equal(work(in_folder("s"), NULL, 60, &u), SARTOR_IO);
    assert_string_equal(sartor_error(ctx), "model.safetensors: disk full");
    assert_int_equal(number(study, "SELECT count(*) FROM event"), 0);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'waiting'"), 1);
    sr_study_close(&study);
}

static void test_interrupted(void **state) {
    (void)state;
    sr_study *study = new_study();
    user u = {0};
    add(study, "interrupt", "x", "{}");
    double start = sr_seconds();
    assert_int_equal(work(in_folder("s"), NULL, 60, &u), SARTOR_INTERRUPTED);
    assert_true(sr_seconds() - start < 10);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'waiting'"), 1);
    assert_int_equal(number(study, "SELECT count(*) FROM attempt WHERE outcome = 'saved'"), 1);
    /* Before anything is claimed. */
    assert_int_equal(work(in_folder("s"), NULL, 60, &u), SARTOR_INTERRUPTED);
    assert_int_equal(number(study, "SELECT attempt FROM job"), 1);
    sr_study_close(&study);
}

static void test_heart(void **state) {
    (void)state;
    sr_study *study = new_study();
    user u = {0};
    add(study, "watch", "x", "{}");
    good(work(in_folder("s"), NULL, 0.5, &u));
    assert_int_equal(number(study, "SELECT result = 'true' FROM job"), 1);
    static const char *const specs[] = {"{\"wait\": 0}", "{\"wait\": 1}", "{\"broken\": 1}"};
    for (int i = 0; i < 3; i++) { /* found when storing, by the heart, and after a failure */
        run_sql(study, "DELETE FROM attempt; DELETE FROM job; DELETE FROM event");
        add(study, "stolen", "y", specs[i]);
        double start = sr_seconds();
        good(work(in_folder("s"), NULL, i == 1 ? 0.5 : 600, &u));
        assert_true(sr_seconds() - start < 15);
        assert_int_equal(number(study, "SELECT state = 'done' AND attempt = 3 FROM job"), 1);
        assert_int_equal(number(study, "SELECT count(*) FROM event WHERE what = 'stored'"), 1);
    }
    sr_study_close(&study);
}

static void test_pulse(void **state) {
    (void)state;
    sr_pulse pulse;
    good(sr_pulse_open(ctx, in_folder("s.d"), "w~1", &pulse));
    sr_pulse_start(&pulse, 7, 2);
    sr_pulse_step(&pulse, 120);
    assert_int_equal(sr_pulse_take(in_folder("s.d"), "w~1", 7, 2), 120);
    assert_int_equal(sr_pulse_take(in_folder("s.d"), "w~1", 7, 2), 0); /* removed */
    sr_pulse_close(&pulse);
    good(sr_pulse_open(ctx, in_folder("s.d"), "w~1", &pulse));
    sr_pulse_start(&pulse, 7, 2);
    sr_pulse_step(&pulse, 120);
    assert_int_equal(sr_pulse_take(in_folder("s.d"), "w~1", 7, 3), 0); /* of another attempt */
    sr_pulse_close(&pulse);
    assert_int_equal(file_size(in_folder("s.d/workers/w~1")), -1);
    assert_true(sr_pulse_name_good("host-1_2.x~3"));
    assert_false(sr_pulse_name_good("a/b") || sr_pulse_name_good("..") || sr_pulse_name_good(""));
}

/* ---- supervised processes ---- */

static char logged[8][256];
static int n_logged;
static void keep_log(void *data, const char *line) {
    (void)data;
    if (n_logged < 8) snprintf(logged[n_logged++], sizeof logged[0], "%s", line);
}
static bool was_logged(const char *text) {
    for (int i = 0; i < n_logged; i++)
        if (strstr(logged[i], text) != NULL) return true;
    return false;
}
static void listen_to_log(void) {
    n_logged = 0;
    sartor_set_log(ctx, keep_log, NULL);
}

static void add_counts(sr_study *study, int n, const char *spec) {
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        add(study, "count", name, spec);
    }
}

/* Everything done, stored once, nothing left over. */
static void assert_all_done(sr_study *study, int n) {
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'done'"), n);
    assert_int_equal(number(study, "SELECT count(*) FROM event WHERE what = 'stored'"), n);
    assert_int_equal(number(study, "SELECT count(DISTINCT job) FROM event WHERE what = 'stored'"),
                     n);
    assert_int_equal(number(study, "SELECT count(*) FROM attempt WHERE ended IS NULL"), 0);
    assert_int_equal(rmdir(in_folder("s.d/workers")), 0); /* no pulse left */
}

static void count_polls(void *data, sr_study *study) {
    sr_job_counts counts;
    if (sr_job_count(ctx, study, NULL, &counts) == SARTOR_OK) ++*(int *)data;
}

static void test_supervised(void **state) {
    (void)state;
    sr_study *study = new_study();
    int polls = 0;
    add_counts(study, 30, "{\"steps\": 5, \"ms\": 10}");
    good(supervise(3, "60", count_polls, &polls));
    assert_all_done(study, 30);
    assert_int_equal(number(study, "SELECT count(DISTINCT worker) FROM job"), 3);
    assert_true(polls >= 2);
    good(supervise(2, "60", NULL, NULL)); /* again: nothing more */
    sr_study_close(&study);
}

/* Whether a process is a child of this one: numbers of the dead are used again. */
static bool is_child(int64_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    char *end = strrchr(text, ')');
    return end != NULL && end[1] != '\0' && end[2] != 'Z' &&
           strtol(end + 4, NULL, 10) == (long)getpid();
}

static void kill_one(void *data, sr_study *study) {
    int *killed = data;
    int64_t pids[16];
    int n = 0;
    sr_query rows;
    if (sr_sql(ctx, study, &rows, "SELECT pid FROM worker", "") != SARTOR_OK) return;
    while (sr_next(&rows))
        if (n < 16 && is_child(sr_int(&rows, 0))) pids[n++] = sr_int(&rows, 0);
    (void)sr_done(&rows);
    if (n == 0) return;
    sleep_ms((long)(sr_study_now() * 1e6) % 40);
    kill((pid_t)pids[(*killed)++ % n], SIGKILL);
}

/* Workers killed at any moment: all jobs are done, each stored once. */
static void test_killed_at_random(void **state) {
    (void)state;
    sr_study *study = new_study();
    int killed = 0;
    add_counts(study, 100, "{\"steps\": 10, \"ms\": 6}");
    good(supervise(3, "60", kill_one, &killed));
    assert_true(killed >= 4);
    assert_all_done(study, 100);
    assert_true(number(study, "SELECT count(*) FROM attempt WHERE outcome LIKE 'killed its%'") > 0);
    sr_study_close(&study);
}

static void test_killer_job(void **state) {
    (void)state;
    sr_study *study = new_study();
    listen_to_log();
    add(study, "killer", "k", "{\"at\": 120}");
    add_counts(study, 10, "{\"steps\": 5, \"ms\": 10}");
    good(supervise(2, "60", NULL, NULL));
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'failed' AND reason ="
                                   " 'killed its worker 3 times at step 120 (signal 9)'"),
                     1);
    assert_all_done(study, 10);
    assert_true(was_logged("a worker died (signal 9) in job 1 at step 120; the job is given up"));
    sr_study_close(&study);
}

/* One worker is stopped beyond its lease: another takes the job, the first one wakes and is
 * refused. */
typedef struct stopped {
    int64_t pid, job;
    bool woken;
} stopped;
static void stop_one(void *data, sr_study *study) {
    stopped *s = data;
    if (s->pid == 0) {
        sr_query rows;
        if (sr_sql(ctx, study, &rows,
                   "SELECT pid, job.id FROM job JOIN worker ON worker = worker.name"
                   " WHERE state = 'running' AND step > 0",
                   "") != SARTOR_OK)
            return;
        if (sr_next(&rows) && is_child(sr_int(&rows, 0))) {
            s->pid = sr_int(&rows, 0);
            s->job = sr_int(&rows, 1);
            kill((pid_t)s->pid, SIGSTOP);
        }
        (void)sr_done(&rows);
    } else if (!s->woken &&
               number(study, "SELECT count(*) FROM job WHERE state = 'done' AND attempt = 2") > 0) {
        s->woken = true;
        kill((pid_t)s->pid, SIGCONT);
    }
}
static void test_stopped_worker(void **state) {
    (void)state;
    sr_study *study = new_study();
    stopped s = {0};
    listen_to_log();
    add_counts(study, 2, "{\"steps\": 60, \"ms\": 20}");
    good(supervise(2, "0.6", stop_one, &s));
    assert_true(s.woken);
    assert_true(was_logged("moved on to another worker"));
    assert_all_done(study, 2);
    assert_int_equal(number(study, "SELECT count(*) FROM attempt WHERE outcome = 'lease expired'"),
                     1);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE attempt = 2 AND"
                                   " json_extract(result, '$.attempt') = 2"),
                     1);
    sr_study_close(&study);
}

static void test_worker_with_an_error(void **state) {
    (void)state;
    sr_study *study = new_study();
    char spec[32];
    listen_to_log();
    add_counts(study, 1, "{\"steps\": 2000, \"ms\": 10}");
    snprintf(spec, sizeof spec, "{\"status\": %d}", SARTOR_MEMORY);
    add(study, "fail", "f", spec);
    assert_int_equal(supervise(2, "60", NULL, NULL), SARTOR_IO);
    assert_string_equal(sartor_error(ctx), "trial: it failed badly");
    assert_true(was_logged("about to fail"));
    assert_false(was_logged("failed badly"));
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'waiting'"), 2);
    assert_int_equal(rmdir(in_folder("s.d/workers")), 0);
    sr_study_close(&study);
}

static void interrupt_all(void *data, sr_study *study) {
    (void)data;
    if (number(study, "SELECT count(*) FROM job WHERE state = 'running'") == 2)
        sartor_interrupt(ctx);
}
static void test_interrupted_supervisor(void **state) {
    (void)state;
    sr_study *study = new_study();
    add_counts(study, 3, "{\"steps\": 2000, \"ms\": 10}");
    assert_int_equal(supervise(2, "60", interrupt_all, NULL), SARTOR_INTERRUPTED);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'waiting'"), 3);
    assert_int_equal(number(study, "SELECT count(*) FROM attempt WHERE outcome = 'count: stopped'"),
                     2);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    sr_study_close(&study);
}

/* Waits until the query gives `value`. */
static bool comes_to(sr_study *study, const char *sql, int64_t value) {
    double end = sr_seconds() + 30;
    while (number(study, sql) != value && sr_seconds() < end) sleep_ms(10);
    return number(study, sql) == value;
}

/* A supervisor that is killed takes its workers along; the next one need not wait for leases. */
static void test_dead_supervisor(void **state) {
    (void)state;
    sr_study *study = new_study();
    add_counts(study, 2, "{\"steps\": 3000, \"ms\": 10}");
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        ctx = sartor_context_create();
        _exit((int)supervise(2, "600", NULL, NULL));
    }
    assert_true(comes_to(study, "SELECT count(*) FROM job WHERE state = 'running'", 2));
    kill(pid, SIGKILL);
    int orphans = 0, result;
    for (pid_t got; (got = waitpid(-1, &result, 0)) > 0;) orphans += got != pid;
    assert_int_equal(orphans, 2);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'waiting'"), 2);
    /* A worker that died with everything else: its job is under a long lease. */
    run_sql(study, "UPDATE job SET spec = '{\"steps\": 1, \"ms\": 0}'");
    sr_job job;
    sr_claim claim;
    char host[64], sql[512];
    good(sr_job_claim(ctx, study, "gone~1", 10000, &job, &claim));
    assert_int_equal(claim, SR_CLAIMED);
    sr_job_release(&job);
    assert_int_equal(gethostname(host, sizeof host), 0);
    snprintf(sql, sizeof sql, "INSERT INTO worker VALUES ('gone~1', '%s', 1, '', '', 1, 1)", host);
    run_sql(study, sql);
    snprintf(sql, sizeof sql, "%s/workers/gone~1", sr_study_folder(study)); /* nobody locks it */
    FILE *pulse = fopen(sql, "w");
    assert_non_null(pulse);
    fclose(pulse);
    double start = sr_seconds();
    good(supervise(1, "60", NULL, NULL));
    assert_true(sr_seconds() - start < 30);
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE state = 'done'"), 2);
    sr_study_close(&study);
}

static void test_workers_that_cannot(void **state) {
    (void)state;
    sr_study *study = new_study();
    add_counts(study, 1, "{\"steps\": 1, \"ms\": 0}");
    const char *none[] = {"/nowhere/sartor", NULL},
               *dies[] = {"/bin/sh", "-c", "echo no such instruction >&2; kill -9 $$", NULL},
               *fails[] = {"/bin/sh", "-c", "exit 3", NULL};
    sr_supervisor_options o = {.study = in_folder("s"), .command = none, .workers = 2};
    assert_int_equal(sr_supervise(ctx, &o), SARTOR_IO);
    assert_non_null(strstr(sartor_error(ctx), "/nowhere/sartor: cannot be started: No such file"));
    o.command = fails;
    assert_int_equal(sr_supervise(ctx, &o), SARTOR_IO);
    assert_string_equal(sartor_error(ctx), "a worker ended with code 3");
    o.command = dies;
    assert_int_equal(sr_supervise(ctx, &o), SARTOR_IO);
    assert_string_equal(sartor_error(ctx), "workers die before they take a job (signal 9): no such "
                                           "instruction");
    o.workers = 0;
    assert_int_equal(sr_supervise(ctx, &o), SARTOR_INVALID);
    o.workers = 1;
    o.study = in_folder("none");
    assert_int_equal(sr_supervise(ctx, &o), SARTOR_IO);
    sr_study_close(&study);
}

int main(int argc, char **argv) {
    if (argc == 6 && strcmp(argv[1], "work") == 0) return worker_main(argv);
#define TEST(f) cmocka_unit_test_setup_teardown(f, study_set_up, study_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_runs_all),
        TEST(test_jobs_that_fail),
        TEST(test_store_fails),
        TEST(test_interrupted),
        TEST(test_heart),
        TEST(test_pulse),
        TEST(test_supervised),
        TEST(test_killed_at_random),
        TEST(test_killer_job),
        TEST(test_stopped_worker),
        TEST(test_worker_with_an_error),
        TEST(test_interrupted_supervisor),
        TEST(test_dead_supervisor),
        TEST(test_workers_that_cannot),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
