/* The text that the jobs of a study train on.
 *
 * What the text is decides results and is among the settings; where it lies may change and is a
 * fact. Each worker opens the parts that its jobs need, once. */
#ifndef SR_STUDY_TEXT_H
#define SR_STUDY_TEXT_H

#include "study/study.h"
#include "train/corpus.h"

/* Making a study: identities of tokenizer and parts as the settings "tokenizer", "data",
 * "validation", "test" (`source` NULL: of the tokenizer alone); paths as a fact, inside a
 * transaction (`tokenizer` NULL: bytes). */
sartor_status sr_study_text_settings(sartor_context *ctx, const sr_tokenizer *tokenizer,
                                     const sr_source *source, json_t *settings);
sartor_status sr_study_text_put(sartor_context *ctx, sr_study *study, const sartor_text *text,
                                const char *tokenizer);

/* Makes the token caches of training and validation text once, before workers would all make them.
 * *tokens (may be NULL): of training text. */
sartor_status sr_study_text_tokens(sartor_context *ctx, const sartor_text *text, sr_source *source,
                                   const sr_tokenizer *tokenizer, uint64_t *tokens);

typedef struct sr_study_text {
    sr_corpus corpus;
    int parts; /* sr_split: what is open */
} sr_study_text;

/* Opens the parts, where not open, and checks that they are the study's. SARTOR_IO when the text is
 * gone or has changed: nobody's job is at fault. */
sartor_status sr_study_text_open(sartor_context *ctx, sr_study *study, sr_study_text *text,
                                 sr_split parts);
void sr_study_text_close(sr_study_text *text); /* also of {0} */

#endif
