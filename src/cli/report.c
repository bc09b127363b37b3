/* sartor report: a study as one page. */
#include "cli/options.h"

#include <sartor/search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* STUDY with .html in place of its suffix; release with free(). */
static char *default_path(const char *study) {
    const char *name = strrchr(study, '/');
    name = name != NULL ? name + 1 : study;
    const char *dot = strrchr(name, '.');
    size_t n = dot != NULL && dot > name ? (size_t)(dot - study) : strlen(study);
    char *path = malloc(n + sizeof ".html");
    if (path == NULL) return NULL;
    memcpy(path, study, n);
    memcpy(path + n, ".html", sizeof ".html");
    return path;
}

static bool same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

static int report(const char *study, const char *path) {
    if (same_file(study, path))
        return sr_report_message("report: %s is the study itself; name a page with --out", path);
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_status status = sartor_study_report(ctx, study, path);
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

static int run(const sr_command *self, int argc, char **argv) {
    const char *study = NULL, *out = NULL;
    const sr_option table[] = {
        SR_HEADING("Study"),
        SR_ARGUMENT("STUDY", &study, "the file of a study"),
        SR_HEADING("Output"),
        SR_TEXT("out", "FILE", &out, "the page to write (default: STUDY with .html as its suffix)"),
        SR_END,
    };
    int code;
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    char *path = out == NULL ? default_path(study) : NULL;
    if (out == NULL && path == NULL) return sr_report_message("not enough memory");
    code = report(study, out != NULL ? out : path);
    free(path);
    return code;
}

const sr_command sr_command_report = {
    .name = "report",
    .summary = "draw a study as a page for a browser",
    .usage = "STUDY [--out FILE.html]",
    .about =
        "Writes one HTML file with all that a study holds. Of a search: the front over every "
        "pair of objectives, progress by generation, which classes won, the backbones drawn "
        "with what they share, learning curves and finals. Of scaling laws: the curves of all "
        "budgets, the laws with their intervals, and every run. Of a MAD suite: scores by task, "
        "published ones, and the best run of every setting. It needs no network and no other "
        "file, so it can be sent to others. Prints its path.",
    .examples = "sartor report books.db\n"
                "sartor report books.db --out /tmp/books.html\n",
    .run = run,
};
