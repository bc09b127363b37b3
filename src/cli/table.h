/* Tables for people: columns as wide as their widest cell, numbers to the right. */
#ifndef SR_CLI_TABLE_H
#define SR_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum { SR_TABLE_COLUMNS = 16 };

typedef struct sr_table {
    int columns;
    char **cells; /* row by row */
    size_t count, room;
    bool numbers; /* the last column too is to the right */
    bool failed;  /* memory ran out */
} sr_table;

/* Adds the next cell: a copy of `text`, control characters as '?'. The first row are the headings.
 */
void sr_table_cell(sr_table *table, const char *text);
/* Prints and releases. Columns are to the right but the last, which is text and cut where a
 * terminal ends. Returns the exit code, after a message. */
int sr_table_print(sr_table *table);

/* The columns that `text` takes: characters of UTF-8, one each. */
int sr_columns_of(const char *text);
/* The bytes of `text` that fit into `columns`. */
int sr_bytes_within(const char *text, int columns);

#endif
