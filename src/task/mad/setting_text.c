/* Settings as text: "selective-copying:copy=32,length=512". */
#include "task/mad/mad.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { WHOLE, SHARE, YES, SEED } kind;

enum {
    ALL = (1 << SR_MAD_TASKS) - 1,
    RECALLS = 1 << SR_MAD_RECALL | 1 << SR_MAD_FUZZY | 1 << SR_MAD_NOISY,
    ONLY_FUZZY = 1 << SR_MAD_FUZZY,
    ONLY_COPY = 1 << SR_MAD_COPY
};

/* What has a name, in the order of printing. */
static const struct {
    const char *name;
    size_t at;
    kind kind;
    unsigned tasks; /* bits of those that use it */
} fields[] = {
    {"vocab", offsetof(sr_mad_setting, vocab), WHOLE, ALL},
    {"length", offsetof(sr_mad_setting, length), WHOLE, ALL},
    {"train", offsetof(sr_mad_setting, train), WHOLE, ALL},
    {"test", offsetof(sr_mad_setting, test), WHOLE, ALL},
    {"multi-query", offsetof(sr_mad_setting, multi_query), YES, RECALLS},
    {"noise-vocab", offsetof(sr_mad_setting, noise_vocab), WHOLE, RECALLS},
    {"noise", offsetof(sr_mad_setting, noise), SHARE, RECALLS},
    {"copy", offsetof(sr_mad_setting, copy), WHOLE, ONLY_COPY},
    {"key-size", offsetof(sr_mad_setting, key_size), WHOLE, ONLY_FUZZY},
    {"value-size", offsetof(sr_mad_setting, value_size), WHOLE, ONLY_FUZZY},
    {"seed", offsetof(sr_mad_setting, seed), SEED, ALL},
};
enum { FIELDS = sizeof fields / sizeof fields[0], VALUE_TEXT = 32, SHOWN = 60 };

static void print_value(const sr_mad_setting *s, int i, char text[VALUE_TEXT]) {
    const void *p = (const char *)s + fields[i].at;
    switch (fields[i].kind) {
    case WHOLE:
        snprintf(text, VALUE_TEXT, "%" PRId64, *(const int64_t *)p);
        break;
    case YES:
        snprintf(text, VALUE_TEXT, "%d", *(const bool *)p);
        break;
    case SEED:
        snprintf(text, VALUE_TEXT, "%" PRIu64, *(const uint64_t *)p);
        break;
    case SHARE: /* the fewest digits that read back as the same number */
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(text, VALUE_TEXT, "%.*g", digits, *(const double *)p);
            if (strtod(text, NULL) == *(const double *)p) break;
        }
        break;
    }
}

void sr_mad_setting_print(const sr_mad_setting *setting, char text[SR_MAD_SETTING_TEXT]) {
    const sr_mad_setting base = sr_mad_baseline(setting->task);
    size_t n = (size_t)snprintf(text, SR_MAD_SETTING_TEXT, "%s", sr_mad_task_name(setting->task));
    char mark = ':';
    for (int i = 0; i < FIELDS && n < SR_MAD_SETTING_TEXT; i++) {
        char value[VALUE_TEXT], usual[VALUE_TEXT];
        if ((fields[i].tasks >> setting->task & 1) == 0) continue;
        print_value(setting, i, value);
        print_value(&base, i, usual);
        if (strcmp(value, usual) == 0) continue;
        n += (size_t)snprintf(text + n, SR_MAD_SETTING_TEXT - n, "%c%s=%s", mark, fields[i].name,
                              value);
        mark = ',';
    }
}

/* Reads a value of the field's kind that is all of `text`. */
static bool parse_value(const char *text, int i, sr_mad_setting *s) {
    void *p = (char *)s + fields[i].at;
    char *end = NULL;
    /* strtod() and strtoull() take blanks, signs, hexadecimal and words; this takes numbers. */
    const char *digits = fields[i].kind == SHARE ? "0123456789.e-" : "0123456789";
    if (text[0] < '0' || text[0] > '9' || text[strspn(text, digits)] != '\0') return false;
    errno = 0;
    if (fields[i].kind == SHARE) {
        *(double *)p = strtod(text, &end);
        return *end == '\0';
    }
    uint64_t value = strtoull(text, &end, 10);
    if (*end != '\0' || errno != 0) return false;
    switch (fields[i].kind) {
    case WHOLE:
        *(int64_t *)p = (int64_t)value;
        return value <= INT64_MAX;
    case YES:
        *(bool *)p = value == 1;
        return value <= 1;
    default:
        *(uint64_t *)p = value;
        return true;
    }
}

static sartor_status unknown_task(sartor_context *ctx, const char *name, int n) {
    char known[256] = "";
    size_t at = 0;
    for (int i = 0; i < SR_MAD_TASKS; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i > 0 ? ", " : "",
                               sr_mad_task_name((sr_mad_task_id)i));
    return sr_fail(ctx, SARTOR_INVALID, "there is no MAD task '%.*s'; there are %s", n, name,
                   known);
}

static sartor_status unknown_field(sartor_context *ctx, sr_mad_task_id task, const char *name,
                                   int n) {
    char known[256] = "";
    size_t at = 0;
    for (int i = 0; i < FIELDS; i++)
        if (fields[i].tasks >> task & 1)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i > 0 ? ", " : "",
                                   fields[i].name);
    return sr_fail(ctx, SARTOR_INVALID, "%s has no parameter '%.*s'; it has %s",
                   sr_mad_task_name(task), n, name, known);
}

/* One NAME=VALUE of `n` bytes. */
static sartor_status parse_field(sartor_context *ctx, const char *text, size_t n, unsigned *given,
                                 sr_mad_setting *s) {
    const char *equals = memchr(text, '=', n);
    size_t name = equals != NULL ? (size_t)(equals - text) : n;
    int shown = name < SHOWN ? (int)name : SHOWN, i = 0;
    while (i < FIELDS &&
           (strlen(fields[i].name) != name || memcmp(fields[i].name, text, name) != 0))
        i++;
    if (i == FIELDS || (fields[i].tasks >> s->task & 1) == 0)
        return unknown_field(ctx, s->task, text, shown);
    if (*given >> i & 1) return sr_fail(ctx, SARTOR_INVALID, "%s is given twice", fields[i].name);
    *given |= 1u << i;
    char value[2 * VALUE_TEXT];
    size_t length = equals != NULL ? n - name - 1 : 0;
    bool fits = length < sizeof value;
    snprintf(value, sizeof value, "%.*s", (int)(fits ? length : 0), text + name + 1);
    if (equals == NULL || !fits || !parse_value(value, i, s)) {
        static const char *const wanted[] = {
            [WHOLE] = "a natural number",
            [SHARE] = "a number",
            [YES] = "0 or 1",
            [SEED] = "a natural number below 2^64",
        };
        return sr_fail(ctx, SARTOR_INVALID, "%s takes %s, not '%.*s'", fields[i].name,
                       wanted[fields[i].kind], (int)(length < SHOWN ? length : SHOWN),
                       equals != NULL ? equals + 1 : "");
    }
    return SARTOR_OK;
}

sartor_status sr_mad_setting_parse(sartor_context *ctx, const char *text, sr_mad_setting *setting) {
    size_t name = strcspn(text, ":");
    int task = sr_mad_task_find(text, name);
    if (task < 0) return unknown_task(ctx, text, (int)(name < SHOWN ? name : SHOWN));
    *setting = sr_mad_baseline((sr_mad_task_id)task);
    unsigned given = 0;
    for (const char *p = text + name; *p != '\0';) {
        p++; /* the colon or a comma */
        size_t n = strcspn(p, ",");
        sartor_status status = parse_field(ctx, p, n, &given, setting);
        if (status != SARTOR_OK) return sr_fail_in(ctx, status, "MAD task");
        p += n;
    }
    sartor_status status = sr_mad_setting_check(ctx, setting);
    return status == SARTOR_OK ? status : sr_fail_in(ctx, status, "MAD task");
}
