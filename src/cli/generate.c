/* sartor generate: continues a text. */
#define _POSIX_C_SOURCE 200809L
#include "cli/options.h"
#include "cli/output.h"

#include <inttypes.h>
#include <sartor/model.h>
#include <string.h>
#include <unistd.h>

/* The prompt comes out with the first token: nothing is written when the options are wrong. */
typedef struct sr_writer {
    sr_text_stream out;
    const char *prompt; /* NULL: written */
} sr_writer;

static void write_prompt(sr_writer *w) {
    if (w->prompt != NULL) sr_text_write(&w->out, w->prompt, strlen(w->prompt));
    w->prompt = NULL;
}

/* A sartor_token_fn. */
static bool write_token(void *user, const char *bytes, size_t size) {
    sr_writer *w = user;
    write_prompt(w);
    sr_text_write(&w->out, bytes, size);
    return fflush(w->out.stream) == 0;
}

static int print_result(const sartor_generation *g, sr_writer *w, bool json, bool quiet) {
    if (json)
        return sr_print_json(json_pack("{s:i, s:o, s:I, s:o}", "version", 1, "text",
                                       sr_json_text(g->text, g->text_bytes), "tokens",
                                       (json_int_t)g->tokens, "tokens_per_second",
                                       sr_json_real(g->tokens_per_second)));
    char rate[SR_NUMBER_TEXT];
    write_prompt(w);
    sr_text_end(&w->out);
    if (w->out.terminal) putchar('\n');
    int code = sr_finish_output();
    if (code == SR_EXIT_OK && !quiet)
        fprintf(stderr, "%" PRId64 " tokens, %s tokens/s\n", g->tokens,
                sr_short_count(g->tokens_per_second, rate));
    return code;
}

static int generate(const char *path, const sartor_generate_options *options, bool json,
                    bool quiet) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_generate_options o = *options;
    sr_writer writer = {{.stream = stdout, .terminal = isatty(STDOUT_FILENO)}, o.prompt};
    sartor_model *model = NULL;
    sartor_generation result = {.text = NULL};
    sartor_status status = sartor_model_load(ctx, path, &model);
    if (status == SARTOR_OK) {
        if (!json) {
            o.on_token = write_token;
            o.on_token_user = &writer;
        }
        status = sartor_generate(ctx, model, &o, &result);
    }
    int code;
    if (status == SARTOR_OK) {
        code = print_result(&result, &writer, json, quiet);
    } else {
        sr_text_end(&writer.out);
        if (writer.out.terminal && writer.prompt == NULL) putchar('\n');
        fflush(stdout);
        code = sr_report_failure(ctx, status);
    }
    sartor_generation_release(&result);
    sartor_model_destroy(&model);
    sr_context_close(&ctx);
    return code;
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_generate_options o;
    sartor_generate_defaults(&o);
    const char *model = NULL;
    int cache = o.cache, precision = o.precision;
    int64_t threads = 0;
    bool json = false, quiet = false;
    const sr_option table[] = {
        SR_HEADING("Model and prompt"),
        SR_ARGUMENT("MODEL", &model, "a folder that sartor train made, or a model file"),
        SR_TEXT("prompt", "TEXT", &o.prompt, "the text to continue; '' starts a document",
                .required = true, .empty = true),
        SR_SIZE("tokens", "N", &o.tokens,
                "most tokens to generate; the end of a document ends the text earlier", 1,
                SR_NO_LIMIT),
        SR_HEADING("Sampling"),
        SR_REAL("temperature", "X", &o.temperature,
                "0: always the most likely token; 1: as the model says", 0, 1e6),
        SR_INT("top-k", "N", &o.top_k, "draw from the N most likely tokens; 0: all", 0,
               SR_NO_LIMIT),
        SR_REAL("top-p", "X", &o.top_p,
                "draw from the most likely tokens that together have probability X; 1: all", 0, 1),
        SR_SEED("seed", "S", &o.seed, "the same seed gives the same text"),
        SR_HEADING("Running"),
        SR_CHOICE("cache", "f16|f32", &cache, "type of keys, values and convolution windows"),
        SR_CHOICE("precision", "f32|bf16", &precision, "arithmetic of the matrix products"),
        SR_INT("threads", "K", &threads, "threads to use (default: all cores)", 1, 1024),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "one line of JSON when done: the continuation without the prompt"),
        SR_FLAG("quiet", &quiet, "no speed on standard error"),
        SR_END,
    };
    int code;
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    o.cache = (sartor_cache_type)cache;
    o.precision = (sartor_precision)precision;
    if (threads > 0) o.threads = (int)threads;
    return generate(model, &o, json, quiet);
}

const sr_command sr_command_generate = {
    .name = "generate",
    .summary = "continue a text with a trained model",
    .usage = "MODEL --prompt TEXT [options]",
    .about =
        "Writes the prompt and its continuation to standard output as it comes. The model runs "
        "from its decode state: one step per token, with memory as sartor inspect says. On a "
        "terminal control characters of the generated text are shown as \\xNN; into a pipe or a "
        "file its bytes go as they are. A prompt that starts with - is written --prompt=TEXT.",
    .examples = "# a sample\n"
                "sartor generate run --prompt \"Once upon a time\" --tokens 200\n"
                "# the most likely text, the same every time\n"
                "sartor generate run --prompt \"The \" --temperature 0\n"
                "# for another program\n"
                "sartor generate run --prompt \"The \" --top-p 0.9 --seed 7 --json\n",
    .run = run,
};
