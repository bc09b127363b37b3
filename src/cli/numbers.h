/* Lists of numbers as option values. */
#ifndef SR_CLI_NUMBERS_H
#define SR_CLI_NUMBERS_H

#include "cli/command.h"
#include <stdbool.h>

enum { SR_MOST_NUMBERS = 64 };

typedef struct sr_numbers_list {
    double value[SR_MOST_NUMBERS];
    int n;
} sr_numbers_list;

/* "1e12,3e12,10T": numbers above 0, or 0 where `zero` allows it, with k, M, G, T, P behind them
 * where that is shorter. */
bool sr_numbers_parse(const char *text, bool zero, sr_numbers_list *out);
/* The usage error for an option's list. */
int sr_numbers_wrong(const sr_command *self, const char *option, const char *text);

#endif
