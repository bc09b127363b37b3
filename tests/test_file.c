/* Writes are all or nothing: a file appears complete or not at all, replaces what was there at
 * once, and leaves nothing else behind, whatever is killed when. */
#define _GNU_SOURCE
#include "base/file.h"

#include "study_tools.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int entries(void) {
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d != NULL) closedir(d);
    return n;
}

static bool holds(const char *name, const char *text) {
    char *data;
    size_t n;
    if (sr_file_read(ctx, in_folder(name), 1000, &data, &n) != SARTOR_OK) return false;
    const bool same = n == strlen(text) && memcmp(data, text, n) == 0;
    free(data);
    return same;
}

static sartor_status put(const char *name, const char *text) {
    sr_file f;
    const sartor_status status = sr_file_create(ctx, in_folder(name), &f);
    if (status != SARTOR_OK) return status;
    fputs(text, f.stream);
    return sr_file_commit(ctx, &f);
}

/* What holds with and without files that have no name. */
static int written(void) {
    struct stat st;
    sr_file f;
    sr_map map;
    umask(027);
    REQUIRE(put("a", "one") == SARTOR_OK && holds("a", "one") && entries() == 1);
    REQUIRE(stat(in_folder("a"), &st) == 0 && (st.st_mode & 0777) == 0640);
    REQUIRE(put("a", "second") == SARTOR_OK && holds("a", "second") && entries() == 1);

    REQUIRE(sr_file_create(ctx, in_folder("a"), &f) == SARTOR_OK);
    REQUIRE(fputs("third", f.stream) >= 0 && fflush(f.stream) == 0 && holds("a", "second"));
    REQUIRE(sr_file_map(ctx, &f, &map) == SARTOR_OK && map.size == 5);
    REQUIRE(memcmp(map.data, "third", 5) == 0);
    sr_map_close(&map);
    sr_file_abandon(&f);
    REQUIRE(holds("a", "second") && entries() == 1);

    /* A link is replaced, not what it points to; a folder is not. */
    REQUIRE(symlink("a", in_folder("link")) == 0 && put("link", "new") == SARTOR_OK);
    REQUIRE(lstat(in_folder("link"), &st) == 0 && S_ISREG(st.st_mode));
    REQUIRE(holds("link", "new") && holds("a", "second") && entries() == 2);
    REQUIRE(put(".", "x") == SARTOR_IO && put("none/b", "x") == SARTOR_IO);
    REQUIRE(strstr(sartor_error(ctx), "cannot create: No such file") != NULL);
    char name[400];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    REQUIRE(sr_file_create(ctx, in_folder(name), &f) == SARTOR_IO);

    /* Two at once, and a name that is taken: the last one wins. */
    sr_file g;
    REQUIRE(sr_file_create(ctx, in_folder("b"), &f) == SARTOR_OK);
    REQUIRE(sr_file_create(ctx, in_folder("b"), &g) == SARTOR_OK);
    REQUIRE(fputs("f", f.stream) >= 0 && fputs("g", g.stream) >= 0);
    REQUIRE(sr_file_commit(ctx, &f) == SARTOR_OK && holds("b", "f"));
    REQUIRE(sr_file_commit(ctx, &g) == SARTOR_OK && holds("b", "g") && entries() == 3);
    return 0;
}

static int written_with_names(void) {
    sr_file f;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -1;
    /* a file that was begun without a name, and then cannot be linked to one */
    REQUIRE(put("a", "old") == SARTOR_OK && sr_file_create(ctx, in_folder("a"), &f) == SARTOR_OK);
    fputs("copied", f.stream);
    if (mount("tmpfs", "/proc", "tmpfs", 0, NULL) != 0) return -1;
    REQUIRE(sr_file_commit(ctx, &f) == SARTOR_OK && holds("a", "copied") && entries() == 1);
    REQUIRE(unlink(in_folder("a")) == 0);

    REQUIRE(sr_file_create(ctx, in_folder("a"), &f) == SARTOR_OK);
    REQUIRE(f.temporary != NULL && entries() == 1);
    sr_file_abandon(&f);
    REQUIRE(entries() == 0);
    return written();
}

static void test_written(void **state) {
    (void)state;
    assert_int_equal(in_child(written), 0);
}

static void test_written_with_names(void **state) {
    (void)state;
    const int line = in_child(written_with_names);
    if (line == -1) skip();
    assert_int_equal(line, 0);
}

static bool has_unnamed_files(void) {
    const int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static void test_killed(void **state) {
    (void)state;
    int pipe_ends[2], how;
    char ready;
    if (!has_unnamed_files()) skip();
    good(put("a", "old"));
    assert_int_equal(pipe(pipe_ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sr_file f;
        if (sr_file_create(ctx, in_folder("a"), &f) != SARTOR_OK) _exit(1);
        fputs("new", f.stream);
        fflush(f.stream);
        if (write(pipe_ends[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(pipe_ends[0], &ready, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFSIGNALED(how));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    assert_true(holds("a", "old"));
    assert_int_equal(entries(), 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, study_set_up, study_tear_down)
    const struct CMUnitTest tests[] = {TEST(test_written), TEST(test_written_with_names),
                                       TEST(test_killed)};
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
