#include "train/growth_steps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

/* Words with one blank between them, and none around; the end of what was written. */
static char *squeeze(char *to, const char *from, size_t n) {
    char *const start = to;
    for (size_t i = 0; i < n; i++) {
        if (is_blank(from[i])) continue;
        if (to > start && is_blank(from[i - 1])) *to++ = ' ';
        *to++ = from[i];
    }
    *to++ = '\0';
    return to;
}

/* The number before the colon; behind it `text` goes on. */
static bool read_step(const char **text, int64_t *step) {
    char *end;
    while (is_blank(**text)) ++*text;
    if (**text < '0' || **text > '9') return false;
    errno = 0;
    long long value = strtoll(*text, &end, 10);
    while (is_blank(*end)) end++;
    if (errno != 0 || *end != ':') return false;
    *step = value;
    *text = end + 1;
    return true;
}

static sartor_status read_stage(sartor_context *ctx, const char **text, int64_t last, char **to,
                                sr_growth_steps *out) {
    const int i = out->count;
    if (i == SR_MAX_GROWTHS)
        return sr_fail(ctx, SARTOR_INVALID, "grow: more than %d stages", SR_MAX_GROWTHS);
    int64_t *step = &out->step[i];
    if (!read_step(text, step))
        return sr_fail(ctx, SARTOR_INVALID,
                       "grow: stage %d: expected STEP: WHAT, as in \"2000: width=256\"", i + 1);
    if (*step < 1 || *step > last)
        return sr_fail(ctx, SARTOR_INVALID,
                       "grow: stage %d: step %" PRId64 " is outside 1 to %" PRId64, i + 1, *step,
                       last);
    if (i > 0 && *step <= out->step[i - 1])
        return sr_fail(ctx, SARTOR_INVALID,
                       "grow: stage %d: step %" PRId64 " does not lie behind step %" PRId64, i + 1,
                       *step, out->step[i - 1]);
    const size_t n = strcspn(*text, ";");
    out->request[i] = *to;
    *to = squeeze(*to, *text, n);
    if (*out->request[i] == '\0')
        return sr_fail(ctx, SARTOR_INVALID, "grow: stage %d: nothing is asked for", i + 1);
    *text += n;
    out->count++;
    return SARTOR_OK;
}

sartor_status sr_growth_steps_parse(sartor_context *ctx, const char *text, int64_t last,
                                    sr_growth_steps *out) {
    char *to = out->text;
    out->count = 0;
    if (strlen(text) >= SR_GROWTH_STEPS_TEXT)
        return sr_fail(ctx, SARTOR_INVALID, "grow: the schedule is longer than %d bytes",
                       SR_GROWTH_STEPS_TEXT - 1);
    for (;;) {
        SR_TRY(read_stage(ctx, &text, last, &to, out));
        if (*text == ';') text++;
        while (is_blank(*text)) text++;
        if (*text == '\0') return SARTOR_OK;
    }
}

void sr_growth_steps_print(const sr_growth_steps *s, char text[2 * SR_GROWTH_STEPS_TEXT]) {
    const size_t room = 2 * SR_GROWTH_STEPS_TEXT;
    size_t at = 0;
    *text = '\0';
    for (int i = 0; i < s->count && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%" PRId64 ": %s", i > 0 ? "; " : "",
                               s->step[i], s->request[i]);
}

int sr_growth_steps_due(const sr_growth_steps *s, int64_t step) {
    int due = 0;
    while (due < s->count && s->step[due] <= step) due++;
    return due;
}
