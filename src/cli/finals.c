/* sartor finals: the best of a study, trained longer and beside baselines. */
#include "cli/answer.h"
#include "cli/options.h"
#include "cli/study_live.h"
#include "cli/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void cell(sr_table *table, const char *objective, double value) {
    char number[SR_NUMBER_TEXT];
    sr_table_cell(table, sr_objective_text(objective, value, number));
}

/* Whether what the search saw was not a training from scratch, as finals are. */
static bool was_different(const json_t *final) {
    const json_t *search = json_object_get(final, "search");
    return json_array_size(json_object_get(search, "inherits")) > 0 ||
           json_is_number(json_object_get(search, "stopped"));
}

/* `searched`: with what the search saw, and what the final saw on the same text. */
static void final_row(sartor_context *ctx, const json_t *final, bool searched, sr_table *table) {
    char text[SR_NUMBER_TEXT];
    const json_t *bpb = json_object_get(final, "bpb");
    const char *genome = sr_answer_text(final, "genome");
    int64_t trial = sr_answer_int(final, "trial");
    snprintf(text, sizeof text, "%" PRId64, trial);
    sr_table_cell(table, trial >= 0 ? text : "-");
    cell(table, "bpb", sr_answer_real(bpb, "mean"));
    cell(table, "bpb", sr_answer_real(bpb, "std"));
    if (searched) {
        cell(table, "bpb", sr_answer_real(json_object_get(final, "validation"), "mean"));
        cell(table, "bpb", sr_answer_real(json_object_get(final, "search"), "bpb"));
    }
    cell(table, "params", sr_answer_real(final, "params"));
    cell(table, "cache", sr_answer_real(final, "cache"));
    cell(table, "flops", sr_answer_real(final, "flops"));
    cell(table, "prefill", sr_answer_real(final, "prefill"));
    cell(table, "decode", sr_answer_real(final, "decode"));
    char *backbone =
        sr_backbone_text(ctx, genome != NULL ? genome : "-", sr_answer_text(final, "baseline"));
    if (backbone == NULL) table->failed = true;
    sr_table_cell(table, backbone != NULL ? backbone : "");
    free(backbone);
}

static int print_table(sartor_context *ctx, const json_t *finals) {
    static const char *const headings[] = {"trial",     "bpb",    "+-",      "validation",
                                           "in search", "params", "cache",   "flops",
                                           "prefill",   "decode", "backbone"};
    enum { HEADINGS = sizeof headings / sizeof *headings, EXTRA = 3, EXTRAS = 2 };
    bool searched = false;
    for (size_t i = 0; i < json_array_size(finals); i++)
        searched |= was_different(json_array_get(finals, i));
    sr_table table = {.columns = searched ? HEADINGS : HEADINGS - EXTRAS};
    for (int i = 0; i < HEADINGS; i++)
        if (searched || i < EXTRA || i >= EXTRA + EXTRAS) sr_table_cell(&table, headings[i]);
    for (size_t i = 0; i < json_array_size(finals); i++)
        final_row(ctx, json_array_get(finals, i), searched, &table);
    return sr_table_print(&table);
}

static int print_finals(sartor_context *ctx, const char *study, const char *json) {
    char tokens[SR_NUMBER_TEXT];
    (void)study;
    json_t *answer = sr_answer_parse(json);
    if (answer == NULL) return SR_EXIT_FAILURE;
    int64_t seeds = sr_answer_int(answer, "seeds");
    printf("test text, %s tokens of training, mean and standard deviation of %" PRId64
           " seed%s; prefill and decode per token\n\n",
           sr_objective_text("tokens", sr_answer_real(answer, "tokens"), tokens), seeds,
           seeds == 1 ? "" : "s");
    int code = print_table(ctx, json_object_get(answer, "finals"));
    json_decref(answer);
    return code == SR_EXIT_OK ? sr_finish_output() : code;
}

static int finals(sartor_finals_options *o, bool json, bool quiet) {
    sr_study_live live;
    sartor_context *ctx =
        sr_study_live_open(&live, quiet, &o->program, &o->progress, &o->progress_user);
    if (ctx == NULL) return SR_EXIT_FAILURE;
    char *answer = NULL;
    sartor_status status = sartor_finals(ctx, o, &answer);
    sr_study_live_end(&live);
    return sr_end_with_answer(ctx, status, answer, json, o->study, print_finals);
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_finals_options o;
    sartor_finals_defaults(&o);
    int64_t top = o.top, seeds = o.seeds, workers = 0;
    bool json = false, quiet = false;
    const sr_option table[] = {
        SR_HEADING("Study"),
        SR_ARGUMENT("STUDY", &o.study, "the file of a study"),
        SR_HEADING("Finals"),
        SR_INT("top", "N", &top, "architectures of the front, the best in bits per byte first", 1,
               10000),
        SR_SIZE("tokens", "N", &o.tokens, "tokens to train each on, rounded up to whole steps", 1,
                SR_NO_LIMIT),
        SR_INT("seeds", "N", &seeds, "runs of each, with weights and data order of their own", 1,
               64),
        SR_TEXT("baselines", "LIST", &o.baselines,
                "presets to train beside them, with commas (default: "
                "transformer++,striped-mamba,lfm2)"),
        SR_HEADING("Workers"),
        SR_INT("workers", "W", &workers,
               "processes on this machine (default: as many as its cores allow)", 1, 1024),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "end with one line of JSON"),
        SR_FLAG("quiet", &quiet, "no progress"),
        SR_END,
    };
    int code;
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    o.top = (int)top;
    o.seeds = (int)seeds;
    o.workers = (int)workers;
    return finals(&o, json, quiet);
}

const sr_command sr_command_finals = {
    .name = "finals",
    .summary = "train the best of a study longer, beside baselines",
    .usage = "STUDY [--top N] [--tokens N] [options]",
    .about = "A search trains briefly and picks by the validation text, so its winners are partly "
             "lucky. Finals train the best of the front and the baselines anew, longer and from "
             "several seeds, and measure them on the test text, which the search has never seen; "
             "prefill and decode are measured while nothing else runs. Results stay in the study: "
             "the same command continues or repeats what is known.",
    .examples = "sartor finals books.db --top 8 --tokens 20M --seeds 3\n"
                "# against one baseline only, as JSON\n"
                "sartor finals books.db --top 3 --tokens 5M --baselines transformer++ --json\n",
    .run = run,
};
