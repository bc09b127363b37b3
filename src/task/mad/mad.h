/* The six synthetic tasks of MAD (Poli et al., "Mechanistic Design and Scaling of Hybrid
 * Architectures", arXiv 2403.17844), as the benchmark's published generators draw them.
 *
 * Token numbers count from 0. One stream of random numbers (base/pcg64.h) makes all examples of a
 * setting, and with the same seed they are the benchmark's own, but for two things: where the
 * blanks of selective copying lie, because the benchmark takes that from a generator without a
 * seed; and fuzzy recall with vocabularies of 64 and more, where the benchmark lists and shuffles
 * all permutations for every example. Both have the benchmark's distribution. */
#ifndef SR_TASK_MAD_H
#define SR_TASK_MAD_H

#include "base/context.h"
#include <stddef.h>
#include <stdint.h>

typedef enum sr_mad_task_id {
    SR_MAD_RECALL,
    SR_MAD_FUZZY,
    SR_MAD_NOISY,
    SR_MAD_COPY,
    SR_MAD_COMPRESSION,
    SR_MAD_MEMORIZATION,
    SR_MAD_TASKS
} sr_mad_task_id;

enum { SR_MAD_IGNORE = -100 }; /* target of a position that is not scored */

/* One setting: a task with all its parameters. A plain value; what the task does not use holds what
 * sr_mad_baseline() gives. */
typedef struct sr_mad_setting {
    sr_mad_task_id task;
    int64_t vocab;                /* all tokens, those of noise and special ones included */
    int64_t length;               /* as the benchmark counts: see sr_mad_network_length() */
    int64_t train, test;          /* examples */
    bool multi_query;             /* the recall tasks: score all repeated keys, not just the last */
    int64_t noise_vocab;          /* the recall tasks: tokens of `vocab` that are noise */
    double noise;                 /* the recall tasks: share of pairs that are noise, below 1 */
    int64_t copy;                 /* selective copying: tokens to copy */
    int64_t key_size, value_size; /* fuzzy recall: most tokens of a key and of a value */
    uint64_t seed;                /* of the data */
} sr_mad_setting;

/* "in-context-recall", "fuzzy-in-context-recall", "noisy-in-context-recall", "selective-copying",
 * "compression", "memorization". */
const char *sr_mad_task_name(sr_mad_task_id task);

/* The task of a name of `n` bytes, full or short (recall, fuzzy, noisy, copy); -1: there is none.
 */
int sr_mad_task_find(const char *name, size_t n);

sr_mad_setting sr_mad_baseline(sr_mad_task_id task);

/* The benchmark's grid of a task: the baseline first, then one parameter changed at a time. Returns
 * the number of settings: 11, 11, 14, 13, 11, 6; 66 in all. */
enum { SR_MAD_MOST_SETTINGS = 14 };
int sr_mad_grid(sr_mad_task_id task, sr_mad_setting settings[SR_MAD_MOST_SETTINGS]);

/* Reads "TASK" or "TASK:NAME=VALUE,...": what is not given is the baseline's. Names: vocab, length,
 * train, test, multi-query (0 or 1), noise-vocab, noise, copy, key-size, value-size, seed; those
 * that the task does not use are refused. The result has passed sr_mad_setting_check(). */
sartor_status sr_mad_setting_parse(sartor_context *ctx, const char *text, sr_mad_setting *setting);

/* The shortest text that sr_mad_setting_parse() reads back: the task's full name and what differs
 * from the baseline. */
enum { SR_MAD_SETTING_TEXT = 192 };
void sr_mad_setting_print(const sr_mad_setting *setting, char text[SR_MAD_SETTING_TEXT]);

/* SARTOR_INVALID with one line for parameters that cannot be met: a vocabulary too small, a
 * sequence too short, a share of noise outside 0..1, sizes beyond reason. */
sartor_status sr_mad_setting_check(sartor_context *ctx, const sr_mad_setting *setting);

/* Tokens that a model sees: length - 1 in plain and noisy recall with many queries (of `length`
 * tokens the last one is only a target), length otherwise. */
int64_t sr_mad_network_length(const sr_mad_setting *setting);

/* Expected accuracy of a guess: 1 / classes that the targets of the test form can take. */
double sr_mad_chance(const sr_mad_setting *setting);

/* Examples, row-major: `rows x length` tokens and as many targets. */
typedef struct sr_mad_set {
    int64_t rows, length;
    int32_t *inputs, *targets; /* a target is SR_MAD_IGNORE where nothing is scored */
} sr_mad_set;

typedef enum sr_mad_part { SR_MAD_TRAIN, SR_MAD_TEST, SR_MAD_VALIDATION, SR_MAD_PARTS } sr_mad_part;

typedef struct sr_mad_data {
    sr_mad_set part[SR_MAD_PARTS];
    int64_t vocab;
} sr_mad_data;

/* Draws all examples of a setting from one stream, in the benchmark's order: the training set, the
 * test set, and behind them, so that the first two are the benchmark's whether or not it is asked
 * for, a validation set of the test form with as many rows as the test set (0 rows if not asked
 * for). Release with sr_mad_data_free(). */
sartor_status sr_mad_generate(sartor_context *ctx, const sr_mad_setting *setting, bool validation,
                              sr_mad_data *data);

/* Releases all sets and leaves {0}, of which it may be called too. */
void sr_mad_data_free(sr_mad_data *data);

/* A data set as pairs of NumPy files in a folder: train_inputs.npy, train_targets.npy, and the same
 * with test_ and validation_, each [rows, length]. Written as int64, each file whole or not at all;
 * the folder is made if it is missing. A part without rows is not written. */
sartor_status sr_mad_write(sartor_context *ctx, const sr_mad_data *data, const char *folder);

/* Reads what sr_mad_write() wrote or anyone else has made, of any integer type; also a folder for
 * each part as the benchmark publishes them (train/inputs.npy, train/targets.npy, ...). All parts
 * must have the same length, each pair the same shape and at least one row, inputs lie in
 * 0..vocab-1, and targets there or be SR_MAD_IGNORE, but not all of them. The validation pair may
 * be missing as a whole (0 rows). Release with sr_mad_data_free(). */
sartor_status sr_mad_read(sartor_context *ctx, const char *folder, int64_t vocab,
                          sr_mad_data *data);

#endif
