#define _GNU_SOURCE
#include "train/metrics.h"

#include "data/score.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sartor_status cannot(sartor_context *ctx, const char *path, const char *what) {
    return sr_fail(ctx, SARTOR_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* The offset behind the last whole line of a step up to `step`. Lines rise by one step each, from
 * the first one's: a checkpoint that was moved to a new folder left its lines behind. The first
 * that does not fit ends what is kept. */
static long kept_bytes(FILE *f, int64_t step) {
    char line[SR_METRICS_LINE];
    long kept = 0;
    for (int64_t last = 0; last < step;) {
        int64_t found = 0;
        if (fgets(line, sizeof line, f) == NULL || strchr(line, '\n') == NULL) break;
        if (sscanf(line, "{\"step\": %" SCNd64, &found) != 1) break;
        if (found < 1 || found > step || (last > 0 && found != last + 1)) break;
        last = found;
        kept = ftell(f);
    }
    return kept;
}

sartor_status sr_metrics_open(sartor_context *ctx, const char *path, int64_t step, sr_metrics *m) {
    *m = (sr_metrics){NULL, strdup(path)};
    if (m->path == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    m->stream = fd >= 0 ? fdopen(fd, "r+") : NULL;
    if (m->stream == NULL) {
        sartor_status status = cannot(ctx, path, "open");
        if (fd >= 0) close(fd);
        sr_metrics_close(m);
        return status;
    }
    long kept = kept_bytes(m->stream, step);
    if (ftruncate(fd, kept) == 0 && fseek(m->stream, kept, SEEK_SET) == 0) return SARTOR_OK;
    sartor_status status = cannot(ctx, path, "shorten");
    sr_metrics_close(m);
    return status;
}

void sr_metrics_close(sr_metrics *m) {
    if (m->stream != NULL) fclose(m->stream);
    free(m->path);
    *m = (sr_metrics){NULL, NULL};
}

sartor_status sr_metrics_add(sartor_context *ctx, sr_metrics *m, const sr_metrics_line *l) {
    const sr_step *s = &l->of_step;
    char text[SR_METRICS_LINE], bits[40] = "null", validation[160] = "",
                                grown[SR_METRICS_LINE - 1024] = "";
    if (s->bytes > 0)
        snprintf(bits, sizeof bits, "%.9g",
                 sr_bits_per_byte(s->loss * (double)s->scored, (uint64_t)s->bytes));
    if (isfinite(l->validation_loss))
        snprintf(validation, sizeof validation,
                 ", \"validation_loss\": %.9g, \"validation_bits_per_byte\": %.9g",
                 l->validation_loss, l->validation_bits_per_byte);
    if (l->grown != NULL) {
        json_t *request = json_string(l->grown);
        char *quoted = request != NULL ? json_dumps(request, JSON_ENCODE_ANY) : NULL;
        snprintf(grown, sizeof grown,
                 ", \"grown\": %s, \"params_before\": %" PRId64 ", \"params\": %" PRId64,
                 quoted != NULL && strlen(quoted) < sizeof grown - 96 ? quoted : "null",
                 l->params_before, l->params);
        free(quoted);
        json_decref(request);
    }
    snprintf(text, sizeof text,
             "{\"step\": %" PRId64 ", \"tokens\": %" PRId64
             ", \"loss\": %.9g, \"bits_per_byte\": %s, \"lr\": %.9g, \"grad_norm\": %.9g, "
             "\"tokens_per_second\": %.1f, \"seconds\": %.3f%s%s}\n",
             l->step, l->tokens, s->loss, bits, s->rate, s->norm, l->tokens_per_second, l->seconds,
             validation, grown);
    /* One write for a line, so that readers see whole lines. */
    if (fputs(text, m->stream) < 0 || fflush(m->stream) != 0) return cannot(ctx, m->path, "write");
    return SARTOR_OK;
}

sartor_status sr_metrics_sync(sartor_context *ctx, sr_metrics *m) {
    if (fflush(m->stream) != 0 || fsync(fileno(m->stream)) != 0)
        return cannot(ctx, m->path, "write");
    return SARTOR_OK;
}
