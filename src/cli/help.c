/* Help texts, made from the option tables. */
#include "cli/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 92, HELP_COLUMN = 26 };

void sr_print_wrapped(const char *text, int column) {
    int at = column;
    while (*text != '\0') {
        int word = (int)strcspn(text, " ");
        if (at > column && at + 1 + word > WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        } else if (at > column) {
            putchar(' ');
            at++;
        }
        printf("%.*s", word, text);
        at += word;
        text += word;
        while (*text == ' ') text++;
    }
    putchar('\n');
}

/* " (default ...)" for a default that can be named: one inside the bounds. */
static void append_default(const sr_option *o, char *text, size_t room) {
    size_t used = strlen(text);
    const char *word = NULL;
    int n;
    switch (o->kind) {
    case SR_OPTION_INT:
    case SR_OPTION_SIZE: {
        int64_t value = *(const int64_t *)o->store;
        if ((double)value >= o->low && (double)value <= o->high)
            snprintf(text + used, room - used, " (default %" PRId64 ")", value);
        break;
    }
    case SR_OPTION_SEED:
        snprintf(text + used, room - used, " (default %" PRIu64 ")", *(const uint64_t *)o->store);
        break;
    case SR_OPTION_REAL: {
        double value = *(const double *)o->store;
        if (value >= o->low && value <= o->high)
            snprintf(text + used, room - used, " (default %g)", value);
        break;
    }
    case SR_OPTION_CHOICE:
        n = sr_choice_word(o->choices, *(const int *)o->store, &word);
        if (n > 0) snprintf(text + used, room - used, " (default %.*s)", n, word);
        break;
    case SR_OPTION_TEXT: {
        const char *value = *(const char *const *)o->store;
        if (value != NULL && *value != '\0')
            snprintf(text + used, room - used, " (default %s)", value);
        break;
    }
    default:
        break;
    }
}

static void print_option(const sr_option *o) {
    char left[96], text[640];
    if (o->kind == SR_OPTION_ARGUMENT)
        snprintf(left, sizeof left, "%s", o->argument);
    else if (o->kind == SR_OPTION_ARGUMENTS)
        snprintf(left, sizeof left, "%s...", o->argument);
    else if (o->kind == SR_OPTION_FLAG)
        snprintf(left, sizeof left, "--%s", o->name);
    else if (o->kind == SR_OPTION_CHOICE)
        snprintf(left, sizeof left, "--%s %s", o->name, o->choices);
    else
        snprintf(left, sizeof left, "--%s %s%s", o->name, o->argument,
                 o->kind == SR_OPTION_PATHS ? "..." : "");
    snprintf(text, sizeof text, "%s", o->help);
    append_default(o, text, sizeof text);
    int used = printf("  %-*s", HELP_COLUMN - 4, left);
    if (used > HELP_COLUMN - 2)
        printf("\n%*s", HELP_COLUMN, "");
    else
        printf("%*s", HELP_COLUMN - used, "");
    sr_print_wrapped(text, HELP_COLUMN);
}

void sr_options_help(const sr_command *command, const sr_option *table) {
    printf("sartor %s: %s\n\nUsage: sartor %s %s\n\n", command->name, command->summary,
           command->name, command->usage);
    sr_print_wrapped(command->about, 0);
    for (const sr_option *o = table; o->kind != SR_OPTION_END; o++) {
        if (o->kind == SR_OPTION_HEADING)
            printf("\n%s:\n", o->help);
        else
            print_option(o);
    }
    printf("  %-*s  this text\n", HELP_COLUMN - 4, "--help");
    printf("\nExamples:\n");
    for (const char *line = command->examples; *line != '\0';) {
        int n = (int)strcspn(line, "\n");
        printf("  %.*s\n", n, line);
        line += n + (line[n] == '\n');
    }
}
