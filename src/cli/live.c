#include "cli/live.h"

#include "base/clock.h"
#include "cli/output.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Seconds between two redraws, and between two plain lines; a plain line also comes at every tenth
 * of the way, and for the first and the last step. */
static const double redraw_every = 0.1, line_every = 10;

bool sr_can_redraw(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

int sr_terminal_columns(int descriptor) {
    struct winsize size;
    if (!isatty(descriptor)) return 0;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void sr_live_start(sr_live *p, sr_live_kind kind, bool quiet) {
    *p = (sr_live){.kind = kind, .quiet = quiet, .terminal = sr_can_redraw()};
}

static bool is_due(const sr_live *p, const sartor_progress *s, double now) {
    if (!p->terminal && p->shown_at > 0 && s->step == p->shown_step) return false;
    if (p->shown_at == 0 || s->step >= s->steps) return true;
    if (p->terminal) return now - p->shown_at >= redraw_every;
    return now - p->shown_at >= line_every ||
           (double)s->step * 10 / (double)s->steps >=
               floor((double)p->shown_step * 10 / (double)s->steps) + 1;
}

static void compose(const sr_live *p, const sartor_progress *s, char *line, size_t room) {
    char rate[SR_NUMBER_TEXT], left[SR_NUMBER_TEXT], validation[48] = "";
    if (isfinite(s->validation_bits_per_byte))
        snprintf(validation, sizeof validation, " (val %.4f)", s->validation_bits_per_byte);
    snprintf(line, room,
             "%s %" PRId64 "/%" PRId64 "  loss %.4f  bits/byte %.4f%s  %s tok/s  %s left",
             p->kind == SR_LIVE_TRAIN ? "step" : "window", s->step, s->steps, s->loss,
             s->bits_per_byte, p->kind == SR_LIVE_TRAIN ? validation : "",
             sr_short_count(s->tokens_per_second, rate), sr_short_time(s->seconds_left, left));
}

void sr_live_show(void *user, const sartor_progress *s) {
    sr_live *p = user;
    double now = sr_seconds();
    if (p->quiet || s->steps < 1 || !is_due(p, s, now)) return;
    char line[256];
    compose(p, s, line, sizeof line);
    if (p->terminal) {
        fprintf(stderr, "\r%.*s\033[K", sr_terminal_columns(STDERR_FILENO) - 1, line);
        p->drawn = true;
    } else {
        fprintf(stderr, "%s\n", line);
    }
    fflush(stderr);
    p->shown_at = now;
    p->shown_step = s->step;
}

void sr_live_end(sr_live *p) {
    if (p->drawn) fputc('\n', stderr);
    p->drawn = false;
}

void sr_live_log(void *user, const char *line) {
    sr_live *p = user;
    if (p != NULL && p->quiet) return;
    if (p != NULL && p->drawn) fputs("\r\033[K", stderr);
    fprintf(stderr, "%s\n", line);
}
