/* The sartor program: finds the command and runs it. */
#define _XOPEN_SOURCE 700
#include "cli/command.h"
#include "cli/live.h"
#include "cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sartor/sartor.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const sr_command *const commands[] = {
    &sr_command_inspect,   &sr_command_train,  &sr_command_eval,  &sr_command_generate,
    &sr_command_tokenizer, &sr_command_search, &sr_command_front, &sr_command_show,
    &sr_command_report,    &sr_command_finals, &sr_command_mad,   &sr_command_scale,
    &sr_command_grow,      &sr_command_work,   &sr_command_list,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static sartor_context *volatile interruptible;
static volatile sig_atomic_t caught; /* the signal that interrupted, or 0 */

static const char *own_name; /* argv[0] */

/* By its path even where it was found in $PATH or the folder has changed since. */
const char *sr_program(void) {
    static char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n > 0) path[n] = '\0';
    return n > 0 && access(path, X_OK) == 0 ? path : own_name;
}

/* ---- messages ---- */

const char *sr_shown(const char *text, char buffer[SR_SHOWN]) {
    size_t used = 0;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (used + 8 > SR_SHOWN) {
            memcpy(buffer + used, "...", 3);
            used += 3;
            break;
        }
        if (c < 0x20 || c == 0x7F)
            used += (size_t)snprintf(buffer + used, 5, "\\x%02x", c);
        else
            buffer[used++] = *text;
    }
    buffer[used] = '\0';
    return buffer;
}

/* One line, whatever is in the message. */
static void print_line(const char *head, const char *message, const char *tail) {
    fputs(head, stderr);
    for (; *message != '\0'; message++) {
        unsigned char c = (unsigned char)*message;
        fputc(c < 0x20 || c == 0x7F ? '?' : c, stderr);
    }
    fprintf(stderr, "%s\n", tail);
}

int sr_usage_error(const sr_command *command, const char *format, ...) {
    char message[512], head[64], tail[64];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const char *name = command != NULL ? command->name : NULL;
    snprintf(head, sizeof head, "sartor%s%s: ", name != NULL ? " " : "", name != NULL ? name : "");
    snprintf(tail, sizeof tail, "; see sartor %s%s--help", name != NULL ? name : "",
             name != NULL ? " " : "");
    print_line(head, message, tail);
    return SR_EXIT_USAGE;
}

int sr_report_message(const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    print_line("sartor: ", message, "");
    return SR_EXIT_FAILURE;
}

int sr_report_failure(const sartor_context *ctx, sartor_status status) {
    const char *message = sartor_error(ctx);
    print_line("sartor: ", *message != '\0' ? message : sartor_status_name(status), "");
    return status == SARTOR_INTERRUPTED && caught != 0 ? 128 + caught : SR_EXIT_FAILURE;
}

int sr_finish_output(void) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return SR_EXIT_OK;
    return sr_report_message("cannot write to standard output%s%s", errno != 0 ? ": " : "",
                             errno != 0 ? strerror(errno) : "");
}

/* ---- signals ---- */

static void on_signal(int number) {
    caught = number;
    sartor_context *ctx = interruptible;
    if (ctx != NULL) sartor_interrupt(ctx);
}

sartor_context *sr_context_open(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sartor_context *ctx = sartor_context_create();
    if (ctx == NULL) {
        sr_report_message("not enough memory");
        return NULL;
    }
    sartor_set_log(ctx, sr_live_log, NULL);
    interruptible = ctx;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old,
            act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
        sigemptyset(&act.sa_mask);
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &act, NULL); /* nohup and & stay respected */
    }
    return ctx;
}

void sr_context_close(sartor_context **ctx) {
    interruptible = NULL;
    sartor_context_destroy(ctx);
}

/* ---- commands ---- */

static void print_help(void) {
    printf("sartor %s: synthesise, train and run tailored sequence-model architectures\n\n"
           "Usage: sartor COMMAND [options]\n\nCommands:\n",
           sartor_version());
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-12s %s\n", commands[i]->name, commands[i]->summary);
    printf(
        "\n"
        "  --help       this text; 'sartor COMMAND --help' or 'sartor help COMMAND' for one\n"
        "  --version    the version\n\n"
        "ARCH is a preset (sartor list presets), class names (sartor list livs) such as\n"
        "\"(SA-3 GMemless GConv-1 GMemless)x3\", a genome of five integers per LIV such as\n"
        "1.1.1.1.1-9.1.1.1.1, or a file that holds one of these.\n\n"
        "Options may be written --name VALUE or --name=VALUE; of an option given twice the last\n"
        "counts. Results go to standard output, progress and messages to standard error.\n"
        "Exit code: 0 success, 1 failure, 2 wrong usage, 128 + N after signal N.\n\n"
        "Examples:\n"
        "  sartor inspect transformer++ --livs 24 --width 768 --head-dim 64 --context 4096\n"
        "  sartor train --arch lfm2 --data books/ --out run --steps 2000\n"
        "  sartor generate run --prompt \"Once upon a time\"\n"
        "  sartor search --study books.db --data books/\n");
}

static const sr_command *find_command(const char *name) {
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static int unknown_command(const char *name) {
    const char *best = NULL;
    int least = 3;
    char shown[SR_SHOWN];
    for (int i = 0; i < COMMANDS; i++) {
        int distance = sr_edit_distance(name, commands[i]->name);
        if (sr_is_typo(name, distance) && distance < least) {
            best = commands[i]->name;
            least = distance;
        }
    }
    sr_shown(name, shown);
    if (best == NULL) return sr_usage_error(NULL, "unknown command '%s'", shown);
    return sr_usage_error(NULL, "unknown command '%s' (did you mean %s?)", shown, best);
}

static int help_for(int argc, char **argv) {
    if (argc == 0) {
        print_help();
        return sr_finish_output();
    }
    const sr_command *command = find_command(argv[0]);
    if (command == NULL) return unknown_command(argv[0]);
    char help[] = "--help", *only[] = {help, NULL};
    return command->run(command, 1, only);
}

/* With a standard stream closed, the next file opened would take its place and get its output. What
 * takes it here is opened for the wrong direction, so that output still fails. */
static void hold_standard_streams(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return;
}

int main(int argc, char **argv) {
    own_name = argv[0];
    hold_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond its limit is an error like any other */
    if (argc < 2) return sr_usage_error(NULL, "a command is missing");
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        printf("sartor %s\n", sartor_version());
        return sr_finish_output();
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return help_for(0, NULL);
    if (strcmp(name, "help") == 0) return help_for(argc - 2, argv + 2);
    const sr_command *command = find_command(name);
    if (command == NULL) return unknown_command(name);
    return command->run(command, argc - 2, argv + 2);
}
