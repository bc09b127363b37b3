#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

typedef enum sr_parsed { SR_PARSED, SR_NOT_A_NUMBER, SR_OUT_OF_RANGE } sr_parsed;

/* Digits, sign, point and exponent only: no hexadecimal, "inf", "nan" or blanks. */
static bool looks_decimal(const char *text, size_t n) {
    bool digit = false;
    for (size_t i = 0; i < n; i++) {
        if (isdigit((unsigned char)text[i]))
            digit = true;
        else if (strchr("+-.eE", text[i]) == NULL)
            return false;
    }
    return digit;
}

static sr_parsed parse_real(const char *text, double low, double high, double *out) {
    char *end;
    if (!looks_decimal(text, strlen(text))) return SR_NOT_A_NUMBER;
    double value = strtod(text, &end);
    if (*end != '\0') return SR_NOT_A_NUMBER;
    if (!isfinite(value) || value < low || (high < SR_NO_LIMIT && value > high))
        return SR_OUT_OF_RANGE;
    *out = value;
    return SR_PARSED;
}

static sr_parsed parse_whole(const char *text, bool suffixes, double low, double high,
                             int64_t *out) {
    size_t n = strlen(text), sign = text[0] == '-' || text[0] == '+';
    if (n > sign && strspn(text + sign, "0123456789") == n - sign) {
        errno = 0;
        long long value = strtoll(text, NULL, 10);
        if (errno != 0 || (double)value < low || (high < SR_NO_LIMIT && (double)value > high))
            return SR_OUT_OF_RANGE;
        *out = value;
        return SR_PARSED;
    }
    if (!suffixes || n == 0) return SR_NOT_A_NUMBER;
    double unit = 1;
    switch (text[n - 1]) {
    case 'k':
    case 'K':
        unit = 1e3;
        break;
    case 'M':
        unit = 1e6;
        break;
    case 'G':
        unit = 1e9;
        break;
    default:
        break;
    }
    size_t digits = unit > 1 ? n - 1 : n;
    if (!looks_decimal(text, digits)) return SR_NOT_A_NUMBER;
    char *end;
    double value = strtod(text, &end);
    if (end != text + digits) return SR_NOT_A_NUMBER;
    value *= unit;
    if (!(fabs(value) < SR_NO_LIMIT)) return SR_OUT_OF_RANGE;
    double whole = nearbyint(value); /* 1.1M is a hair off in binary */
    if (fabs(value - whole) > 1e-9 * fabs(value)) return SR_NOT_A_NUMBER;
    if (whole < low || (high < SR_NO_LIMIT && whole > high)) return SR_OUT_OF_RANGE;
    *out = (int64_t)whole;
    return SR_PARSED;
}

static sr_parsed parse_seed(const char *text, uint64_t *out) {
    if (*text == '\0' || strspn(text, "0123456789") != strlen(text)) return SR_NOT_A_NUMBER;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno != 0) return SR_OUT_OF_RANGE;
    *out = value;
    return SR_PARSED;
}

/* ---- words ---- */

int sr_choice_word(const char *choices, int index, const char **word) {
    for (; index > 0; index--) {
        choices = strchr(choices, '|');
        if (choices == NULL) return -1;
        choices++;
    }
    *word = choices;
    return (int)strcspn(choices, "|");
}

static bool parse_choice(const char *choices, const char *text, int *out) {
    const char *word;
    size_t n = strlen(text);
    for (int i = 0, length; (length = sr_choice_word(choices, i, &word)) >= 0; i++)
        if ((size_t)length == n && memcmp(word, text, n) == 0) {
            *out = i;
            return true;
        }
    return false;
}

enum { LONGEST_TYPO = 32 };

/* Optimal string alignment: three rows of the usual table. */
int sr_edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST_TYPO || m > LONGEST_TYPO) return LONGEST_TYPO + 1;
    int rows[3][LONGEST_TYPO + 1];
    for (size_t j = 0; j <= m; j++) rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two[j - 2] + 1 < best)
                best = two[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

bool sr_is_typo(const char *word, int distance) {
    return distance <= (strlen(word) <= 4 ? 1 : 2) && (size_t)distance < strlen(word);
}

/* The option whose name is nearest to `name`, or one that starts with it; NULL if none is near. */
static const char *suggestion(const sr_option *table, const char *name) {
    const char *best = NULL;
    int least = LONGEST_TYPO;
    for (const sr_option *o = table; o->kind != SR_OPTION_END; o++) {
        if (o->name == NULL) continue;
        int distance = sr_edit_distance(name, o->name);
        if (sr_is_typo(name, distance) && distance < least) {
            best = o->name;
            least = distance;
        }
    }
    for (const sr_option *o = table; best == NULL && o->kind != SR_OPTION_END; o++)
        if (o->name != NULL && strlen(name) >= 3 && strncmp(o->name, name, strlen(name)) == 0)
            best = o->name;
    return best;
}

/* ---- parsing ---- */

typedef struct sr_parser {
    const sr_command *command;
    const sr_option *table;
    int argc, at;
    char **argv;
    int given; /* arguments without dashes so far */
    bool seen[64];
} sr_parser;

static int wrong_value(const sr_parser *p, const sr_option *o, const char *value) {
    char shown[SR_SHOWN], bounds[96];
    sr_shown(value, shown);
    const char *kind = o->kind == SR_OPTION_REAL ? "a number" : "a whole number";
    if (o->kind == SR_OPTION_SEED)
        snprintf(bounds, sizeof bounds, "from 0 to 2^64 - 1");
    else if (o->high >= SR_NO_LIMIT)
        snprintf(bounds, sizeof bounds, "of at least %.15g", o->low);
    else
        snprintf(bounds, sizeof bounds, "from %.15g to %.15g", o->low, o->high);
    return sr_usage_error(p->command, "--%s takes %s %s, not '%s'", o->name, kind, bounds, shown);
}

static int wrong_choice(const sr_parser *p, const sr_option *o, const char *value) {
    char shown[SR_SHOWN], list[160];
    size_t used = 0;
    const char *word, *following;
    for (int i = 0, n; (n = sr_choice_word(o->choices, i, &word)) >= 0 && used < sizeof list; i++) {
        bool last = sr_choice_word(o->choices, i + 1, &following) < 0;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.*s",
                                 i == 0 ? ""
                                 : last ? " or "
                                        : ", ",
                                 n, word);
    }
    return sr_usage_error(p->command, "--%s takes %s, not '%s'", o->name, list,
                          sr_shown(value, shown));
}

static int add_word(const sr_parser *p, sr_paths *words, const char *word) {
    if (words->paths == NULL) words->paths = calloc((size_t)p->argc + 1, sizeof *words->paths);
    if (words->paths == NULL) return sr_report_message("not enough memory");
    words->paths[words->count++] = word;
    return 0;
}

/* Stores one value; 0 or an exit code. */
static int store(const sr_parser *p, const sr_option *o, const char *value) {
    sr_parsed parsed = SR_PARSED;
    switch (o->kind) {
    case SR_OPTION_INT:
    case SR_OPTION_SIZE:
        parsed =
            parse_whole(value, o->kind == SR_OPTION_SIZE, o->low, o->high, (int64_t *)o->store);
        break;
    case SR_OPTION_SEED:
        parsed = parse_seed(value, (uint64_t *)o->store);
        break;
    case SR_OPTION_REAL:
        parsed = parse_real(value, o->low, o->high, (double *)o->store);
        break;
    case SR_OPTION_CHOICE:
        if (!parse_choice(o->choices, value, (int *)o->store)) return wrong_choice(p, o, value);
        break;
    default:
        if (*value == '\0' && !o->empty)
            return sr_usage_error(p->command, "the value of --%s is empty", o->name);
        if (o->kind == SR_OPTION_PATHS || o->kind == SR_OPTION_TEXTS)
            return add_word(p, o->store, value);
        *(const char **)o->store = value;
    }
    return parsed == SR_PARSED ? 0 : wrong_value(p, o, value);
}

/* A word that is an option and not a value: "-" and negative numbers are values. */
static bool is_option(const char *word) {
    return word[0] == '-' && word[1] != '\0' && !isdigit((unsigned char)word[1]) && word[1] != '.';
}

static int parse_option(sr_parser *p) {
    const char *word = p->argv[p->at++];
    char shown[SR_SHOWN];
    if (word[1] != '-')
        return sr_usage_error(p->command, "unknown option '%s': options start with --",
                              sr_shown(word, shown));
    const char *name = word + 2;
    size_t n = strcspn(name, "=");
    const sr_option *o = p->table;
    while (o->kind != SR_OPTION_END &&
           (o->name == NULL || strlen(o->name) != n || memcmp(o->name, name, n) != 0))
        o++;
    if (o->kind == SR_OPTION_END) {
        char typed[SR_SHOWN];
        snprintf(typed, sizeof typed, "%.*s", n < sizeof typed ? (int)n : (int)sizeof typed, name);
        const char *near = suggestion(p->table, typed);
        sr_shown(typed, shown);
        if (near == NULL) return sr_usage_error(p->command, "unknown option --%s", shown);
        return sr_usage_error(p->command, "unknown option --%s (did you mean --%s?)", shown, near);
    }
    p->seen[o - p->table] = true;
    const char *inside = name[n] == '=' ? name + n + 1 : NULL;
    if (o->kind == SR_OPTION_FLAG) {
        if (inside != NULL) return sr_usage_error(p->command, "--%s takes no value", o->name);
        *(bool *)o->store = true;
        return 0;
    }
    if (inside != NULL) return store(p, o, inside);
    if (p->at == p->argc || is_option(p->argv[p->at])) {
        if (p->at < p->argc && (o->kind == SR_OPTION_TEXT || o->kind == SR_OPTION_TEXTS))
            return sr_usage_error(p->command,
                                  "--%s needs a value: --%s %s (one that starts with - as --%s=%s)",
                                  o->name, o->name, o->argument, o->name, o->argument);
        return sr_usage_error(p->command, "--%s needs a value: --%s %s", o->name, o->name,
                              o->argument);
    }
    int code = store(p, o, p->argv[p->at++]);
    while (code == 0 && o->kind == SR_OPTION_PATHS && p->at < p->argc && !is_option(p->argv[p->at]))
        code = store(p, o, p->argv[p->at++]);
    return code;
}

static int parse_argument(sr_parser *p) {
    const char *word = p->argv[p->at++];
    int index = 0;
    char shown[SR_SHOWN];
    for (const sr_option *o = p->table; o->kind != SR_OPTION_END; o++) {
        const bool many = o->kind == SR_OPTION_ARGUMENTS;
        if (!many && (o->kind != SR_OPTION_ARGUMENT || index++ != p->given)) continue;
        if (*word == '\0') return sr_usage_error(p->command, "%s is empty", o->argument);
        p->seen[o - p->table] = true;
        if (many) return add_word(p, o->store, word);
        p->given++;
        *(const char **)o->store = word;
        return 0;
    }
    return sr_usage_error(p->command, "unexpected argument '%s'", sr_shown(word, shown));
}

static int check_required(const sr_parser *p) {
    for (const sr_option *o = p->table; o->kind != SR_OPTION_END; o++) {
        if (!o->required || p->seen[o - p->table]) continue;
        if (o->kind == SR_OPTION_ARGUMENT || o->kind == SR_OPTION_ARGUMENTS)
            return sr_usage_error(p->command, "%s is missing", o->argument);
        return sr_usage_error(p->command, "--%s %s is missing", o->name, o->argument);
    }
    return 0;
}

bool sr_options_parse(const sr_command *command, const sr_option *table, int argc, char **argv,
                      int *code) {
    sr_parser p = {.command = command, .table = table, .argc = argc, .argv = argv};
    *code = 0;
    while (*code == 0 && p.at < argc) {
        const char *word = argv[p.at];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            sr_options_help(command, table);
            *code = sr_finish_output();
            return false;
        }
        if (strcmp(word, "--") == 0) {
            for (p.at++; *code == 0 && p.at < argc;) *code = parse_argument(&p);
            break;
        }
        *code = is_option(word) ? parse_option(&p) : parse_argument(&p);
    }
    if (*code == 0) *code = check_required(&p);
    return *code == 0;
}

void sr_paths_free(sr_paths *paths) {
    free(paths->paths);
    *paths = (sr_paths){NULL, 0};
}
