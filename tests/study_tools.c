#define _GNU_SOURCE
#include "study_tools.h"

#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

sartor_context *ctx;
char folder[64];

int study_set_up(void **state) {
    (void)state;
    ctx = sartor_context_create();
    snprintf(folder, sizeof folder, "/tmp/sartor-test-XXXXXX");
    return ctx != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

int study_tear_down(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    sr_study_set_patience(10);
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *in_folder(const char *name) {
    static char paths[64][512];
    static size_t n;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (size_t i = 0; i < n; i++)
        if (strcmp(paths[i], path) == 0) return paths[i];
    if (n == 64) n = 0; /* those of earlier tests */
    memcpy(paths[n], path, sizeof path);
    return paths[n++];
}

int in_child(int (*test)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int line = test();
        fflush(NULL);
        _exit(line == 0 ? 0 : line == -1 ? 77 : 1);
    }
    int state;
    if (pid < 0 || waitpid(pid, &state, 0) != pid) return 1;
    if (!WIFEXITED(state)) return 2;
    return WEXITSTATUS(state) == 77 ? -1 : WEXITSTATUS(state);
}

static bool own_mounts(void) {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool mount_small(const char *path, const char *size) {
    char options[64];
    snprintf(options, sizeof options, "size=%s", size);
    return mkdir(path, 0777) == 0 && own_mounts() && mount("tmpfs", path, "tmpfs", 0, options) == 0;
}

bool make_read_only(const char *path) {
    if (geteuid() != 0) return chmod(path, 0555) == 0;
    return own_mounts() && mount(path, path, NULL, MS_BIND, NULL) == 0 &&
           mount(path, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0;
}

void write_file(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

long file_size(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

void copy_file(const char *from, const char *to) {
    long n = file_size(from);
    assert_true(n >= 0);
    char *data = malloc((size_t)n + 1);
    FILE *f = fopen(from, "rb");
    assert_non_null(f);
    assert_int_equal(fread(data, 1, (size_t)n, f), n);
    fclose(f);
    write_file(to, data, (size_t)n);
    free(data);
}

void good(sartor_status status) {
    if (status != SARTOR_OK) fail_msg("%s: %s", sartor_status_name(status), sartor_error(ctx));
}

sr_study *new_study(void) {
    json_t *settings = json_pack("{s:i}", "width", 128);
    sr_study *study;
    bool created;
    good(sr_study_create(ctx, in_folder("s"), settings, &study, &created));
    json_decref(settings);
    return study;
}

sr_study *open_study(const char *path, sr_study_mode mode) {
    sr_study *study;
    good(sr_study_open(ctx, path, mode, &study));
    return study;
}

/* Not through the cache: texts here are no literals. */
int64_t number(sr_study *study, const char *sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(sr_study_database(study), sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(sr_study_database(study)));
    if (sqlite3_step(statement) != SQLITE_ROW) fail_msg("%s: no row", sql);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

int64_t add_job(sr_study *study, const char *name, double cost, bool alone) {
    json_t *spec = json_pack("{s:s}", "name", name);
    int64_t id;
    bool added;
    good(sr_study_begin(ctx, study));
    good(sr_job_add(ctx, study, "count", name, spec, cost, alone, &id, &added));
    good(sr_study_commit(ctx, study));
    json_decref(spec);
    return id;
}

void assert_fails(sartor_status got, sartor_status expected, const char *message) {
    if (got != expected || strstr(sartor_error(ctx), message) == NULL)
        fail_msg("%s: %s; expected %s: %s", sartor_status_name(got), sartor_error(ctx),
                 sartor_status_name(expected), message);
    assert_null(strchr(sartor_error(ctx), '\n'));
}

sartor_status create_study(const char *path, json_t *settings, bool *created) {
    sr_study *study;
    sartor_status status = sr_study_create(ctx, path, settings, &study, created);
    json_decref(settings);
    sr_study_close(&study);
    return status;
}
sartor_status try_study(const char *path, sr_study_mode mode) {
    sr_study *study;
    sartor_status status = sr_study_open(ctx, path, mode, &study);
    assert_true((status == SARTOR_OK) == (study != NULL));
    sr_study_close(&study);
    return status;
}
json_t *with_width(int value) { return json_pack("{s:i}", "width", value); }

void put_fact(sr_study *study, const char *name, const char *value) {
    good(sr_study_begin(ctx, study));
    good(sr_study_put(ctx, study, name, value));
    good(sr_study_commit(ctx, study));
}
bool has_fact(sr_study *study, const char *name, const char *value) {
    char *text;
    if (sr_study_get(ctx, study, name, &text) != SARTOR_OK) return false;
    bool same = value == NULL ? text == NULL : text != NULL && strcmp(text, value) == 0;
    free(text);
    return same;
}
void run_sql(sr_study *study, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(sr_study_database(study), sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}
