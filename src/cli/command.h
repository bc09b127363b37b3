/* What a command is, and what all commands share: exit codes, messages, signals. */
#ifndef SR_CLI_COMMAND_H
#define SR_CLI_COMMAND_H

#include <sartor/context.h>

/* Exit codes. After a signal: 128 + its number, as shells expect. */
enum { SR_EXIT_OK = 0, SR_EXIT_FAILURE = 1, SR_EXIT_USAGE = 2 };

typedef struct sr_command sr_command;
struct sr_command {
    const char *name, *summary;
    const char *usage;    /* what follows the name: "MODEL --data PATH... [options]" */
    const char *about;    /* a paragraph */
    const char *examples; /* lines; those that start with # explain the next */
    /* argv holds what follows the name. */
    int (*run)(const sr_command *self, int argc, char **argv);
};

extern const sr_command sr_command_inspect, sr_command_train, sr_command_eval, sr_command_generate,
    sr_command_list, sr_command_tokenizer, sr_command_search, sr_command_work, sr_command_front,
    sr_command_show, sr_command_finals, sr_command_report, sr_command_scale, sr_command_mad,
    sr_command_grow;

/* One line on standard error: wrong usage. `command` NULL: of sartor itself. Returns 2. */
int sr_usage_error(const sr_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One line on standard error for a failed library call; returns the exit code: 128 + the signal
 * when one interrupted it. */
int sr_report_failure(const sartor_context *ctx, sartor_status status);
/* The same for what the program itself finds wrong. */
int sr_report_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text from outside for a message: control characters as \xNN, cut with "..." where long. */
enum { SR_SHOWN = 88 };
const char *sr_shown(const char *text, char buffer[SR_SHOWN]);

/* A context whose log goes to standard error and which SIGINT, SIGTERM and SIGHUP interrupt; a
 * second signal ends the program at once. NULL after a message. */
sartor_context *sr_context_open(void);
void sr_context_close(sartor_context **ctx);

/* The path of this program, for processes that it starts. */
const char *sr_program(void);

/* Flushes standard output: results that could not be written are a failure. */
int sr_finish_output(void);

#endif
