/* sartor report: a study, or training runs, as one page. */
#include "cli/options.h"

#include <limits.h>
#include <sartor/search.h>
#include <sartor/train.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* STUDY with .html in place of its suffix, or RUN with .html; release with free(). */
static char *default_path(const char *what, bool folder) {
    size_t n = strlen(what);
    while (folder && n > 1 && what[n - 1] == '/') n--;
    if (!folder) {
        const char *name = strrchr(what, '/');
        name = name != NULL ? name + 1 : what;
        const char *dot = strrchr(name, '.');
        if (dot != NULL && dot > name) n = (size_t)(dot - what);
    }
    char *path = malloc(n + sizeof ".html");
    if (path == NULL) return NULL;
    memcpy(path, what, n);
    memcpy(path + n, ".html", sizeof ".html");
    return path;
}

static bool same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

/* Whether the page would replace what it is drawn from. */
static bool is_source(const sr_paths *what, bool runs, const char *path) {
    static const char *const files[] = {"metrics.jsonl", "model.safetensors",
                                        "checkpoint.safetensors", "state.safetensors"};
    bool same = !runs && same_file(what->paths[0], path);
    for (int i = 0; runs && i < what->count; i++)
        for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
            char file[PATH_MAX];
            snprintf(file, sizeof file, "%s/%s", what->paths[i], files[k]);
            same |= same_file(file, path);
        }
    return same;
}

static int report(const sr_paths *what, bool runs, const char *path) {
    if (is_source(what, runs, path))
        return sr_report_message("report: %s is %s; name a page with --out", path,
                                 runs ? "part of a run" : "the study itself");
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_status status = runs ? sartor_run_report(ctx, what->paths, what->count, path)
                                : sartor_study_report(ctx, what->paths[0], path);
    int code;
    if (status != SARTOR_OK) {
        code = sr_report_failure(ctx, status);
    } else {
        puts(path);
        code = sr_finish_output();
    }
    sr_context_close(&ctx);
    return code;
}

static int report_to(const sr_paths *what, const char *out) {
    const bool runs = what->count > 1 || is_folder(what->paths[0]);
    char *path = out == NULL ? default_path(what->paths[0], runs) : NULL;
    if (out == NULL && path == NULL) return sr_report_message("not enough memory");
    const int code = report(what, runs, out != NULL ? out : path);
    free(path);
    return code;
}

static int run(const sr_command *self, int argc, char **argv) {
    sr_paths what = {.count = 0};
    const char *out = NULL;
    const sr_option table[] = {
        SR_HEADING("What is drawn"),
        SR_ARGUMENTS("STUDY|RUN", &what,
                     "the file of a study, or the folders of up to 8 training runs, overlaid"),
        SR_HEADING("Output"),
        SR_TEXT("out", "FILE", &out,
                "the page to write (default: STUDY with .html as its suffix, the first RUN with "
                ".html behind it)"),
        SR_END,
    };
    int code;
    if (sr_options_parse(self, table, argc, argv, &code)) code = report_to(&what, out);
    sr_paths_free(&what);
    return code;
}

const sr_command sr_command_report = {
    .name = "report",
    .summary = "draw a study or training runs as a page for a browser",
    .usage = "STUDY|RUN... [--out FILE.html]",
    .about =
        "Writes one HTML file with all that a study holds. Of a search: the front over every "
        "pair of objectives, progress by generation, which classes won, the backbones drawn "
        "with what they share, learning curves and finals. Of scaling laws: the curves of all "
        "budgets, the laws with their intervals, and every run. Of a MAD suite: scores by task, "
        "published ones, and the best run of every setting. Of training runs, finished or not: "
        "losses, learning rate, gradient norm and speed against steps, tokens, time and FLOPs, "
        "each growth step marked, and tables of growth, runs and settings. The page needs no "
        "network and no other file, so it can be sent to others. Prints its path.",
    .examples = "sartor report books.db\n"
                "sartor report books.db --out /tmp/books.html\n"
                "# two runs, overlaid\n"
                "sartor report run grown --out both.html\n",
    .run = run,
};
