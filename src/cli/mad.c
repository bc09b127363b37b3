/* sartor mad: the MAD tasks, and what architectures score on them. */
#include "cli/answer.h"
#include "cli/numbers.h"
#include "cli/options.h"
#include "cli/study_live.h"
#include "cli/table.h"

#include <inttypes.h>
#include <math.h>
#include <sartor/probe.h>
#include <string.h>

/* Full name in answers, heading in tables. */
static const struct {
    const char *name, *heading;
} tasks[] = {{"in-context-recall", "recall"},      {"fuzzy-in-context-recall", "fuzzy"},
             {"noisy-in-context-recall", "noisy"}, {"selective-copying", "copy"},
             {"compression", "compression"},       {"memorization", "memorization"}};
enum { TASKS = sizeof tasks / sizeof *tasks };

static void score_cell(sr_table *table, double value) {
    char text[SR_NUMBER_TEXT];
    if (isfinite(value))
        snprintf(text, sizeof text, "%.3f", value);
    else
        snprintf(text, sizeof text, "-");
    sr_table_cell(table, text);
}

static void count_cell(sr_table *table, const json_t *object, const char *name) {
    char text[SR_NUMBER_TEXT];
    sr_table_cell(table, sr_grouped(sr_answer_int(object, name), text));
}

/* ---- what it will take ---- */

static int print_plan(sartor_context *ctx, const char *study, const char *json) {
    static const char *const names[] = {"examples", "length", "vocabulary",
                                        "epochs",   "steps",  "setting"};
    char a[SR_NUMBER_TEXT];
    (void)ctx;
    (void)study;
    json_t *answer = sr_answer_parse(json);
    if (answer == NULL) return SR_EXIT_FAILURE;
    const json_t *settings = json_object_get(answer, "settings");
    sr_table table = {.columns = sizeof names / sizeof *names};
    for (int i = 0; i < table.columns; i++) sr_table_cell(&table, names[i]);
    for (size_t i = 0; i < json_array_size(settings); i++) {
        const json_t *s = json_array_get(settings, i);
        const char *text = sr_answer_text(s, "setting");
        count_cell(&table, s, "examples");
        count_cell(&table, s, "length");
        count_cell(&table, s, "vocab");
        count_cell(&table, s, "epochs");
        count_cell(&table, s, "steps");
        sr_table_cell(&table, text != NULL ? text : "-");
    }
    int code = sr_table_print(&table);
    if (code == SR_EXIT_OK) {
        const char *file = sr_answer_text(answer, "study");
        printf("\n%" PRId64 " runs, at most %.3g FLOPs in all, %s of memory for the largest\n"
               "study %s\n",
               sr_answer_int(answer, "runs"), sr_answer_real(answer, "flops"),
               sr_short_bytes(sr_answer_int(answer, "memory_bytes"), a), file != NULL ? file : "-");
        code = sr_finish_output();
    }
    json_decref(answer);
    return code;
}

/* ---- scores ---- */

static bool has_task(const json_t *results, const char *name) {
    return json_object_get(json_object_get(json_array_get(results, 0), "tasks"), name) != NULL;
}

static int print_scores(const json_t *results) {
    sr_table table = {.columns = 2};
    bool there[TASKS];
    for (int t = 0; t < TASKS; t++) {
        there[t] = has_task(results, tasks[t].name);
        table.columns += there[t];
    }
    sr_table_cell(&table, "MAD");
    for (int t = 0; t < TASKS; t++)
        if (there[t]) sr_table_cell(&table, tasks[t].heading);
    sr_table_cell(&table, "architecture");
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i), *of = json_object_get(result, "tasks");
        const char *arch = sr_answer_text(result, "arch");
        score_cell(&table, sr_answer_real(result, "mad"));
        for (int t = 0; t < TASKS; t++)
            if (there[t])
                score_cell(&table, sr_answer_real(json_object_get(of, tasks[t].name), "score"));
        sr_table_cell(&table, arch != NULL ? arch : "-");
    }
    return sr_table_print(&table);
}

/* One setting: the runs behind the score are of interest. */
static int print_setting(const json_t *results) {
    static const char *const names[] = {"accuracy", "by class", "perplexity",  "rate",
                                        "decay",    "epoch",    "architecture"};
    sr_table table = {.columns = sizeof names / sizeof *names};
    for (int i = 0; i < table.columns; i++) sr_table_cell(&table, names[i]);
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i), *setting = NULL, *task;
        const char *arch = sr_answer_text(result, "arch"), *name;
        char text[SR_NUMBER_TEXT];
        json_object_foreach(json_object_get(result, "tasks"), name, task) setting =
            json_array_get(json_object_get(task, "settings"), 0);
        score_cell(&table, sr_answer_real(setting, "accuracy"));
        score_cell(&table, sr_answer_real(setting, "accuracy_macro"));
        score_cell(&table, sr_answer_real(setting, "perplexity"));
        const double rate = sr_answer_real(setting, "learning_rate"),
                     decay = sr_answer_real(setting, "weight_decay");
        snprintf(text, sizeof text, isfinite(rate) ? "%g" : "-", rate);
        sr_table_cell(&table, text);
        snprintf(text, sizeof text, isfinite(decay) ? "%g" : "-", decay);
        sr_table_cell(&table, text);
        snprintf(text, sizeof text, sr_answer_int(setting, "epoch") > 0 ? "%" PRId64 : "-",
                 sr_answer_int(setting, "epoch"));
        sr_table_cell(&table, text);
        sr_table_cell(&table, arch != NULL ? arch : "-");
    }
    return sr_table_print(&table);
}

static size_t settings_of(const json_t *results) {
    size_t n = 0;
    const char *name;
    const json_t *task;
    json_object_foreach(json_object_get(json_array_get(results, 0), "tasks"), name, task) n +=
        json_array_size(json_object_get(task, "settings"));
    return n;
}

static int print_answer(sartor_context *ctx, const char *study, const char *json) {
    (void)ctx;
    (void)study;
    json_t *answer = sr_answer_parse(json);
    if (answer == NULL) return SR_EXIT_FAILURE;
    const json_t *results = json_object_get(answer, "results");
    int code = settings_of(results) == 1 ? print_setting(results) : print_scores(results);
    json_decref(answer);
    return code == SR_EXIT_OK ? sr_finish_output() : code;
}

/* ---- running ---- */

static int dry_run(const sartor_mad_options *o, bool json) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    char *answer = NULL;
    sartor_status status = sartor_mad_plan(ctx, o, &answer);
    return sr_end_with_answer(ctx, status, answer, json, o->study, print_plan);
}

static int write_data(const sartor_mad_options *o, const char *folder) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_status status = sartor_mad_write(ctx, o, folder);
    int code = status == SARTOR_OK ? SR_EXIT_OK : sr_report_failure(ctx, status);
    sr_context_close(&ctx);
    return code;
}

static int mad(sartor_mad_options *o, bool json, bool quiet) {
    sr_study_live live;
    sartor_context *ctx =
        sr_study_live_open(&live, quiet, &o->program, &o->progress, &o->progress_user);
    if (ctx == NULL) return SR_EXIT_FAILURE;
    char *answer = NULL;
    sartor_status status = sartor_mad(ctx, o, &answer);
    sr_study_live_end(&live);
    return sr_end_with_answer(ctx, status, answer, json, o->study, print_answer);
}

/* What the table of options cannot store itself. */
typedef struct raw {
    sr_paths archs;
    const char *rates, *decays, *write;
    int64_t livs, threads, workers;
    int protocol, precision;
    bool json, quiet, dry;
} raw;

static int checked(const sr_command *self, sartor_mad_options *o, const raw *r) {
    sr_numbers_list rates = {.n = 0}, decays = {.n = 0};
    if (r->rates != NULL && !sr_numbers_parse(r->rates, false, &rates))
        return sr_numbers_wrong(self, "lr", r->rates);
    if (r->decays != NULL && !sr_numbers_parse(r->decays, true, &decays))
        return sr_numbers_wrong(self, "weight-decay", r->decays);
    o->archs = r->archs.paths;
    o->n_archs = r->archs.count;
    o->protocol = (sartor_mad_protocol)r->protocol;
    o->precision = (sartor_precision)r->precision;
    o->rates = rates.value;
    o->n_rates = rates.n;
    o->decays = decays.value;
    o->n_decays = decays.n;
    o->sizes.livs = (int)r->livs;
    o->threads = (int)r->threads;
    o->workers = (int)r->workers;
    if (r->write != NULL) return write_data(o, r->write);
    if (o->n_archs == 0) return sr_usage_error(self, "ARCH is missing");
    return r->dry ? dry_run(o, r->json) : mad(o, r->json, r->quiet);
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_mad_options o;
    sartor_mad_defaults(&o);
    raw r = {.livs = o.sizes.livs, .threads = o.threads, .precision = (int)o.precision};
    const sr_option table[] = {
        SR_HEADING("Architectures"),
        SR_ROW(SR_OPTION_ARGUMENTS, NULL, "ARCH", sr_paths, &r.archs,
               "what to probe; may be missing with --write-data"),
        SR_INT("livs", "N", &r.livs,
               "LIVs: the architecture is cut or repeated; 4 are the benchmark's", 1, 1024),
        SR_INT("width", "D", &o.sizes.width, "channels of the residual stream", 1, SR_NO_LIMIT),
        SR_INT("head-dim", "H", &o.sizes.head_dim,
               "channels of an attention head; divides the width", 1, SR_NO_LIMIT),
        SR_INT("window", "W", &o.sizes.window, "positions that sliding-window classes see", 1,
               SR_NO_LIMIT),
        SR_HEADING("Tasks"),
        SR_TEXT("suite", "S", &o.suite,
                "quick; full: the benchmark's 66 settings; or one setting: "
                "recall:vocab=32,train=1600 (vocab, length, train, test, seed; recalls: "
                "multi-query, noise, noise-vocab; fuzzy: key-size, value-size; copy: copy)"),
        SR_TEXT("tasks", "LIST", &o.tasks,
                "of the suite, with commas: recall, fuzzy, noisy, copy, compression, memorization "
                "(default: all)"),
        SR_TEXT("data", "DIR", &o.data,
                "train and test on the NumPy files there (train_inputs.npy, train_targets.npy, "
                "test_...) instead; --suite is one setting"),
        SR_TEXT("write-data", "DIR", &r.write, "write the examples as such files, and stop"),
        SR_HEADING("Protocol"),
        SR_CHOICE("protocol", "faithful|paper", &r.protocol,
                  "as the benchmark's code does it, or as its paper says"),
        SR_TEXT("lr", "LIST", &r.rates, "learning rates, with commas (default: the suite's)"),
        SR_TEXT("weight-decay", "LIST", &r.decays,
                "weight decays, with commas (default: the suite's)"),
        SR_INT("epochs", "N", &o.epochs, "at most (default: the suite's)", 1, 1 << 20),
        SR_CHOICE("precision", "f32|bf16", &r.precision, "arithmetic of the matrix products"),
        SR_SEED("seed", "S", &o.seed, "seed of initial weights and of the order of examples"),
        SR_INT("threads", "K", &r.threads, "threads of one run", 1, 256),
        SR_HEADING("Study"),
        SR_TEXT("study", "F", &o.study,
                "file of the study, made if missing (default: one in the cache folder)"),
        SR_INT("workers", "W", &r.workers,
               "processes on this machine (default: its cores divided by --threads)", 1, 1024),
        SR_REAL("lease", "SECONDS", &o.lease,
                "a worker that is silent for so long loses its run to another", 1, 86400),
        SR_FLAG("dry-run", &r.dry, "list the settings and what they take, and start nothing"),
        SR_HEADING("Output"),
        SR_FLAG("json", &r.json, "end with one line of JSON"),
        SR_FLAG("quiet", &r.quiet, "no progress"),
        SR_END,
    };
    int code;
    if (sr_options_parse(self, table, argc, argv, &code)) code = checked(self, &o, &r);
    sr_paths_free(&r.archs);
    return code;
}

const sr_command sr_command_mad = {
    .name = "mad",
    .summary = "what architectures score on the MAD tasks",
    .usage = "ARCH... [--suite S] [--tasks LIST] [options]",
    .about =
        "Six synthetic tasks, each for one capability: recall from the context, also fuzzy and "
        "through noise, selective copying, compression and memorization. A small model is trained "
        "on every setting of the suite for every learning rate and weight decay; a setting's score "
        "is the best run's accuracy, a task's the mean over its settings, the MAD score the mean "
        "over the tasks. The runs are jobs of a study: the same command continues, and asks for "
        "nothing twice.",
    .examples = "# a ranking in minutes, of models of the benchmark\n"
                "sartor mad \"MHA GMemless\" Mamba \"GLA GMemless\" \"Hyena GMemless\"\n"
                "# the benchmark's models have 4 LIVs; this one is longer\n"
                "sartor mad striped-mamba --livs 12\n"
                "# what would the benchmark take?\n"
                "sartor mad transformer++ --suite full --dry-run\n"
                "# one task, one setting, as JSON\n"
                "sartor mad \"SA-1 GMemless\" --suite memorization:vocab=512 --json\n"
                "# the examples, for other programs\n"
                "sartor mad --suite recall:length=256 --write-data recall/\n",
    .run = run,
};
