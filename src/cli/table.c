#define _XOPEN_SOURCE 700
#include "cli/table.h"

#include "cli/command.h"
#include "cli/live.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GAP = 2, LEAST_LAST = 12 };

static bool continues(char byte) { return ((unsigned char)byte & 0xC0) == 0x80; }

int sr_columns_of(const char *text) {
    int n = 0;
    for (; *text != '\0'; text++) n += !continues(*text);
    return n;
}

int sr_bytes_within(const char *text, int columns) {
    int n = 0;
    for (; text[n] != '\0' && columns > 0; columns--)
        for (n++; continues(text[n]);) n++;
    return n;
}

void sr_table_cell(sr_table *t, const char *text) {
    if (t->count == t->room) {
        size_t room = t->room == 0 ? 64 : 2 * t->room;
        char **cells = realloc(t->cells, room * sizeof *cells);
        if (cells == NULL) {
            t->failed = true;
            return;
        }
        t->cells = cells;
        t->room = room;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        t->failed = true;
        return;
    }
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = '?';
    t->cells[t->count++] = copy;
}

/* `columns` negative: no end. */
static void print_last(const char *text, int columns) {
    if (columns >= 0 && sr_columns_of(text) > columns)
        printf("%.*s...\n", sr_bytes_within(text, columns - 3), text);
    else
        puts(text);
}

static void print_rows(const sr_table *t) {
    int width[SR_TABLE_COLUMNS] = {0}, before = 0;
    for (size_t i = 0; i < t->count; i++) {
        int column = (int)(i % (size_t)t->columns), n = sr_columns_of(t->cells[i]);
        if (n > width[column]) width[column] = n;
    }
    for (int c = 0; c + 1 < t->columns; c++) before += width[c] + GAP;
    int terminal = sr_terminal_columns(STDOUT_FILENO), rest = terminal - 1 - before;
    if (terminal == 0)
        rest = -1;
    else if (rest < LEAST_LAST)
        rest = LEAST_LAST;
    for (size_t i = 0; i < t->count; i++) {
        int column = (int)(i % (size_t)t->columns);
        bool last = column + 1 == t->columns;
        if (!last || t->numbers) printf("%*s", width[column] - sr_columns_of(t->cells[i]), "");
        if (last)
            print_last(t->cells[i], rest);
        else
            printf("%s%*s", t->cells[i], GAP, "");
    }
}

int sr_table_print(sr_table *t) {
    int code = t->failed ? sr_report_message("not enough memory") : SR_EXIT_OK;
    if (!t->failed) print_rows(t);
    for (size_t i = 0; i < t->count; i++) free(t->cells[i]);
    free(t->cells);
    *t = (sr_table){.columns = t->columns};
    return code;
}
