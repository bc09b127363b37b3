#include "cli/numbers.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool sr_numbers_parse(const char *text, bool zero, sr_numbers_list *out) {
    out->n = 0;
    for (const char *p = text;; p++) {
        static const char units[] = "kMGTP";
        char *end;
        if (!isdigit((unsigned char)*p) || out->n == SR_MOST_NUMBERS) return false;
        double value = strtod(p, &end);
        if (strspn(p, "0123456789.eE+-") != (size_t)(end - p)) return false; /* hexadecimal */
        const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
        if (unit != NULL) {
            value *= pow(1000, (double)(unit - units + 1));
            end++;
        }
        if (!isfinite(value) || !(value > 0 || (zero && value >= 0))) return false;
        if (*end != '\0' && *end != ',') return false;
        out->value[out->n++] = value;
        p = end;
        if (*p == '\0') return true;
    }
}

int sr_numbers_wrong(const sr_command *self, const char *option, const char *text) {
    char shown[SR_SHOWN];
    return sr_usage_error(self, "--%s takes up to %d numbers with commas, not '%s'", option,
                          SR_MOST_NUMBERS, sr_shown(text, shown));
}
