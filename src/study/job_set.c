#include "study/job_set.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPAN_TEXT = 48, MOST_SPANS = 1000 };

static int by_id(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

char *sr_job_set_print(int64_t *ids, int n) {
    qsort(ids, (size_t)n, sizeof *ids, by_id);
    const size_t room = (size_t)SPAN_TEXT * (size_t)(n < MOST_SPANS ? n : MOST_SPANS);
    char *text = malloc(room);
    size_t at = 0;
    for (int i = 0, spans = 1; text != NULL && i < n; spans++) {
        int last = i;
        while (last + 1 < n && ids[last + 1] - ids[last] <= 1) last++;
        if (spans == MOST_SPANS) last = n - 1;
        at += (size_t)snprintf(text + at, room - at, "%s%" PRId64, i > 0 ? "," : "", ids[i]);
        if (ids[last] > ids[i])
            at += (size_t)snprintf(text + at, room - at, "-%" PRId64, ids[last]);
        i = last + 1;
    }
    return text;
}

sartor_status sr_job_set_make(sartor_context *ctx, int64_t *ids, int n, char **text, char **spans) {
    *text = sr_job_set_print(ids, n);
    return *text != NULL ? sr_job_set_parse(ctx, *text, spans) : sr_no_memory(ctx);
}

static bool take_id(const char **at, int64_t *id) {
    const char *first = *at;
    for (*id = 0; **at >= '0' && **at <= '9'; ++*at)
        if (__builtin_mul_overflow(*id, 10, id) || __builtin_add_overflow(*id, **at - '0', id))
            return false;
    return *at > first;
}

/* "12" or "12-40", and the comma behind it when another span follows. */
static bool take_span(const char **at, int64_t *first, int64_t *last) {
    if (!take_id(at, first)) return false;
    *last = *first;
    if (**at == '-') {
        ++*at;
        if (!take_id(at, last)) return false;
    }
    if (*last < *first) return false;
    if (**at == '\0') return true;
    return *(*at)++ == ',' && **at != '\0';
}

sartor_status sr_job_set_parse(sartor_context *ctx, const char *text, char **spans) {
    *spans = NULL;
    if (text == NULL) return SARTOR_OK;
    size_t n = 1, at = 0;
    for (const char *p = text; *p != '\0'; p++) n += *p == ',';
    const size_t room = SPAN_TEXT * n + 3;
    char *json;
    SR_TRY(sr_alloc(ctx, room, 1, "a list of jobs", (void **)&json));
    const char *p = text;
    do {
        int64_t first, last;
        if (!take_span(&p, &first, &last)) {
            free(json);
            return sr_fail(ctx, SARTOR_INVALID, "'%.60s' is no list of jobs such as 12-40,52",
                           text);
        }
        at += (size_t)snprintf(json + at, room - at, "%c[%" PRId64 ",%" PRId64 "]",
                               at == 0 ? '[' : ',', first, last);
    } while (*p != '\0');
    snprintf(json + at, room - at, "]");
    *spans = json;
    return SARTOR_OK;
}
