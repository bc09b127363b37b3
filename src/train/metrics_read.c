#define _GNU_SOURCE
#include "train/metrics_read.h"

#include "train/metrics.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LINES = 1 << 26 };

typedef struct reading {
    sartor_context *ctx;
    const char *path;
    int64_t line; /* from 1 */
    int64_t step, tokens;
} reading;

static sartor_status broken(const reading *r, const char *what) {
    return sr_fail(r->ctx, SARTOR_FORMAT, "%s: line %" PRId64 ": %s", r->path, r->line, what);
}

/* How many bytes of `text` are what printf writes for a number that is not finite. */
static size_t not_finite(const char *text) {
    static const char *const words[] = {"nan", "infinity", "inf"};
    const size_t sign = *text == '-';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncasecmp(text + sign, words[i], strlen(words[i])) == 0)
            return sign + strlen(words[i]);
    return 0;
}

/* JSON has no such numbers: outside of strings they become null. */
static void make_null(const char *line, char out[2 * SR_METRICS_LINE]) {
    bool inside = false;
    size_t n = 0;
    for (const char *p = line; *p != '\0';) {
        const size_t word = inside ? 0 : not_finite(p);
        if (word > 0) {
            memcpy(out + n, "null", 4);
            n += 4;
            p += word;
            continue;
        }
        if (inside && *p == '\\' && p[1] != '\0')
            out[n++] = *p++; /* what it escapes ends no string */
        else if (*p == '"')
            inside = !inside;
        out[n++] = *p++;
    }
    out[n] = '\0';
}

/* NaN where the line does not say it; false: it says something else than a number. */
static bool number(const json_t *line, const char *name, double *x) {
    const json_t *value = json_object_get(line, name);
    *x = json_is_number(value) ? json_number_value(value) : NAN;
    return value == NULL || json_is_null(value) || json_is_number(value);
}

static bool count(const json_t *line, const char *name, int64_t least, int64_t *x) {
    const json_t *value = json_object_get(line, name);
    *x = json_integer_value(value);
    if (*x < least) *x = 0;
    return json_is_integer(value) && json_integer_value(value) >= least;
}

static sartor_status parse(reading *r, const json_t *line, sr_metrics_entry *e) {
    *e = (sr_metrics_entry){0};
    if (!json_is_object(line)) return broken(r, "is not an object of JSON");
    if (!count(line, "step", 1, &e->step) || !count(line, "tokens", 0, &e->tokens))
        return broken(r, "says no step or no number of tokens");
    if (e->step <= r->step || e->tokens < r->tokens)
        return broken(r, "does not go on from the line before");
    if (!number(line, "seconds", &e->seconds) ||
        !number(line, "bits_per_byte", &e->bits_per_byte) || !number(line, "lr", &e->rate) ||
        !number(line, "grad_norm", &e->norm) ||
        !number(line, "tokens_per_second", &e->tokens_per_second) ||
        !number(line, "validation_bits_per_byte", &e->validation_bits_per_byte))
        return broken(r, "has something else where a number belongs");
    const json_t *grown = json_object_get(line, "grown");
    e->grew = grown != NULL;
    e->grown = json_string_value(grown);
    if (e->grew &&
        ((!json_is_string(grown) && !json_is_null(grown)) || !count(line, "params", 1, &e->params)))
        return broken(r, "does not say what has grown to how many parameters");
    (void)count(line, "params_before", 0, &e->params_before);
    r->step = e->step;
    r->tokens = e->tokens;
    return SARTOR_OK;
}

static sartor_status take_line(reading *r, const char *text, sr_metrics_fn take, void *user) {
    char plain[2 * SR_METRICS_LINE];
    sr_metrics_entry entry;
    json_error_t error;
    make_null(text, plain);
    json_t *line = json_loads(plain, JSON_REJECT_DUPLICATES, &error);
    sartor_status status = parse(r, line, &entry);
    if (status == SARTOR_OK) status = take(user, &entry);
    json_decref(line);
    return status;
}

static sartor_status read_lines(reading *r, FILE *f, sr_metrics_fn take, void *user) {
    char text[SR_METRICS_LINE];
    while (fgets(text, sizeof text, f) != NULL) {
        const size_t n = strlen(text);
        r->line++;
        if (n == 0 || text[n - 1] != '\n') {
            /* Torn, unless more follows. */
            if (n < sizeof text - 1 && feof(f)) return SARTOR_OK;
            return broken(r, n < sizeof text - 1 ? "has a byte of zero" : "is too long");
        }
        if (r->line > MAX_LINES) return broken(r, "is one too many");
        SR_TRY(take_line(r, text, take, user));
        if (sr_interrupted(r->ctx)) return sr_fail(r->ctx, SARTOR_INTERRUPTED, "interrupted");
    }
    return ferror(f) ? sr_fail(r->ctx, SARTOR_IO, "%s: cannot read: %s", r->path, strerror(errno))
                     : SARTOR_OK;
}

sartor_status sr_metrics_read(sartor_context *ctx, const char *path, sr_metrics_fn take,
                              void *user) {
    reading r = {.ctx = ctx, .path = path};
    struct stat st;
    /* Without O_NONBLOCK a named pipe would wait here for a writer. */
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return sr_fail(ctx, SARTOR_IO, "%s: cannot open: %s", path, strerror(errno));
    const bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    FILE *f = regular ? fdopen(fd, "rb") : NULL;
    if (f == NULL) {
        close(fd);
        return regular ? sr_no_memory(ctx)
                       : sr_fail(ctx, SARTOR_IO, "%s: not a regular file", path);
    }
    sartor_status status = read_lines(&r, f, take, user);
    fclose(f);
    return status;
}
