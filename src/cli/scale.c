/* sartor scale: scaling laws of architectures, by the IsoFLOP protocol. */
#include "cli/answer.h"
#include "cli/numbers.h"
#include "cli/options.h"
#include "cli/study_live.h"
#include "cli/table.h"

#include <inttypes.h>
#include <math.h>
#include <sartor/probe.h>
#include <string.h>

enum { ESTIMATE = 3 * SR_NUMBER_TEXT + 8 };

/* Budgets, and widths, which may be missing and are whole numbers. */
static bool read_lists(const sr_command *self, const char *budgets, const char *widths,
                       sr_numbers_list *of_budgets, int64_t width[SR_MOST_NUMBERS], int *n_widths,
                       int *code) {
    sr_numbers_list of_widths = {.n = 0};
    if (!sr_numbers_parse(budgets, false, of_budgets)) {
        *code = sr_numbers_wrong(self, "budgets", budgets);
        return false;
    }
    bool good = *widths == '\0' || sr_numbers_parse(widths, false, &of_widths);
    for (int i = 0; good && i < of_widths.n; i++) {
        width[i] = of_widths.value[i] < 1e9 ? (int64_t)of_widths.value[i] : 0;
        good = (double)width[i] == of_widths.value[i];
    }
    *n_widths = of_widths.n;
    if (!good) *code = sr_numbers_wrong(self, "widths", widths);
    return good;
}

/* ---- what it will take ---- */

static void cell_of(sr_table *table, const char *format, double value) {
    char text[SR_NUMBER_TEXT];
    if (isfinite(value))
        snprintf(text, sizeof text, format, value);
    else
        snprintf(text, sizeof text, "-");
    sr_table_cell(table, text);
}

static void count_cell(sr_table *table, double value) {
    char text[SR_NUMBER_TEXT];
    sr_table_cell(table, sr_objective_text("params", value, text));
}

static void headings(sr_table *table, const char *const *names) {
    for (int i = 0; i < table->columns; i++) sr_table_cell(table, names[i]);
}

static int print_plan(sartor_context *ctx, const char *study, const char *json) {
    static const char *const names[] = {"budget", "width", "LIVs", "params",      "tokens",
                                        "steps",  "batch", "rate", "architecture"};
    char a[SR_NUMBER_TEXT], b[SR_NUMBER_TEXT];
    (void)ctx;
    (void)study;
    json_t *answer = sr_answer_parse(json);
    if (answer == NULL) return SR_EXIT_FAILURE;
    const json_t *runs = json_object_get(answer, "runs");
    sr_table table = {.columns = sizeof names / sizeof *names};
    headings(&table, names);
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        cell_of(&table, "%.3g", sr_answer_real(run, "budget"));
        cell_of(&table, "%.0f", sr_answer_real(run, "width"));
        cell_of(&table, "%.0f", sr_answer_real(run, "livs"));
        count_cell(&table, sr_answer_real(run, "params"));
        count_cell(&table, sr_answer_real(run, "tokens"));
        cell_of(&table, "%.0f", sr_answer_real(run, "steps"));
        cell_of(&table, "%.0f", sr_answer_real(run, "batch"));
        cell_of(&table, "%.2g", sr_answer_real(run, "learning_rate"));
        const char *arch = sr_answer_text(run, "arch");
        sr_table_cell(&table, arch != NULL ? arch : "-");
    }
    int code = sr_table_print(&table);
    if (code == SR_EXIT_OK) {
        printf("\n%zu runs of %.3g FLOPs in all, %s of memory for the largest; %s of training "
               "text\n",
               json_array_size(runs), sr_answer_real(answer, "flops"),
               sr_short_bytes(sr_answer_int(answer, "memory_bytes"), a),
               sr_short_bytes(sr_answer_int(answer, "text_bytes"), b));
        code = sr_finish_output();
    }
    json_decref(answer);
    return code;
}

static int dry_run(const sartor_scale_options *o, bool json) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    char *answer = NULL;
    sartor_status status = sartor_scale_plan(ctx, o, &answer);
    return sr_end_with_answer(ctx, status, answer, json, o->study, print_plan);
}

/* ---- the answer ---- */

static double part(const json_t *estimate, const char *name) {
    return sr_answer_real(estimate, name);
}

/* "0.512 (0.47 to 0.55)" */
static const char *with_interval(const json_t *estimate, const char *format, char text[ESTIMATE]) {
    char number[SR_NUMBER_TEXT], low[SR_NUMBER_TEXT], high[SR_NUMBER_TEXT];
    if (!isfinite(part(estimate, "value"))) return "-";
    snprintf(number, sizeof number, format, part(estimate, "value"));
    snprintf(low, sizeof low, format, part(estimate, "low"));
    snprintf(high, sizeof high, format, part(estimate, "high"));
    if (isfinite(part(estimate, "low")))
        snprintf(text, ESTIMATE, "%s (%s to %s)", number, low, high);
    else
        snprintf(text, ESTIMATE, "%s", number);
    return text;
}

/* A minimum beyond the sizes trained was not measured: no numbers. */
static void budget_row(const json_t *budget, sr_table *table) {
    const char *fault = sr_answer_text(budget, "fault"),
               *outside = sr_answer_text(budget, "outside");
    const json_t *params = outside == NULL ? json_object_get(budget, "params") : NULL;
    const json_t *tokens = outside == NULL ? json_object_get(budget, "tokens") : NULL;
    const json_t *cache = outside == NULL ? json_object_get(budget, "cache") : NULL;
    const json_t *loss = outside == NULL ? json_object_get(budget, "loss") : NULL;
    char text[ESTIMATE], low[SR_NUMBER_TEXT], high[SR_NUMBER_TEXT];
    cell_of(table, "%.3g", sr_answer_real(budget, "budget"));
    cell_of(table, "%.0f", sr_answer_real(budget, "runs"));
    count_cell(table, part(params, "value"));
    if (isfinite(part(params, "low")))
        snprintf(text, sizeof text, "%s to %s",
                 sr_objective_text("params", part(params, "low"), low),
                 sr_objective_text("params", part(params, "high"), high));
    else
        snprintf(text, sizeof text, "-");
    sr_table_cell(table, text);
    count_cell(table, part(tokens, "value"));
    sr_table_cell(table, sr_objective_text("cache", part(cache, "value"), low));
    sr_table_cell(table, with_interval(loss, "%.4f", text));
    if (outside != NULL)
        snprintf(text, sizeof text, "the minimum is %.16s the sizes trained", outside);
    sr_table_cell(table, fault != NULL ? fault : outside != NULL ? text : "");
}

static void law_line(const json_t *law, const char *name, const char *x) {
    char coefficient[SR_NUMBER_TEXT], floor[ESTIMATE + 4] = "", exponent[ESTIMATE], text[ESTIMATE];
    const char *fault = sr_answer_text(law, "fault");
    if (law == NULL || fault != NULL) {
        printf("  %-10s no law: %s\n", name, fault != NULL ? fault : "nothing is finished");
        return;
    }
    const json_t *e = json_object_get(law, "floor");
    if (part(e, "value") > 0)
        snprintf(floor, sizeof floor, "%s + ", with_interval(e, "%.3f", text));
    snprintf(coefficient, sizeof coefficient, "%.3g",
             part(json_object_get(law, "coefficient"), "value"));
    printf("  %-10s = %s%s %s^%s\n", name, floor, coefficient, x,
           with_interval(json_object_get(law, "exponent"), "%.3f", exponent));
}

static int print_result(const json_t *result) {
    static const char *const names[] = {"budget", "runs",  "params", "95 %",
                                        "tokens", "cache", "loss",   ""};
    const json_t *budgets = json_object_get(result, "budgets"),
                 *laws = json_object_get(result, "laws");
    const char *arch = sr_answer_text(result, "arch"), *pattern = sr_answer_text(result, "pattern");
    const char *why = sr_answer_text(result, "no_intervals");
    char title[256] = "";
    sr_append(title, sizeof title, "", "%s", arch != NULL ? arch : "-");
    if (arch == NULL || pattern == NULL || strcmp(arch, pattern) != 0)
        sr_append(title, sizeof title, "  ", "%s", pattern != NULL ? pattern : "-");
    printf("%s\ncompute-optimal sizes\n", title);
    sr_table table = {.columns = sizeof names / sizeof *names};
    headings(&table, names);
    for (size_t i = 0; i < json_array_size(budgets); i++)
        budget_row(json_array_get(budgets, i), &table);
    int code = sr_table_print(&table);
    if (code != SR_EXIT_OK) return code;
    printf("laws\n");
    law_line(json_object_get(laws, "params"), "params", "C");
    law_line(json_object_get(laws, "tokens"), "tokens", "C");
    law_line(json_object_get(laws, "loss"), "loss", "C");
    law_line(json_object_get(laws, "state"), "perplexity", "cache");
    if (why != NULL) printf("  no intervals: %s\n", why);
    size_t failed = 0, i;
    const json_t *points = json_object_get(result, "points"), *point;
    json_array_foreach(points, i, point) {
        const char *state = sr_answer_text(point, "state");
        failed += state != NULL && strcmp(state, "failed") == 0;
    }
    if (failed > 0) printf("  %zu of %zu runs failed\n", failed, json_array_size(points));
    return SR_EXIT_OK;
}

static int print_answer(sartor_context *ctx, const char *study, const char *json) {
    (void)ctx;
    json_t *answer = sr_answer_parse(json);
    if (answer == NULL) return SR_EXIT_FAILURE;
    const json_t *results = json_object_get(answer, "results");
    int code = SR_EXIT_OK;
    for (size_t i = 0; code == SR_EXIT_OK && i < json_array_size(results); i++) {
        if (i > 0) printf("\n");
        code = print_result(json_array_get(results, i));
    }
    if (code == SR_EXIT_OK && json_array_size(results) > 1) {
        printf("\nall architectures\n");
        law_line(json_object_get(json_object_get(answer, "shared"), "state"), "perplexity",
                 "cache");
    }
    json_decref(answer);
    if (code != SR_EXIT_OK) return code;
    printf("\nsartor report %s   draws it as a page\n", study);
    return sr_finish_output();
}

static int scale(sartor_scale_options *o, bool json, bool quiet) {
    sr_study_live live;
    sartor_context *ctx =
        sr_study_live_open(&live, quiet, &o->program, &o->progress, &o->progress_user);
    if (ctx == NULL) return SR_EXIT_FAILURE;
    char *answer = NULL;
    sartor_status status = sartor_scale(ctx, o, &answer);
    sr_study_live_end(&live);
    return sr_end_with_answer(ctx, status, answer, json, o->study, print_answer);
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_scale_options o;
    sartor_scale_defaults(&o);
    sr_paths archs = {NULL, 0}, data = {NULL, 0};
    const char *budgets = "", *widths = "";
    int64_t points = o.points, livs = 0, threads = o.threads, workers = 0;
    int precision = (int)o.precision;
    bool json = false, quiet = false, dry = false;
    const sr_option table[] = {
        SR_HEADING("Architectures"),
        SR_ARGUMENTS("ARCH", &archs, "what to scale: its pattern is repeated as the width grows"),
        SR_HEADING("Study"),
        SR_TEXT("study", "F", &o.study,
                "file of the study, made if missing; weights go to the folder F.d",
                .required = true),
        SR_FLAG("dry-run", &dry, "list the runs and what they take, and start nothing"),
        SR_HEADING("Text"),
        SR_TEXT_ROWS(&data, &o.text, true),
        SR_TEXT("tokenizer", "F", &o.tokenizer,
                "SentencePiece .model file, for example from sartor tokenizer (default: bytes)"),
        SR_HEADING("Budgets and sizes"),
        SR_TEXT("budgets", "LIST", &budgets,
                "training FLOPs, with commas: 1e12,3e12,1e13; each is spent on every size",
                .required = true),
        SR_INT("points", "N", &points,
               "sizes at each budget, around 80 bytes or 20 pieces of text a parameter, from 8 "
               "times to an eighth of them",
               3, 64),
        SR_TEXT("widths", "LIST", &widths, "these widths at every budget instead, with commas"),
        SR_INT("livs", "N", &livs,
               "LIVs at every width (default: one for 16 channels, in whole repeats of the "
               "pattern)",
               1, 1024),
        SR_INT("head-dim", "H", &o.sizes.head_dim,
               "channels of an attention head; widths are its multiples", 1, SR_NO_LIMIT),
        SR_INT("window", "W", &o.sizes.window, "positions that sliding-window classes see", 1,
               SR_NO_LIMIT),
        SR_INT("context", "T", &o.sizes.context, "tokens of a training window, and of the cache", 1,
               SR_NO_LIMIT),
        SR_FLAG("tie-embeddings", &o.sizes.tie_embeddings,
                "use one matrix as embedding and unembedding"),
        SR_HEADING("Training"),
        SR_INT("batch", "B", &o.batch,
               "windows in a batch at 1e12 FLOPs; grows with the cube root of the budget", 1,
               1 << 20),
        SR_REAL("lr", "X", &o.learning_rate,
                "peak learning rate at width 128; falls with the square root of the width", 0, 1e6),
        SR_CHOICE("precision", "f32|bf16", &precision, "arithmetic of the matrix products"),
        SR_SEED("seed", "S", &o.seed, "seed of initial weights, data order and the bootstrap"),
        SR_INT("threads", "K", &threads, "threads of one run", 1, 256),
        SR_HEADING("Workers"),
        SR_INT("workers", "W", &workers,
               "processes on this machine (default: its cores divided by --threads)", 1, 1024),
        SR_REAL("lease", "SECONDS", &o.lease,
                "a worker that is silent for so long loses its run to another", 1, 86400),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "end with one line of JSON"),
        SR_FLAG("quiet", &quiet, "no progress"),
        SR_END,
    };
    sr_numbers_list of_budgets;
    int64_t width[SR_MOST_NUMBERS];
    int code;
    if (sr_options_parse(self, table, argc, argv, &code) &&
        read_lists(self, budgets, widths, &of_budgets, width, &o.n_widths, &code)) {
        o.archs = archs.paths;
        o.n_archs = archs.count;
        o.text.paths = data.paths;
        o.text.n_paths = data.count;
        o.budgets = of_budgets.value;
        o.n_budgets = of_budgets.n;
        o.widths = width;
        o.points = (int)points;
        o.sizes.livs = (int)livs;
        o.precision = (sartor_precision)precision;
        o.threads = (int)threads;
        o.workers = (int)workers;
        code = dry ? dry_run(&o, json) : scale(&o, json, quiet);
    }
    sr_paths_free(&archs);
    sr_paths_free(&data);
    return code;
}

const sr_command sr_command_scale = {
    .name = "scale",
    .summary = "scaling laws of architectures: compute-optimal sizes, tokens and loss",
    .usage = "ARCH... --study F --data PATH... --budgets LIST [options]",
    .about =
        "The IsoFLOP protocol: every budget of training FLOPs is spent on several sizes of every "
        "architecture, so a small model reads much text and a large one little. A parabola of the "
        "loss in log size gives each budget's best size; through the best sizes go power laws of "
        "size, tokens and loss, and of perplexity against the cache. All numbers come with "
        "95 % intervals from a bootstrap. The runs are jobs of the study: the same command "
        "continues, sartor work joins with more workers, and other architectures or budgets add "
        "to it.",
    .examples = "# what would it train?\n"
                "sartor scale transformer++ hyena --study laws.db --data books/ \\\n"
                "    --budgets 1e12,3e12,1e13 --dry-run\n"
                "sartor scale transformer++ hyena --study laws.db --data books/ \\\n"
                "    --budgets 1e12,3e12,1e13\n"
                "# a larger budget, and one more architecture, later\n"
                "sartor scale striped-mamba --study laws.db --data books/ \\\n"
                "    --budgets 1e12,3e12,1e13,3e13\n"
                "# sizes of one's own, at a fixed depth\n"
                "sartor scale \"SA-1 GMemless Rec-1 GMemless\" --livs 8 --study mine.db \\\n"
                "    --data books/ --budgets 1e13,3e13,1e14 --widths 64,96,128,192,256\n",
    .run = run,
};
