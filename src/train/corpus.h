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

#endif
