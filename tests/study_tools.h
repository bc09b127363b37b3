/* What the tests of studies share: a folder for each test, child processes, and places that cannot
 * be written. */
#ifndef STUDY_TOOLS_H
#define STUDY_TOOLS_H

#include "study/internal.h"
#include "study/jobs.h"
#include "study/sql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern sartor_context *ctx; /* fresh for each test */
extern char folder[64];     /* likewise, removed after it */

int study_set_up(void **state);
int study_tear_down(void **state);

/* folder/name; stays for the test. */
const char *in_folder(const char *name);

/* Runs `test` in a child process of its own mount name space (for root); the line at which it
 * failed, 0: passed, -1: could not be set up, to be skipped. In it, REQUIRE() takes the place of
 * assertions. */
int in_child(int (*test)(void));
#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_error("%s:%d: %s; %s\n", __FILE__, __LINE__, #what, sartor_error(ctx));          \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)
bool mount_small(const char *path, const char *size); /* in a child: a tmpfs */
bool make_read_only(const char *path);                /* in a child, or where not root */

void write_file(const char *path, const void *data, size_t n);
void copy_file(const char *from, const char *to);
long file_size(const char *path); /* -1: none */

/* A study "s" in the folder with one setting; fails the test when it cannot be made. */
sr_study *new_study(void);
sr_study *open_study(const char *path, sr_study_mode mode);
void good(sartor_status status); /* fails the test with the context's message */
int64_t number(sr_study *study, const char *sql);

/* `expected`, with `message` somewhere in the context's one line. */
void assert_fails(sartor_status got, sartor_status expected, const char *message);
sartor_status create_study(const char *path, json_t *settings, bool *created); /* takes settings */
sartor_status try_study(const char *path, sr_study_mode mode); /* opens and closes */
json_t *with_width(int value);                                 /* settings */
void put_fact(sr_study *study, const char *name, const char *value);
bool has_fact(sr_study *study, const char *name, const char *value); /* NULL: has none */
void run_sql(sr_study *study, const char *sql);

int64_t add_job(sr_study *study, const char *name, double cost, bool alone); /* kind "count" */

#endif
