/* sartor eval: measures a model on text. */
#include "cli/live.h"
#include "cli/options.h"
#include "cli/output.h"

#include <sartor/model.h>
#include <string.h>

static int evaluate(const char *path, const sartor_eval_options *options, bool json, bool quiet) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_eval_options o = *options;
    sr_live progress;
    sr_live_start(&progress, SR_LIVE_EVAL, quiet);
    sartor_set_log(ctx, sr_live_log, &progress);
    o.progress = sr_live_show;
    o.progress_user = &progress;
    sartor_model *model = NULL;
    sartor_measure result;
    sartor_status status = sartor_model_load(ctx, path, &model);
    if (status == SARTOR_OK) status = sartor_eval(ctx, model, &o, &result);
    sr_live_end(&progress);
    int code = SR_EXIT_OK;
    if (status != SARTOR_OK) {
        code = sr_report_failure(ctx, status);
    } else if (json) {
        code = sr_print_measure_json(&result);
    } else {
        static const char *const names[] = {"all", "training", "validation", "test"};
        sr_print_measure(names[o.split], &result);
        code = sr_finish_output();
    }
    sartor_model_destroy(&model);
    sr_context_close(&ctx);
    return code;
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_eval_options o;
    sartor_eval_defaults(&o);
    const char *model = NULL;
    sr_paths data = {NULL, 0};
    int split = 0, precision = o.precision;
    int64_t threads = 0;
    bool json = false, quiet = false;
    /* In the order of `split`'s choices: those of the contract first, then train. */
    static const sartor_split splits[] = {SARTOR_SPLIT_ALL, SARTOR_SPLIT_VALIDATION,
                                          SARTOR_SPLIT_TEST, SARTOR_SPLIT_TRAIN};
    const sr_option table[] = {
        SR_HEADING("Model"),
        SR_ARGUMENT("MODEL", &model, "a folder that sartor train made, or a model file"),
        SR_HEADING("Text"),
        SR_TEXT_ROWS(&data, &o.text, true),
        SR_CHOICE("split", "all|val|test|train", &split,
                  "the part of the text to measure on, as sartor train splits it with the same "
                  "--val, --test and --doc-separator"),
        SR_HEADING("Measuring"),
        SR_INT("context", "T", &o.context, "tokens of a window (default: the model's context)", 1,
               SR_NO_LIMIT),
        SR_INT("batch", "B", &o.batch, "windows at once (default 8)", 1, 1 << 20),
        SR_CHOICE("precision", "f32|bf16", &precision, "arithmetic of the matrix products"),
        SR_INT("threads", "K", &threads, "threads to use (default: all cores)", 1, 1024),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "end with one line of JSON"),
        SR_FLAG("quiet", &quiet, "no progress"),
        SR_END,
    };
    int code;
    if (sr_options_parse(self, table, argc, argv, &code)) {
        o.split = splits[split];
        o.precision = (sartor_precision)precision;
        if (threads > 0) o.threads = (int)threads;
        o.text.paths = data.paths;
        o.text.n_paths = data.count;
        code = evaluate(model, &o, json, quiet);
    }
    sr_paths_free(&data);
    return code;
}

const sr_command sr_command_eval = {
    .name = "eval",
    .summary = "measure a model on text: bits per byte, perplexity",
    .usage = "MODEL --data PATH... [options]",
    .about =
        "Scores every byte of the text once, in windows of the context length that overlap by "
        "half, and gives bits per byte (which compares models of any vocabulary), loss in nats "
        "per token and perplexity. Separators between documents are predicted and count in the "
        "loss, but stand for no bytes.",
    .examples = "# a text that the model has never seen\n"
                "sartor eval run --data other-book.txt\n"
                "# the held-out test part of the training text, as JSON\n"
                "sartor eval run --data books/ --split test --json\n",
    .run = run,
};
