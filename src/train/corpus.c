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
