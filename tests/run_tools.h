/* Runs in folders of their own, in tests: a text, small settings, and what a finished run left. */
#ifndef RUN_TOOLS_H
#define RUN_TOOLS_H

#include "train/run.h"
#include <sartor/sartor.h>

#include <stdbool.h>
#include <sys/types.h>

/* Made by run_setup() and removed by run_teardown(): a folder, in it two texts, and a context. A
 * child that another test program starts fills in the paths itself. */
extern char root[64], data[96], validation[96];
extern sartor_context *ctx;
int run_setup(void **state);
int run_teardown(void **state);

/* Sentences over a small invented vocabulary: enough structure to learn something. */
void write_text(const char *path, uint64_t seed, int sentences);

/* A folder below `root`, not made yet; the text is good until the fourth call from here. */
const char *out_folder(const char *name);
/* A model of four LIVs on the texts: bits of its weights depend on nothing but these options. */
sartor_train_options small_run(const char *out, int64_t steps);
/* Any failure fails the test. */
sartor_measure run_to_end(const sartor_train_options *options);
sartor_measure run_part(const sartor_train_options *options, const sr_run_limits *limits);
/* Fails with this status and words in the message. */
void refused(const sartor_train_options *options, sartor_status expected, const char *words);
/* A progress function whose user is a context: it interrupts. */
void interrupt_now(void *user, const sartor_progress *progress);

bool exists(const char *folder, const char *name);
/* The file `name` of two folders: every tensor bit by bit. */
void same_tensors(const char *a, const char *b, const char *name);
/* Metrics of the steps 1..steps, no gap, no double, equal but for times; `b` NULL: only counted. */
void same_metrics(const char *a, const char *b, int64_t steps);

/* Exit status, or minus the signal. */
int wait_child(pid_t pid);

#endif
