/* A study opened to answer a question: one consistent view of its rows, nothing written. */
#ifndef SR_SEARCH_QUESTION_H
#define SR_SEARCH_QUESTION_H

#include "search/answers.h"

typedef struct sr_question {
    sr_study *study;
    sr_search *search;
} sr_question;

/* Call sr_question_end() also after a failure. */
sartor_status sr_question_begin(sartor_context *ctx, const char *path, sr_question *question);
void sr_question_end(sr_question *question);

#endif
