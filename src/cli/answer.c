#include "cli/answer.h"

#include "cli/command.h"
#include "cli/table.h"
#include "genome/genome.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

int sr_print_answer(const char *json) {
    puts(json);
    return sr_finish_output();
}

int sr_end_with_answer(sartor_context *ctx, sartor_status status, char *answer, bool json,
                       const char *study, sr_answer_print_fn *print) {
    int code = status != SARTOR_OK ? sr_report_failure(ctx, status)
               : json              ? sr_print_answer(answer)
                                   : print(ctx, study, answer);
    free(answer);
    sr_context_close(&ctx);
    return code;
}

json_t *sr_answer_parse(const char *json) {
    json_error_t error;
    json_t *object = json_loads(json, 0, &error);
    if (json_is_object(object)) return object;
    json_decref(object);
    sr_report_message("study: its answer cannot be read: %s", error.text);
    return NULL;
}

const char *sr_answer_text(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

int64_t sr_answer_int(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

double sr_answer_real(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* ---- for people ---- */

const char *sr_objective_text(const char *name, double value, char text[SR_NUMBER_TEXT]) {
    if (!isfinite(value) || fabs(value) > 1e18)
        snprintf(text, SR_NUMBER_TEXT, "-");
    else if (strcmp(name, "bpb") == 0 || strcmp(name, "mad") == 0)
        snprintf(text, SR_NUMBER_TEXT, "%.4f", value);
    else if (strcmp(name, "cache") == 0 || strcmp(name, "memory") == 0)
        sr_short_bytes((int64_t)value, text);
    else if (strcmp(name, "prefill") == 0 || strcmp(name, "decode") == 0)
        sr_short_latency(value, text);
    else
        sr_short_count(value, text);
    return text;
}

static void clean(char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) *text = '?';
}

void sr_append(char *line, size_t room, const char *between, const char *format, ...) {
    size_t used = strlen(line);
    va_list args;
    if (used > 0) used += (size_t)snprintf(line + used, room - used, "%s", between);
    if (used >= room) return;
    va_start(args, format);
    vsnprintf(line + used, room - used, format, args);
    va_end(args);
    clean(line + used);
}

char *sr_backbone_text(sartor_context *ctx, const char *text, const char *baseline) {
    size_t room = SR_GENOME_TEXT + strlen(text) + (baseline != NULL ? strlen(baseline) : 0) + 4;
    char *out = malloc(room), *names = malloc(SR_GENOME_TEXT);
    sr_genome *genome = malloc(sizeof *genome);
    if (out != NULL && names != NULL && genome != NULL) {
        bool known = sr_genome_parse(ctx, text, strlen(text), genome) == SARTOR_OK;
        if (known) sr_genome_names(genome, names);
        snprintf(out, room, "%s%s%s", baseline != NULL ? baseline : "",
                 baseline != NULL ? ": " : "", known ? names : text);
        clean(out);
    } else {
        free(out);
        out = NULL;
    }
    free(names);
    free(genome);
    return out;
}

/* ---- the front ---- */

static void front_row(sartor_context *ctx, const json_t *objectives, const json_t *row,
                      sr_table *table) {
    char number[SR_NUMBER_TEXT];
    const char *genome = sr_answer_text(row, "genome");
    snprintf(number, sizeof number, "%" PRId64, sr_answer_int(row, "trial"));
    sr_table_cell(table, number);
    for (size_t k = 0; k < json_array_size(objectives); k++) {
        const char *name = json_string_value(json_array_get(objectives, k));
        double value =
            name != NULL ? sr_answer_real(json_object_get(row, "objectives"), name) : NAN;
        sr_table_cell(table, sr_objective_text(name != NULL ? name : "", value, number));
    }
    snprintf(number, sizeof number, "%" PRId64, sr_answer_int(row, "generation"));
    sr_table_cell(table, number);
    char *backbone =
        sr_backbone_text(ctx, genome != NULL ? genome : "-", sr_answer_text(row, "baseline"));
    if (backbone == NULL) table->failed = true;
    sr_table_cell(table, backbone != NULL ? backbone : "");
    free(backbone);
}

static int print_rows(sartor_context *ctx, const json_t *objectives, const json_t *front) {
    size_t n = json_array_size(objectives);
    if (n + 3 > SR_TABLE_COLUMNS) return sr_report_message("study: too many objectives");
    sr_table table = {.columns = (int)n + 3};
    sr_table_cell(&table, "trial");
    for (size_t k = 0; k < n; k++) {
        const char *name = json_string_value(json_array_get(objectives, k));
        sr_table_cell(&table, name != NULL ? name : "-");
    }
    sr_table_cell(&table, "generation");
    sr_table_cell(&table, "backbone");
    for (size_t i = 0; i < json_array_size(front); i++)
        front_row(ctx, objectives, json_array_get(front, i), &table);
    return sr_table_print(&table);
}

int sr_print_front(sartor_context *ctx, const char *study, const char *json) {
    json_t *answer = sr_answer_parse(json);
    if (answer == NULL) return SR_EXIT_FAILURE;
    const json_t *front = json_object_get(answer, "front");
    size_t n = json_array_size(front);
    int code = SR_EXIT_OK;
    if (n == 0) {
        printf("%s: " SR_EMPTY_FRONT "\n", study);
    } else {
        printf("%s: %zu architecture%s that no other beats in every objective\n\n", study, n,
               n == 1 ? "" : "s");
        code = print_rows(ctx, json_object_get(answer, "objectives"), front);
    }
    json_decref(answer);
    return code == SR_EXIT_OK ? sr_finish_output() : code;
}
