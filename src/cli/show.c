/* sartor show: how a study stands, or one of its trials (show_trial.c). */
#include "cli/show.h"
#include "cli/answer.h"
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sartor/search.h>
#include <stdlib.h>
#include <string.h>

enum { SETTING = 20, MOST_BARS = 60 };

/* Text of the study, without control characters. */
static void put(const char *text) {
    for (; *text != '\0'; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7F ? '?' : *text);
}

void sr_show_line(const char *label, const char *text) {
    if (text == NULL) return;
    printf("%-*s", SR_SHOW_LABEL, label);
    put(text);
    putchar('\n');
}

/* ---- the study ---- */

/* One character per generation, from the smallest to the largest of them. */
static void print_bars(const json_t *volumes) {
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t n = json_array_size(volumes), first = n > MOST_BARS ? n - MOST_BARS : 0;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = first; i < n; i++) {
        if (!json_is_number(json_array_get(volumes, i))) continue;
        low = fmin(low, json_number_value(json_array_get(volumes, i)));
        high = fmax(high, json_number_value(json_array_get(volumes, i)));
    }
    for (size_t i = first; i < n; i++) {
        const json_t *value = json_array_get(volumes, i);
        double part = high > low ? (json_number_value(value) - low) / (high - low) : 1;
        fputs(json_is_number(value) ? bars[(int)(part * 7)] : " ", stdout);
    }
}

static void print_volumes(const json_t *volumes) {
    size_t n = json_array_size(volumes);
    if (n == 0) return;
    double last = json_number_value(json_array_get(volumes, n - 1));
    double before = n > 1 ? json_number_value(json_array_get(volumes, n - 2)) : 0;
    printf("%-*s%.4f  ", SR_SHOW_LABEL, "hypervolume", last);
    print_bars(volumes);
    if (before > 0) printf("  (%+.1f %% in the last generation)", 100 * (last / before - 1));
    putchar('\n');
}

/* "bpb 2.1340 (trial 52), params 81.0 k (trial 3)" */
static void print_best(const json_t *answer) {
    const json_t *objectives = json_object_get(answer, "objectives");
    const json_t *front = json_object_get(answer, "front");
    char text[512] = "", number[SR_NUMBER_TEXT];
    for (size_t k = 0; k < json_array_size(objectives); k++) {
        const char *name = json_string_value(json_array_get(objectives, k));
        double best = INFINITY;
        int64_t trial = -1;
        for (size_t i = 0; name != NULL && i < json_array_size(front); i++) {
            const json_t *row = json_array_get(front, i);
            double value = sr_answer_real(json_object_get(row, "objectives"), name);
            if (value < best) {
                best = value;
                trial = sr_answer_int(row, "trial");
            }
        }
        if (isfinite(best))
            sr_append(text, sizeof text, ", ", "%s %s (trial %" PRId64 ")", name,
                      sr_objective_text(name, best, number), trial);
    }
    sr_show_line("best", text[0] != '\0' ? text : SR_EMPTY_FRONT);
}

/* "params 2.00 M, decode 2.00 ms": limits. Other collections are for programs. */
static void collection_text(const json_t *value, char *text, size_t room) {
    const char *name;
    json_t *member;
    char number[SR_NUMBER_TEXT];
    json_object_foreach((json_t *)value, name, member) if (json_is_number(member))
        sr_append(text, room, ", ", "%s %s", name,
                  sr_objective_text(name, json_number_value(member), number));
}

/* false: there is nothing that people want to see. */
static bool setting_text(const json_t *value, char *text, size_t room) {
    char number[SR_NUMBER_TEXT];
    text[0] = '\0';
    if (json_is_string(value))
        snprintf(text, room, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(text, room, "%s", sr_grouped(json_integer_value(value), number));
    else if (json_is_real(value))
        snprintf(text, room, "%.6g", json_number_value(value));
    else if (json_is_boolean(value))
        snprintf(text, room, "%s", json_is_true(value) ? "yes" : "no");
    else
        collection_text(value, text, room);
    return text[0] != '\0';
}

static void print_settings(const json_t *settings) {
    const char *name;
    json_t *value;
    char text[512];
    printf("settings\n");
    json_object_foreach((json_t *)settings, name, value) {
        if (!setting_text(value, text, sizeof text)) continue;
        printf("  ");
        put(name);
        printf("%*s", (int)(strlen(name) < SETTING ? SETTING - strlen(name) : 1), "");
        put(text);
        putchar('\n');
    }
}

static void print_state(const char *study, const json_t *shown) {
    static const char *const states[] = {"done", "running", "failed", "waiting"};
    const json_t *trials = json_object_get(shown, "trials");
    char text[160] = "";
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        int64_t n = sr_answer_int(trials, states[i]);
        if (n >= 0) sr_append(text, sizeof text, ", ", "%" PRId64 " %s", n, states[i]);
    }
    sr_show_line("study", study);
    sr_show_line("trials", text);
    const json_t *volumes = json_object_get(shown, "hypervolume");
    int64_t total = sr_answer_int(json_object_get(shown, "settings"), "generations");
    snprintf(text, sizeof text, "%zu", json_array_size(volumes));
    if (total >= 0) sr_append(text, sizeof text, " of ", "%" PRId64, total);
    sr_append(text, sizeof text, " ", "finished");
    sr_show_line("generations", text);
}

/* "1.2 M tokens, 3.4 T FLOPs, 5 trials stopped at a rung" */
static void print_spent(const json_t *training) {
    char text[160], number[SR_NUMBER_TEXT];
    const int64_t stopped = sr_answer_int(training, "stopped");
    if (!json_is_object(training)) return;
    snprintf(text, sizeof text, "%s tokens",
             sr_short_count(sr_answer_real(training, "tokens"), number));
    sr_append(text, sizeof text, ", ", "%s FLOPs",
              sr_short_count(sr_answer_real(training, "flops"), number));
    if (stopped > 0)
        sr_append(text, sizeof text, ", ", "%" PRId64 " trial%s stopped at a rung", stopped,
                  stopped == 1 ? "" : "s");
    sr_show_line("training", text);
}

static int print_study(const char *study, const char *shown_json, const char *front_json) {
    json_t *shown = sr_answer_parse(shown_json);
    json_t *front = shown != NULL ? sr_answer_parse(front_json) : NULL;
    if (front != NULL) {
        print_state(study, shown);
        print_volumes(json_object_get(shown, "hypervolume"));
        print_spent(json_object_get(shown, "training"));
        print_best(front);
        print_settings(json_object_get(shown, "settings"));
    }
    json_decref(shown);
    json_decref(front);
    return front != NULL ? sr_finish_output() : SR_EXIT_FAILURE;
}

static int show_study(sartor_context *ctx, const char *study, bool json) {
    char *shown = NULL, *front = NULL;
    sartor_status status = sartor_study_show(ctx, study, &shown);
    if (status == SARTOR_OK && !json) status = sartor_study_front(ctx, study, &front);
    int code = status != SARTOR_OK ? sr_report_failure(ctx, status)
               : json              ? sr_print_answer(shown)
                                   : print_study(study, shown, front);
    free(shown);
    free(front);
    return code;
}

static int run(const sr_command *self, int argc, char **argv) {
    const char *study = NULL, *trial = NULL, *path = NULL;
    bool json = false;
    const sr_option table[] = {
        SR_HEADING("Study"),
        SR_ARGUMENT("STUDY", &study, "the file of a study"),
        SR_OPTIONAL("TRIAL", &trial, "the number of a trial, as sartor front prints it"),
        SR_HEADING("Output"),
        SR_TEXT("save", "ARCH.json", &path,
                "write the trial's architecture to a file that sartor train --arch and sartor "
                "inspect take"),
        SR_FLAG("json", &json, "one line of JSON"),
        SR_END,
    };
    int code;
    char shown[SR_SHOWN];
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    if (trial == NULL && path != NULL) return sr_usage_error(self, "--save needs a TRIAL to save");
    long long number = 0;
    errno = 0;
    if (trial != NULL && trial[strspn(trial, "0123456789")] == '\0')
        number = strtoll(trial, NULL, 10);
    else if (trial != NULL)
        errno = EINVAL;
    if (errno != 0)
        return sr_usage_error(self, "TRIAL is the number of a trial, not '%s'",
                              sr_shown(trial, shown));
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    code = trial != NULL ? sr_show_trial(ctx, study, number, path, json)
                         : show_study(ctx, study, json);
    sr_context_close(&ctx);
    return code;
}

const sr_command sr_command_show = {
    .name = "show",
    .summary = "how a study stands, or one of its trials",
    .usage = "STUDY [TRIAL] [--save ARCH.json] [--json]",
    .about = "Shows the state of a study: trials, generations, the hypervolume that the front "
             "encloses, best values and settings. With TRIAL, one architecture: what it is, where "
             "it comes from, its values and its learning curve. It may run at any time, also "
             "while the search does.",
    .examples = "sartor show books.db\n"
                "sartor show books.db 52\n"
                "# take an architecture out of the study and train it longer\n"
                "sartor show books.db 52 --save best.json\n"
                "sartor train --arch best.json --data books/ --steps 5000 --out best\n",
    .run = run,
};
