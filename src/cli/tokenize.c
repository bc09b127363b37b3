/* sartor tokenizer: trains a SentencePiece vocabulary on text. */
#include "cli/options.h"
#include "cli/output.h"

#include "data/tokenizer.h"
#include <inttypes.h>
#include <string.h>

enum { LEAST_VOCAB = 300, MOST_VOCAB = 1 << 20 };

typedef struct sr_request {
    sr_source_options text;
    sr_tokenizer_training training;
    const char *out;
} sr_request;

/* The file is made first: after minutes of training nobody wants to hear that it cannot be. */
static sartor_status make(sartor_context *ctx, const sr_request *request, uint64_t *text_bytes,
                          int32_t *vocab) {
    sr_file file;
    sr_source *source = NULL;
    sr_tokenizer *tokenizer = NULL;
    SR_TRY(sr_file_create(ctx, request->out, &file));
    sartor_status status = sr_source_open(ctx, &request->text, &source);
    if (status == SARTOR_OK) status = sr_source_require(ctx, source, SR_TRAIN);
    if (status == SARTOR_OK) {
        *text_bytes = sr_source_bytes(source, SR_TRAIN);
        status = sr_tokenizer_train(ctx, source, &request->training, &tokenizer);
    }
    if (status == SARTOR_OK) {
        size_t size;
        const void *blob = sr_tokenizer_blob(tokenizer, &size);
        fwrite(blob, 1, size, file.stream); /* errors are found by the commit */
        *vocab = sr_tokenizer_vocab(tokenizer);
        status = sr_file_commit(ctx, &file);
    }
    if (status != SARTOR_OK) sr_file_abandon(&file);
    sr_tokenizer_free(&tokenizer);
    sr_source_close(&source);
    return status;
}

static int run(const sr_command *self, int argc, char **argv) {
    sr_request request = {.training = {.split = SR_TRAIN}};
    sr_paths data = {NULL, 0};
    int64_t vocab = 4096, sample = 32 * 1000 * 1000;
    int model = 0;
    bool json = false;
    const sr_option table[] = {
        SR_HEADING("Text"),
        SR_PATHS("data", "PATH", &data,
                 "text files or folders; only the part that sartor train trains on is read",
                 .required = true),
        SR_TEXT("doc-separator", "TEXT", &request.text.separator,
                "text that ends a document inside a file", .empty = true),
        SR_SIZE("sample", "BYTES", &sample,
                "most bytes of text to learn from; lines are sampled evenly above it", 1,
                SR_NO_LIMIT),
        SR_HEADING("Vocabulary"),
        SR_TEXT("out", "F", &request.out, "the .model file to write", .required = true),
        SR_INT("vocab", "N", &vocab, "tokens, the 256 bytes and the separator included",
               LEAST_VOCAB, MOST_VOCAB),
        SR_CHOICE("model", "bpe|unigram", &model, "how pieces are chosen"),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "end with one line of JSON"),
        SR_END,
    };
    int code;
    if (!sr_options_parse(self, table, argc, argv, &code)) {
        sr_paths_free(&data);
        return code;
    }
    request.text.data = data.paths;
    request.text.data_count = (size_t)data.count;
    request.training.bpe = model == 0;
    request.training.vocab = (int32_t)vocab;
    request.training.max_bytes = (uint64_t)sample;
    sartor_context *ctx = sr_context_open();
    uint64_t bytes = 0;
    int32_t made = 0;
    char grouped[SR_NUMBER_TEXT];
    if (ctx == NULL) {
        code = SR_EXIT_FAILURE;
    } else {
        sartor_status status = make(ctx, &request, &bytes, &made);
        if (status != SARTOR_OK) {
            code = sr_report_failure(ctx, status);
        } else if (json) {
            code = sr_print_json(json_pack("{s:i, s:i, s:I}", "version", 1, "vocab", (int)made,
                                           "text_bytes", (json_int_t)bytes));
        } else {
            printf("%s: %" PRId32 " tokens from %s bytes of text\n", request.out, made,
                   sr_grouped((int64_t)bytes, grouped));
            code = sr_finish_output();
        }
        sr_context_close(&ctx);
    }
    sr_paths_free(&data);
    return code;
}

const sr_command sr_command_tokenizer = {
    .name = "tokenizer",
    .summary = "train a SentencePiece vocabulary on text",
    .usage = "--data PATH... --out F [options]",
    .about = "Trains a vocabulary of pieces for sartor train --tokenizer. It is lossless: no "
             "normalisation, and bytes stand in for what no piece covers, so that any bytes come "
             "back as they were. The file is an ordinary SentencePiece model.",
    .examples = "sartor tokenizer --data books/ --vocab 4096 --out pieces.model\n"
                "sartor train --arch lfm2 --data books/ --tokenizer pieces.model --out run\n",
    .run = run,
};
