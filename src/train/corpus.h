/* From the public description of a text to documents and tokens. */
#ifndef SR_TRAIN_CORPUS_H
#define SR_TRAIN_CORPUS_H

#include "data/cache.h"
#include <sartor/train.h>

/* `whole`: the parts will not be told apart. Close with sr_source_close(). */
sartor_status sr_text_open(sartor_context *ctx, const sartor_text *text, bool whole,
                           sr_source **source);
/* The tokens of some parts; close with sr_tokens_close(). */
sartor_status sr_text_tokens(sartor_context *ctx, const sartor_text *text, sr_source *source,
                             const sr_tokenizer *tokenizer, sr_split split, sr_tokens *tokens);

/* A text ready for training: the tokenizer and the parts as token streams. Opened once, it serves
 * any number of runs, one after another. */
typedef struct sr_corpus {
    sr_tokenizer *tokenizer;
    sr_tokens train, validation, test; /* those that were asked for */
} sr_corpus;

/* The tokenizer alone (NULL: bytes), so that a model can be checked before any text is read. */
sartor_status sr_corpus_begin(sartor_context *ctx, const char *tokenizer, sr_corpus *corpus);
/* The parts in `parts`; every one must have text. */
sartor_status sr_corpus_read(sartor_context *ctx, sr_corpus *corpus, const sartor_text *text,
                             sr_split parts);
/* Also after a failure, and of {0}. */
void sr_corpus_close(sr_corpus *corpus);

#endif
