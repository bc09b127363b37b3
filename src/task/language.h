/* Language modelling: predict the next token of running text. */
#ifndef SR_TASK_LANGUAGE_H
#define SR_TASK_LANGUAGE_H

#include "data/batch.h"
#include "task/task.h"

typedef struct sr_language {
    sr_batches batches;
    const int32_t *token_bytes; /* raw bytes of every token: sr_tokenizer_token_bytes() */
} sr_language;

/* `language` must outlive the task. */
sr_task sr_language_task(sr_language *language);

#endif
