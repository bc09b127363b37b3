/* sartor train: trains a language model on text. */
#include "cli/arch_file.h"
#include "cli/live.h"
#include "cli/options.h"
#include "cli/output.h"

#include <sartor/train.h>
#include <string.h>

static void print_result(const sartor_train_options *o, const sartor_measure *m) {
    size_t n = strlen(o->out);
    sr_print_measure("validation", m);
    printf("%-12s %s%smodel.safetensors\n", "model", o->out,
           n > 0 && o->out[n - 1] == '/' ? "" : "/");
}

static int train(const sartor_train_options *options, bool json, bool quiet) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_train_options o = *options;
    sr_live progress;
    sr_live_start(&progress, SR_LIVE_TRAIN, quiet);
    sartor_set_log(ctx, sr_live_log, &progress);
    o.progress = sr_live_show;
    o.progress_user = &progress;
    sartor_measure result;
    sartor_status status = sartor_train(ctx, &o, &result);
    sr_live_end(&progress);
    int code = SR_EXIT_OK;
    if (status != SARTOR_OK) {
        code = sr_report_failure(ctx, status);
    } else if (json) {
        code = sr_print_measure_json(&result);
    } else {
        print_result(&o, &result);
        code = sr_finish_output();
    }
    sr_context_close(&ctx);
    return code;
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_train_options o;
    sartor_train_defaults(&o);
    sartor_sizes *s = &o.sizes;
    sr_paths data = {NULL, 0};
    int64_t livs = s->livs, threads = 0;
    int precision = o.precision;
    bool json = false, quiet = false;
    sr_sizes_of_arch_file(argc, argv, "--arch", s);
    const sr_option table[] = {
        SR_HEADING("Model"),
        SR_TEXT("arch", "ARCH", &o.arch,
                "preset, genome, class names or a file that holds one; see sartor --help"),
        SR_TEXT("from", "MODEL", &o.from,
                "instead: a model file or run folder whose model, grown or not, trains further; it "
                "brings its sizes and vocabulary"),
        SR_INT("livs", "N", &livs,
               "repeat or cut ARCH to N LIVs (default: its own length; presets 12)", 1, INT32_MAX),
        SR_SIZE_ROWS(s),
        SR_TEXT("tokenizer", "F", &o.tokenizer,
                "SentencePiece .model file, for example from sartor tokenizer (default: bytes)"),
        SR_HEADING("Text"),
        SR_TEXT_ROWS(&data, &o.text, true),
        SR_HEADING("Training"),
        SR_TEXT("out", "DIR", &o.out,
                "folder for the checkpoint, the model and metrics.jsonl; made if missing",
                .required = true),
        SR_SIZE("steps", "N", &o.steps, "optimiser steps to train (default 1000)", 1, SR_NO_LIMIT),
        SR_SIZE("tokens", "N", &o.tokens,
                "tokens to train on instead of --steps, rounded up to whole steps", 1, SR_NO_LIMIT),
        SR_INT("batch", "B", &o.batch, "windows in one batch", 1, 1 << 20),
        SR_INT("accumulate", "K", &o.accumulate,
               "batches whose gradients make one step: less memory for the same step", 1, 1 << 16),
        SR_REAL("lr", "X", &o.learning_rate, "peak learning rate", 0, 1e6),
        SR_REAL("min-lr", "X", &o.min_learning_rate,
                "learning rate at the end of the cosine (default: a tenth of --lr)", 0, 1e6),
        SR_SIZE("warmup", "N", &o.warmup,
                "steps of linear warm-up (default: a twentieth of all, at most 500)", 0,
                SR_NO_LIMIT),
        SR_REAL("weight-decay", "X", &o.weight_decay, "AdamW's weight decay", 0, 1e6),
        SR_REAL("clip", "X", &o.clip, "largest norm of the gradient; 0: no clipping", 0, 1e12),
        SR_SEED("seed", "S", &o.seed, "seed of initial weights and data order"),
        SR_CHOICE("precision", "f32|bf16", &precision,
                  "bf16 multiplies matrices in bfloat16: less memory, and faster where the "
                  "processor has it"),
        SR_INT("threads", "K", &threads, "threads to use (default: all cores)", 1, 1024),
        SR_SIZE("checkpoint-every", "N", &o.checkpoint_every,
                "steps between checkpoints (default: about every 30 seconds)", 1, SR_NO_LIMIT),
        SR_SIZE("extend", "N", &o.extend, "add N steps to a finished run", 1, SR_NO_LIMIT),
        SR_HEADING("Growth"),
        SR_TEXT("grow", "SCHEDULE", &o.grow,
                "enlarge the model on the way without changing what it computes: \"2000: "
                "width=256; 6000: ff=1024 livs=SA-3,GMemless@end\"; names as in sartor grow"),
        SR_NEW_PART_ROWS(o),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "end with one line of JSON"),
        SR_FLAG("quiet", &quiet, "no progress"),
        SR_END,
    };
    int code;
    if (sr_options_parse(self, table, argc, argv, &code)) {
        o.sizes.livs = (int)livs;
        o.precision = (sartor_precision)precision;
        if (threads > 0) o.threads = (int)threads;
        o.text.paths = data.paths;
        o.text.n_paths = data.count;
        if (o.steps > 0 && o.tokens > 0)
            code = sr_usage_error(self, "--steps and --tokens exclude each other");
        else if ((o.arch == NULL) == (o.from == NULL))
            code = sr_usage_error(self, "--arch or --from is needed, and not both");
        else if (o.grow == NULL && (o.new_rate >= 0 || o.new_warmup >= 0 || o.freeze_old))
            code = sr_usage_error(self, "--new-rate, --new-warmup and --freeze-old need --grow");
        else
            code = train(&o, json, quiet);
    }
    sr_paths_free(&data);
    return code;
}

const sr_command sr_command_train = {
    .name = "train",
    .summary = "train a language model on text",
    .usage = "--arch ARCH|--from MODEL --data PATH... --out DIR [options]",
    .about =
        "Trains a model of architecture ARCH on text with AdamW, warm-up and a cosine schedule, "
        "and measures it on held-out text. A run lives in DIR: checkpoint.safetensors while it "
        "runs, model.safetensors when it is done, metrics.jsonl beside them. The same command "
        "continues a run that was stopped, by whatever, and changes nothing when it is done; a "
        "setting that would change the result is refused. Ctrl-C, SIGTERM and SIGHUP write a "
        "checkpoint and end with exit code 128 + signal number (130, 143, 129).",
    .examples =
        "# a small hybrid on a folder of text, with the defaults for a laptop\n"
        "sartor train --arch lfm2 --data books/ --out run\n"
        "# 50 million tokens with a vocabulary of pieces, in bfloat16\n"
        "sartor tokenizer --data books/ --vocab 4096 --out pieces.model\n"
        "sartor train --arch striped-mamba --livs 12 --width 256 --tokenizer pieces.model \\\n"
        "    --data books/ --tokens 50M --precision bf16 --out run\n"
        "# train a model further, on other text\n"
        "sartor train --from run --data letters/ --lr 5e-4 --out tuned\n"
        "# begin small, grow wider and then deeper\n"
        "sartor train --arch lfm2 --width 96 --data books/ --steps 3000 --out grown \\\n"
        "    --grow \"1000: width=160 ff=448; 2000: livs=SA-3,GMemless@end\"\n"
        "# 500 steps more\n"
        "sartor train --arch lfm2 --data books/ --out run --extend 500\n",
    .run = run,
};
