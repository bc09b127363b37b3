/* sartor show: how a study stands, or one of its trials. */
#include "cli/answer.h"
#include "cli/options.h"
#include "cli/structure.h"
#include "cli/table.h"

#include "base/file.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sartor/search.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL = 13, SETTING = 20, MOST_BARS = 60, CURVE_POINTS = 8 };

/* Text of the study, without control characters. */
static void put(const char *text) {
    for (; *text != '\0'; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7F ? '?' : *text);
}

/* Nothing where there is no text. */
static void line(const char *label, const char *text) {
    if (text == NULL) return;
    printf("%-*s", LABEL, label);
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
    printf("%-*s%.4f  ", LABEL, "hypervolume", last);
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
    line("best", text[0] != '\0' ? text : "no trial is finished yet");
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
    line("study", study);
    line("trials", text);
    const json_t *volumes = json_object_get(shown, "hypervolume");
    int64_t total = sr_answer_int(json_object_get(shown, "settings"), "generations");
    snprintf(text, sizeof text, "%zu", json_array_size(volumes));
    if (total >= 0) sr_append(text, sizeof text, " of ", "%" PRId64, total);
    sr_append(text, sizeof text, " ", "finished");
    line("generations", text);
}

static int print_study(const char *study, const char *shown_json, const char *front_json) {
    json_t *shown = sr_answer_parse(shown_json);
    json_t *front = shown != NULL ? sr_answer_parse(front_json) : NULL;
    if (front != NULL) {
        print_state(study, shown);
        print_volumes(json_object_get(shown, "hypervolume"));
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

/* ---- one trial ---- */

static void print_trial_state(const json_t *trial) {
    char text[160] = "";
    bool front = json_is_true(json_object_get(trial, "front"));
    const char *state = sr_answer_text(trial, "state"),
               *baseline = sr_answer_text(trial, "baseline");
    snprintf(text, sizeof text, "%" PRId64 ", %s%s", sr_answer_int(trial, "trial"),
             state != NULL ? state : "-", front ? ", on the front" : "");
    line("trial", text);
    line("failed", sr_answer_text(trial, "reason"));
    line("baseline", baseline);
}

/* "generation 7: crossover+mutation of 31 and 40, 2 integers mutated" */
static void print_lineage(const json_t *trial) {
    const json_t *parents = json_object_get(trial, "parents");
    const char *how = sr_answer_text(trial, "operator");
    int64_t mutations = sr_answer_int(trial, "mutations");
    char text[256];
    snprintf(text, sizeof text, "generation %" PRId64, sr_answer_int(trial, "generation"));
    if (how != NULL) sr_append(text, sizeof text, ": ", "%s", how);
    for (size_t i = 0; i < json_array_size(parents); i++)
        sr_append(text, sizeof text, i == 0 ? " of " : " and ", "%" PRId64,
                  (int64_t)json_integer_value(json_array_get(parents, i)));
    if (mutations > 0)
        sr_append(text, sizeof text, ", ", "%" PRId64 " integer%s mutated", mutations,
                  mutations == 1 ? "" : "s");
    int64_t repairs = sr_answer_int(trial, "repairs");
    if (repairs > 0)
        sr_append(text, sizeof text, ", ", "%" PRId64 " set right after recombination", repairs);
    line("lineage", text);
}

static void print_objectives(const json_t *trial) {
    const char *name;
    json_t *value;
    char number[SR_NUMBER_TEXT], text[512] = "";
    json_object_foreach(json_object_get(trial, "objectives"), name, value) {
        const double x = json_is_number(value) ? json_number_value(value) : NAN;
        sr_append(text, sizeof text, ", ", "%s %s", name, sr_objective_text(name, x, number));
    }
    if (text[0] != '\0') line("values", text);
}

/* The value of a JSON array as a number for a table. */
static void curve_cell(sr_table *table, const json_t *point, size_t index, bool whole) {
    const json_t *value = json_array_get(point, index);
    char text[SR_NUMBER_TEXT] = "-";
    if (json_is_number(value) && whole)
        sr_grouped((int64_t)fmin(json_number_value(value), 9e18), text);
    else if (json_is_number(value))
        snprintf(text, sizeof text, "%.4f", fmin(json_number_value(value), 1e9));
    sr_table_cell(table, text);
}

/* The point of `curve` that stands at `index` among those that were validated; NULL: too few. */
static const json_t *validated(const json_t *curve, size_t index) {
    size_t i;
    const json_t *point;
    json_array_foreach(curve, i, point) {
        if (json_is_number(json_array_get(point, 3)) && index-- == 0) return point;
    }
    return NULL;
}

/* A few points, evenly spread, of those with a validation where there are any. */
static int print_curve(const json_t *curve) {
    static const char *const headings[] = {"step", "tokens", "loss", "val bits/byte"};
    size_t all = json_array_size(curve), n = 0;
    while (validated(curve, n) != NULL) n++;
    const bool some = n > 0;
    if (!some) n = all;
    const size_t rows = n < CURVE_POINTS ? n : CURVE_POINTS;
    if (n == 0) return SR_EXIT_OK;
    printf("\nlearning curve\n");
    sr_table table = {.columns = 4, .numbers = true};
    for (int i = 0; i < table.columns; i++) sr_table_cell(&table, headings[i]);
    for (size_t i = 0; i < rows; i++) {
        const size_t index = (i + 1) * n / rows - 1;
        const json_t *point = some ? validated(curve, index) : json_array_get(curve, index);
        for (size_t k = 0; k < 4; k++) curve_cell(&table, point, k, k < 2);
    }
    return sr_table_print(&table);
}

/* Sizes that the answer lacks are the defaults. */
static sartor_sizes sizes_of(const json_t *trial) {
    const json_t *object = json_object_get(trial, "sizes");
    sartor_sizes sizes;
    sartor_sizes_defaults(&sizes);
    struct {
        const char *name;
        int64_t *store;
    } fields[] = {{"width", &sizes.width},
                  {"head_dim", &sizes.head_dim},
                  {"window", &sizes.window},
                  {"context", &sizes.context},
                  {"vocab", &sizes.vocab}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int64_t value = sr_answer_int(object, fields[i].name);
        if (value >= 0) *fields[i].store = value;
    }
    sizes.tie_embeddings = json_is_true(json_object_get(object, "tie_embeddings"));
    return sizes;
}

static int print_trial(sartor_context *ctx, const json_t *trial) {
    const char *genome = sr_answer_text(trial, "genome");
    sartor_sizes s = sizes_of(trial);
    char *names = genome != NULL ? sr_backbone_text(ctx, genome, NULL) : NULL;
    print_trial_state(trial);
    print_lineage(trial);
    print_objectives(trial);
    if (names != NULL) {
        printf("%-*s", LABEL, "backbone");
        sr_print_wrapped(names, LABEL);
    }
    free(names);
    line("genome", genome);
    line("id", sr_answer_text(trial, "id"));
    printf("%-*swidth %" PRId64 ", head dim %" PRId64 ", window %" PRId64 ", context %" PRId64
           ", vocabulary %" PRId64 "%s\n",
           LABEL, "sizes", s.width, s.head_dim, s.window, s.context, s.vocab,
           s.tie_embeddings ? ", tied embeddings" : "");
    line("model", sr_answer_text(trial, "model"));
    if (genome != NULL) {
        printf("\nstructure\n");
        sartor_status status = sr_print_structure(ctx, genome, &s);
        if (status != SARTOR_OK) return sr_report_failure(ctx, status);
    }
    return print_curve(json_object_get(trial, "curve"));
}

/* What sartor train and sartor inspect take as ARCH. */
static sartor_status save(sartor_context *ctx, const json_t *trial, const char *path) {
    static const char *const kept[] = {"version", "genome", "sizes",     "id",
                                       "names",   "trial",  "objectives"};
    sr_file file;
    json_t *arch = json_object();
    int failed = arch == NULL;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *value = json_object_get(trial, kept[i]);
        if (value != NULL) failed |= json_object_set(arch, kept[i], value);
    }
    sartor_status status = failed ? sr_fail(ctx, SARTOR_MEMORY, "not enough memory")
                                  : sr_file_create(ctx, path, &file);
    if (status == SARTOR_OK) {
        json_dumpf(arch, file.stream, JSON_REAL_PRECISION(17)); /* errors: found by the commit */
        fputc('\n', file.stream);
        status = sr_file_commit(ctx, &file);
        if (status != SARTOR_OK) sr_file_abandon(&file);
    }
    json_decref(arch);
    return status;
}

/* The command that trains the same model under the study's settings; sizes are in the file. */
static void print_saved(sartor_context *ctx, const char *study, const json_t *trial,
                        const char *path) {
    char *answer = NULL;
    json_t *show =
        sartor_study_show(ctx, study, &answer) == SARTOR_OK ? sr_answer_parse(answer) : NULL;
    const json_t *settings = json_object_get(show, "settings");
    const char *precision = json_string_value(json_object_get(settings, "precision"));
    printf("\nsaved as %s; to train it as the study did, for longer:\n  sartor train --arch %s",
           path, path);
    if (settings != NULL)
        printf(" --batch %" PRId64 " --lr %g --precision %s", sr_answer_int(settings, "batch"),
               sr_answer_real(settings, "learning_rate"), precision != NULL ? precision : "f32");
    const sartor_sizes sizes = sizes_of(trial);
    printf("%s --data PATH... --out DIR\n", sizes.vocab != 257 ? " --tokenizer F" : "");
    json_decref(show);
    free(answer);
}

static int show_trial(sartor_context *ctx, const char *study, int64_t number, const char *path,
                      bool json) {
    char *answer = NULL;
    sartor_status status = sartor_study_trial(ctx, study, number, &answer);
    if (status != SARTOR_OK) return sr_report_failure(ctx, status);
    json_t *trial = sr_answer_parse(answer);
    int code = trial != NULL ? SR_EXIT_OK : SR_EXIT_FAILURE;
    if (trial != NULL && path != NULL && (status = save(ctx, trial, path)) != SARTOR_OK)
        code = sr_report_failure(ctx, status);
    if (code == SR_EXIT_OK && json) {
        code = sr_print_answer(answer);
    } else if (code == SR_EXIT_OK) {
        code = print_trial(ctx, trial);
        if (code == SR_EXIT_OK && path != NULL) print_saved(ctx, study, trial, path);
        if (code == SR_EXIT_OK) code = sr_finish_output();
    }
    json_decref(trial);
    free(answer);
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
    code =
        trial != NULL ? show_trial(ctx, study, number, path, json) : show_study(ctx, study, json);
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
