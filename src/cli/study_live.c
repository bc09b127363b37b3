#include "cli/study_live.h"

#include "base/clock.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/live.h"
#include "cli/table.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { LINES = 4, LINE = 256, NARROW = 64 };
static const double redraw_every = 0.2, line_every = 60;

static void start(sr_study_live *live, bool quiet) {
    *live = (sr_study_live){.quiet = quiet,
                            .terminal = sr_can_redraw(),
                            .finished = -1,
                            .volume = NAN,
                            .volume_before = NAN};
}

/* ---- what is told ---- */

static bool is(const sartor_study_progress *p, const char *kind) {
    return p->kind != NULL && strcmp(p->kind, kind) == 0;
}

static bool are_trials_open(const sartor_study_progress *p) { return p->running + p->waiting > 0; }

/* Finals and what is measured for them; still when the last of it is done. */
static bool are_finals(const sr_study_live *live, const sartor_study_progress *p) {
    if (p->generations == 0) return false;
    return is(p, "final") || (!are_trials_open(p) && (p->jobs_left > 0 || live->finals));
}

/* Generations that are finished. */
static int finished_generations(const sartor_study_progress *p) {
    bool all = !are_trials_open(p) && p->trials > 0 && p->done + p->failed >= p->trials;
    return all ? p->generations : p->generation;
}

/* The one that is evaluated, counted from 1. */
static int current_generation(const sartor_study_progress *p) {
    int finished = finished_generations(p);
    return finished < p->generations ? finished + 1 : p->generations;
}

/* "generation 4/18  trials 52/288 done, 2 running, 0 failed"; no search: "jobs 12/66 done, 2
 * running"
 */
static void tell_state(const sr_study_live *live, const sartor_study_progress *p, bool finished,
                       char *line) {
    line[0] = '\0';
    if (live->finals) {
        sr_append(line, LINE, "  ", "%s", is(p, "measure") ? "measuring" : "finals");
        sr_append(line, LINE, "  ", "%" PRId64 " job%s left", p->jobs_left,
                  p->jobs_left == 1 ? "" : "s");
        return;
    }
    if (p->generations == 0) {
        sr_append(line, LINE, "  ", "jobs %" PRId64 "/%" PRId64 " done", p->done, p->trials);
        if (p->running > 0) sr_append(line, LINE, ", ", "%" PRId64 " running", p->running);
        if (p->failed > 0) sr_append(line, LINE, ", ", "%" PRId64 " failed", p->failed);
        return;
    }
    bool done = finished || finished_generations(p) == p->generations;
    sr_append(line, LINE, "  ", "generation %d/%d%s",
              done ? finished_generations(p) : current_generation(p), p->generations,
              done ? " done" : "");
    sr_append(line, LINE, "  ", "trials %" PRId64 "/%" PRId64 " done", p->done, p->trials);
    if (p->running > 0) sr_append(line, LINE, ", ", "%" PRId64 " running", p->running);
    sr_append(line, LINE, ", ", "%" PRId64 " failed", p->failed);
}

static void tell_best(const sr_study_live *live, const sartor_study_progress *p, char *line) {
    char number[SR_NUMBER_TEXT];
    line[0] = '\0';
    for (int i = 0; i < p->n_objectives && !live->finals; i++)
        if (isfinite(p->best[i]))
            sr_append(line, LINE, ", ", "%s%s %s", line[0] == '\0' ? "best " : "", p->objectives[i],
                      sr_objective_text(p->objectives[i], p->best[i], number));
}

static void tell_outlook(const sr_study_live *live, const sartor_study_progress *p, char *line) {
    char left[SR_NUMBER_TEXT];
    double gain = 100 * (live->volume / live->volume_before - 1);
    line[0] = '\0';
    bool told = isfinite(live->volume) && !live->finals;
    if (told) sr_append(line, LINE, "  ", "hypervolume %.4f", live->volume);
    if (told && isfinite(gain)) sr_append(line, LINE, " ", "(%+.1f %%)", gain);
    if (isfinite(p->seconds_left) && p->seconds_left > 0)
        sr_append(line, LINE, "  ", "%s left", sr_short_time(p->seconds_left, left));
}

static void tell_job(const sartor_study_progress *p, char *line) {
    line[0] = '\0';
    if (p->kind == NULL || p->steps == 0) return;
    sr_append(line, LINE, "  ", "%s", p->kind);
    if (p->steps > 0) sr_append(line, LINE, "  ", "step %" PRId64 "/%" PRId64, p->step, p->steps);
    if (p->steps > 0 && p->step > 0 && isfinite(p->loss))
        sr_append(line, LINE, "  ", "loss %.4f", p->loss);
}

/* ---- showing it ---- */

/* All that fits into a narrow terminal. */
static void tell_short(const sr_study_live *live, const sartor_study_progress *p, char *line) {
    char left[SR_NUMBER_TEXT];
    line[0] = '\0';
    if (live->finals) {
        tell_state(live, p, false, line);
        return;
    }
    if (p->generations > 0)
        sr_append(line, LINE, "  ", "generation %d/%d", current_generation(p), p->generations);
    sr_append(line, LINE, "  ", "%s %" PRId64 "/%" PRId64, p->generations > 0 ? "trials" : "jobs",
              p->done, p->trials);
    if (isfinite(p->seconds_left) && p->seconds_left > 0)
        sr_append(line, LINE, "  ", "%s left", sr_short_time(p->seconds_left, left));
}

/* To the first column of the block's first line. */
static void go_back(const sr_study_live *live) {
    fputc('\r', stderr);
    if (live->rows > 1) fprintf(stderr, "\033[%dA", live->rows - 1);
}

static void draw(sr_study_live *live, int columns, char lines[LINES][LINE]) {
    int rows = 0;
    if (live->rows > 0) go_back(live);
    for (int i = 0; i < LINES; i++) {
        if (lines[i][0] == '\0') continue;
        fprintf(stderr, "%s%.*s\033[K", rows > 0 ? "\n" : "", sr_bytes_within(lines[i], columns),
                lines[i]);
        rows++;
    }
    if (rows < live->rows) fputs("\033[J", stderr);
    live->rows = rows;
}

static void print_plain(char lines[LINES][LINE], bool finished) {
    char all[LINES * LINE] = "";
    for (int i = 0; i < LINES - finished; i++)
        if (lines[i][0] != '\0') sr_append(all, sizeof all, "  ", "%s", lines[i]);
    fprintf(stderr, "%s\n", all);
}

static void show(void *user, const sartor_study_progress *p) {
    sr_study_live *live = user;
    double now = sr_seconds();
    int generations = finished_generations(p);
    live->finals = are_finals(live, p);
    bool finished = live->finished >= 0 && generations > live->finished;
    live->finished = generations;
    if (finished) live->volume_before = live->volume;
    live->volume = p->hypervolume;
    if (live->quiet) return;
    double since = now - live->shown_at;
    bool due =
        live->shown_at == 0 || finished || since >= (live->terminal ? redraw_every : line_every);
    if (!due) return;
    char lines[LINES][LINE] = {""};
    int columns = sr_terminal_columns(STDERR_FILENO) - 1;
    if (live->terminal && columns < NARROW) {
        tell_short(live, p, lines[0]);
    } else {
        tell_state(live, p, finished && !live->terminal, lines[0]);
        tell_best(live, p, lines[1]);
        tell_outlook(live, p, lines[2]);
        tell_job(p, lines[3]);
    }
    if (live->terminal)
        draw(live, columns, lines);
    else
        print_plain(lines, finished);
    fflush(stderr);
    live->shown_at = now;
}

void sr_study_live_end(sr_study_live *live) {
    if (live->rows > 0) fputc('\n', stderr);
    live->rows = 0;
}

static void log_line(void *user, const char *line) {
    sr_study_live *live = user;
    if (live->quiet) return;
    if (live->rows > 0) {
        go_back(live);
        fputs("\033[J", stderr);
        live->rows = 0;
    }
    fprintf(stderr, "%s\n", line);
}

sartor_context *sr_study_live_open(sr_study_live *live, bool quiet, const char **program,
                                   sartor_study_progress_fn *progress, void **progress_user) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return NULL;
    start(live, quiet);
    sartor_set_log(ctx, log_line, live);
    *program = sr_program();
    *progress = show;
    *progress_user = live;
    return ctx;
}
