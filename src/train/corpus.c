#include "train/corpus.h"

sartor_status sr_text_open(sartor_context *ctx, const sartor_text *text, bool whole,
                           sr_source **source) {
    *source = NULL;
    if (text->n_paths < 1 || text->paths == NULL)
        return sr_fail(ctx, SARTOR_INVALID, "no data: name at least one text file or folder");
    sr_source_options options = {.data = text->paths,
                                 .data_count = (size_t)text->n_paths,
                                 .val = &text->validation,
                                 .val_count = text->validation != NULL,
                                 .test = &text->test,
                                 .test_count = text->test != NULL,
                                 .separator = text->doc_separator,
                                 .whole = whole};
    return sr_source_open(ctx, &options, source);
}

sartor_status sr_text_tokens(sartor_context *ctx, const sartor_text *text, sr_source *source,
                             const sr_tokenizer *tokenizer, sr_split split, sr_tokens *tokens) {
    sr_cache_options options = {.folder = text->cache, .split = split};
    return sr_tokens_open(ctx, source, tokenizer, &options, tokens);
}

sartor_status sr_corpus_begin(sartor_context *ctx, const char *tokenizer, sr_corpus *corpus) {
    *corpus = (sr_corpus){0};
    return tokenizer != NULL ? sr_tokenizer_load(ctx, tokenizer, &corpus->tokenizer)
                             : sr_tokenizer_bytes(ctx, &corpus->tokenizer);
}

static sartor_status read_parts(sartor_context *ctx, sr_corpus *c, const sartor_text *text,
                                sr_source *source, sr_split parts) {
    SR_TRY(sr_source_require(ctx, source, parts));
    sr_tokens *const tokens[] = {&c->train, &c->validation, &c->test};
    const sr_split split[] = {SR_TRAIN, SR_VAL, SR_TEST};
    for (int i = 0; i < 3; i++)
        if (parts & split[i])
            SR_TRY(sr_text_tokens(ctx, text, source, c->tokenizer, split[i], tokens[i]));
    return SARTOR_OK;
}

sartor_status sr_corpus_read(sartor_context *ctx, sr_corpus *corpus, const sartor_text *text,
                             sr_split parts) {
    sr_source *source;
    SR_TRY(sr_text_open(ctx, text, false, &source));
    sartor_status status = read_parts(ctx, corpus, text, source, parts);
    sr_source_close(&source);
    return status;
}

void sr_corpus_close(sr_corpus *c) {
    sr_tokens_close(&c->train);
    sr_tokens_close(&c->validation);
    sr_tokens_close(&c->test);
    sr_tokenizer_free(&c->tokenizer);
}
