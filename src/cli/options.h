/* Command-line options, declared once: a command lists its options in a table, and from it come
 * parsing, --help and every message about a wrong option.
 *
 * What holds: any argv gives either a fully checked set of values or exactly one line on standard
 * error and exit code 2. Of a scalar option given twice the last counts, so that a script can
 * append "$@" to its defaults. */
#ifndef SR_CLI_OPTIONS_H
#define SR_CLI_OPTIONS_H

#include "cli/command.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum sr_option_kind {
    SR_OPTION_END,       /* last row of a table */
    SR_OPTION_HEADING,   /* `help` opens a group in --help */
    SR_OPTION_ARGUMENT,  /* a word without dashes, named `argument`: const char * */
    SR_OPTION_ARGUMENTS, /* all further words: sr_paths */
    SR_OPTION_FLAG,      /* bool */
    SR_OPTION_INT,       /* int64_t in low..high, digits only */
    SR_OPTION_SIZE,      /* int64_t in low..high, also 1e6, 1.5e6, 64k, 10M, 2G (decimal) */
    SR_OPTION_SEED,      /* uint64_t */
    SR_OPTION_REAL,      /* double in low..high, finite */
    SR_OPTION_TEXT,      /* const char * */
    SR_OPTION_CHOICE,    /* int: the index of a word in `choices` */
    SR_OPTION_TEXTS,     /* sr_paths: one word each time the option is given */
    SR_OPTION_PATHS      /* sr_paths: one or more words, up to the next option */
} sr_option_kind;

/* The words of an option. Release with sr_paths_free(); the strings belong to argv. */
typedef struct sr_paths {
    const char **paths;
    int count;
} sr_paths;

typedef struct sr_option {
    sr_option_kind kind;
    const char *name;     /* without dashes */
    const char *argument; /* what --help calls the value */
    void *store;          /* holds the default; --help shows it where it is inside the bounds */
    const char *help;
    double low, high;     /* high == SR_NO_LIMIT: none */
    const char *choices;  /* "f32|bf16" */
    bool required, empty; /* empty: the text may be "" */
} sr_option;

#define SR_NO_LIMIT 9007199254740992.0 /* 2^53 */

/* The rows of a table. TEXT, PATHS: what follows the help may be .required = true, .empty = true.
 * The compiler checks that a store has the type of its kind. */
#define SR_STORE(type, pointer) .store = (1 ? (pointer) : (type *)0)
#define SR_ROW(k, n, a, type, s, ...)                                                              \
    { .kind = k, .name = n, .argument = a, SR_STORE(type, s), .help = __VA_ARGS__ }
#define SR_HEADING(text)                                                                           \
    { .kind = SR_OPTION_HEADING, .help = text }
#define SR_ARGUMENT(a, s, h)                                                                       \
    SR_ROW(SR_OPTION_ARGUMENT, NULL, a, const char *, s, h, .required = true)
/* An argument that may be missing, or may be given several times; behind the others. */
#define SR_OPTIONAL(a, s, h)  SR_ROW(SR_OPTION_ARGUMENT, NULL, a, const char *, s, h)
#define SR_ARGUMENTS(a, s, h) SR_ROW(SR_OPTION_ARGUMENTS, NULL, a, sr_paths, s, h, .required = true)

#define SR_FLAG(n, s, h)          SR_ROW(SR_OPTION_FLAG, n, NULL, bool, s, h)
#define SR_INT(n, a, s, h, l, u)  SR_ROW(SR_OPTION_INT, n, a, int64_t, s, h, .low = l, .high = u)
#define SR_SIZE(n, a, s, h, l, u) SR_ROW(SR_OPTION_SIZE, n, a, int64_t, s, h, .low = l, .high = u)
#define SR_SEED(n, a, s, h)       SR_ROW(SR_OPTION_SEED, n, a, uint64_t, s, h)
#define SR_REAL(n, a, s, h, l, u) SR_ROW(SR_OPTION_REAL, n, a, double, s, h, .low = l, .high = u)
#define SR_TEXT(n, a, s, ...)     SR_ROW(SR_OPTION_TEXT, n, a, const char *, s, __VA_ARGS__)
#define SR_CHOICE(n, c, s, h)     SR_ROW(SR_OPTION_CHOICE, n, c, int, s, h, .choices = c)
#define SR_PATHS(n, a, s, ...)    SR_ROW(SR_OPTION_PATHS, n, a, sr_paths, s, __VA_ARGS__)
#define SR_TEXTS(n, a, s, h)      SR_ROW(SR_OPTION_TEXTS, n, a, sr_paths, s, h)
#define SR_END                                                                                     \
    { .kind = SR_OPTION_END }

/* Rows of a field each: how what growth makes new trains. */
#define SR_NEW_PART_ROWS(o)                                                                        \
    SR_REAL("new-rate", "X", &(o).new_rate,                                                        \
            "learning rate of what is new, as a multiple of the schedule's (default: 1)", 0, 1e6), \
        SR_SIZE("new-warmup", "N", &(o).new_warmup,                                                \
                "steps in which what is new reaches that rate (default: 200)", 0, SR_NO_LIMIT),    \
        SR_FLAG("freeze-old", &(o).freeze_old,                                                     \
                "train only what is new, until the model grows again")

/* Rows that several commands share: the sizes of a model (a sartor_sizes *) without its LIVs ... */
#define SR_SIZE_ROWS(s)                                                                            \
    SR_INT("width", "D", &(s)->width, "channels of the residual stream", 1, SR_NO_LIMIT),          \
        SR_INT("head-dim", "H", &(s)->head_dim,                                                    \
               "channels of an attention head; divides the width", 1, SR_NO_LIMIT),                \
        SR_INT("window", "W", &(s)->window, "positions that sliding-window classes see", 1,        \
               SR_NO_LIMIT),                                                                       \
        SR_INT("context", "T", &(s)->context, "tokens of a training window, and of the cache", 1,  \
               SR_NO_LIMIT),                                                                       \
        SR_FLAG("tie-embeddings", &(s)->tie_embeddings,                                            \
                "use one matrix as embedding and unembedding")
/* ... and a text (an sr_paths *, a sartor_text *) that is split for training. */
#define SR_TEXT_ROWS(paths, text, needed)                                                          \
    SR_PATHS("data", "PATH", paths,                                                                \
             "text files or folders; 90 % of their documents train, 5 % validate, 5 % are for "    \
             "testing",                                                                            \
             .required = (needed)),                                                                \
        SR_TEXT("val", "PATH", &(text)->validation,                                                \
                "validate on this file or folder instead of 5 % of --data"),                       \
        SR_TEXT("test", "PATH", &(text)->test,                                                     \
                "test on this file or folder instead of 5 % of --data"),                           \
        SR_TEXT("doc-separator", "TEXT", &(text)->doc_separator,                                   \
                "text that ends a document inside a file, for example '<|endoftext|>' (default: "  \
                "a file is a document, large ones are cut at blank lines)",                        \
                .empty = true)

/* Parses what follows the command's name. True: the values are stored. False: *code is the exit
 * code, the message (or --help) is written. The table ends with SR_OPTION_END. */
bool sr_options_parse(const sr_command *command, const sr_option *table, int argc, char **argv,
                      int *code);
void sr_paths_free(sr_paths *paths);

/* The help text of a command on standard output. */
void sr_options_help(const sr_command *command, const sr_option *table);
/* Text at `column`, wrapped at 92 columns; the first line continues the current one. */
void sr_print_wrapped(const char *text, int column);

/* The word of "a|b|c" at `index` as printf arguments for %.*s: its length, with *word its start. */
int sr_choice_word(const char *choices, int index, const char **word);

/* How many letters to change, add, drop or swap to get from a to b; large for words too far apart
 * to be a slip of the pen. */
int sr_edit_distance(const char *a, const char *b);
bool sr_is_typo(const char *word, int distance);

#endif
