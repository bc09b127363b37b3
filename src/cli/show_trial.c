/* sartor show STUDY TRIAL: what an architecture is, where it comes from, how it learnt. */
#include "cli/answer.h"
#include "cli/options.h"
#include "cli/show.h"
#include "cli/structure.h"
#include "cli/table.h"

#include "base/file.h"
#include <inttypes.h>
#include <math.h>
#include <sartor/search.h>
#include <stdlib.h>
#include <string.h>

enum { CURVE_POINTS = 8 };

static void print_trial_state(const json_t *trial) {
    char text[160] = "";
    bool front = json_is_true(json_object_get(trial, "front"));
    const char *state = sr_answer_text(trial, "state"),
               *baseline = sr_answer_text(trial, "baseline");
    snprintf(text, sizeof text, "%" PRId64 ", %s%s", sr_answer_int(trial, "trial"),
             state != NULL ? state : "-", front ? ", on the front" : "");
    sr_show_line("trial", text);
    sr_show_line("failed", sr_answer_text(trial, "reason"));
    sr_show_line("baseline", baseline);
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
    sr_show_line("lineage", text);
}

/* "4.1 k tokens, with 81.1 % of its parameters from 5 and 9, stopped at 0.25 of its budget" */
static void print_training(const json_t *trial) {
    const json_t *training = json_object_get(trial, "training");
    const json_t *inherits = json_object_get(training, "inherits");
    const double tokens = sr_answer_real(training, "tokens");
    const double stopped = sr_answer_real(training, "stopped");
    char text[256], number[SR_NUMBER_TEXT];
    if (isnan(tokens)) return;
    snprintf(text, sizeof text, "%s tokens", sr_short_count(tokens, number));
    if (json_array_size(inherits) > 0)
        sr_append(text, sizeof text, ", ", "with %.1f %% of the parameters",
                  100 * sr_answer_real(training, "inherited_share"));
    for (size_t i = 0; i < json_array_size(inherits); i++)
        sr_append(text, sizeof text, i == 0 ? " from " : " and ", "%" PRId64,
                  (int64_t)json_integer_value(json_array_get(inherits, i)));
    if (!isnan(stopped)) sr_append(text, sizeof text, ", ", "stopped at %g of the budget", stopped);
    sr_show_line("training", text);
}

/* "5 trials, 38.9 k tokens, 9.1 G FLOPs: 35.1 k tokens from scratch"; nothing where it is alone. */
static void print_cost(const json_t *trial) {
    const json_t *training = json_object_get(trial, "training");
    const json_t *all = json_object_get(training, "lineage");
    char text[256], number[SR_NUMBER_TEXT];
    if (sr_answer_int(all, "trials") < 2) return;
    snprintf(text, sizeof text, "%" PRId64 " trials", sr_answer_int(all, "trials"));
    sr_append(text, sizeof text, ", ", "%s tokens",
              sr_short_count(sr_answer_real(all, "tokens"), number));
    sr_append(text, sizeof text, ", ", "%s FLOPs",
              sr_short_count(sr_answer_real(all, "flops"), number));
    sr_append(text, sizeof text, ": ", "as %s tokens from scratch",
              sr_short_count(sr_answer_real(training, "tokens_from_scratch"), number));
    sr_show_line("cost", text);
}

static void print_objectives(const json_t *trial) {
    const char *name;
    json_t *value;
    char number[SR_NUMBER_TEXT], text[512] = "";
    json_object_foreach(json_object_get(trial, "objectives"), name, value) {
        const double x = json_is_number(value) ? json_number_value(value) : NAN;
        sr_append(text, sizeof text, ", ", "%s %s", name, sr_objective_text(name, x, number));
    }
    if (text[0] != '\0') sr_show_line("values", text);
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
    print_training(trial);
    print_cost(trial);
    print_objectives(trial);
    if (names != NULL) {
        printf("%-*s", SR_SHOW_LABEL, "backbone");
        sr_print_wrapped(names, SR_SHOW_LABEL);
    }
    free(names);
    sr_show_line("genome", genome);
    sr_show_line("id", sr_answer_text(trial, "id"));
    printf("%-*swidth %" PRId64 ", head dim %" PRId64 ", window %" PRId64 ", context %" PRId64
           ", vocabulary %" PRId64 "%s\n",
           SR_SHOW_LABEL, "sizes", s.width, s.head_dim, s.window, s.context, s.vocab,
           s.tie_embeddings ? ", tied embeddings" : "");
    sr_show_line("model", sr_answer_text(trial, "model"));
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

int sr_show_trial(sartor_context *ctx, const char *study, int64_t number, const char *path,
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
