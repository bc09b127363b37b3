/* Limits on objectives: NAME=VALUE, and by how much a candidate exceeds them. */
#include "search/objectives.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* A real above 0 with an optional decimal suffix. */
static bool parse_value(const char *text, double *value) {
    static const char suffixes[] = "kKMG";
    static const double units[] = {1e3, 1e3, 1e6, 1e9};
    size_t n = strlen(text);
    double unit = 1;
    const char *suffix = n > 0 ? strchr(suffixes, text[n - 1]) : NULL;
    if (suffix != NULL) unit = units[suffix - suffixes], n--;
    char *end;
    if (!looks_decimal(text, n)) return false;
    *value = strtod(text, &end) * unit;
    return end == text + n && isfinite(*value) && *value > 0;
}

sartor_status sr_limit_parse(sartor_context *ctx, const char *text, sr_limit *limit) {
    size_t n = strcspn(text, "=");
    int shown = n > 64 ? 64 : (int)n;
    if (text[n] != '=')
        return sr_fail(ctx, SARTOR_INVALID, "limit '%.64s': expected NAME=VALUE, as in params=2M",
                       text);
    limit->objective = sr_objective_find(text, n);
    if (limit->objective < 0) {
        char names[SR_OBJECTIVE_NAMES];
        sr_objective_names(names);
        return sr_fail(ctx, SARTOR_INVALID,
                       "limit '%.64s': no objective is called '%.*s'; there are %s", text, shown,
                       text, names);
    }
    if (!parse_value(text + n + 1, &limit->most))
        return sr_fail(ctx, SARTOR_INVALID,
                       "limit '%.64s': '%.64s' is not a number above 0 (k, M and G stand for "
                       "1e3, 1e6 and 1e9)",
                       text, text + n + 1);
    return SARTOR_OK;
}

double sr_violation(const sr_limit *limits, int n, const double values[SR_OBJECTIVE_COUNT]) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double value = values[limits[i].objective];
        if (value > limits[i].most) sum += value / limits[i].most - 1; /* NaN is not above */
    }
    return sum;
}
