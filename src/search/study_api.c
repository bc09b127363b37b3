/* The public questions about a study (sartor/search.h): each opens it for reading and answers. */
#include "search/question.h"

#include <stdlib.h>

sartor_status sr_question_begin(sartor_context *ctx, const char *path, sr_question *q) {
    *q = (sr_question){NULL, NULL};
    if (path == NULL) return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    q->search = calloc(1, sizeof *q->search);
    if (q->search == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    SR_TRY(sr_study_open(ctx, path, SR_STUDY_READ, &q->study));
    SR_TRY(sr_search_open(ctx, q->study, q->search));
    return sr_study_begin_reading(ctx, q->study);
}

void sr_question_end(sr_question *q) {
    if (q->study != NULL) sr_study_rollback(q->study);
    if (q->search != NULL) sr_search_close(q->search);
    free(q->search);
    sr_study_close(&q->study);
}

static sartor_status as_text(sartor_context *ctx, json_t *object, sartor_status status,
                             char **json) {
    *json = status == SARTOR_OK ? json_dumps(object, JSON_REAL_PRECISION(17)) : NULL;
    json_decref(object);
    if (status == SARTOR_OK && *json == NULL)
        return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    return status;
}

sartor_status sartor_study_front(sartor_context *ctx, const char *path, char **json) {
    sr_question q;
    json_t *object = NULL;
    sartor_status status = sr_question_begin(ctx, path, &q);
    if (status == SARTOR_OK) status = sr_answer_front(ctx, q.study, q.search, &object);
    sr_question_end(&q);
    return as_text(ctx, object, status, json);
}

sartor_status sartor_study_show(sartor_context *ctx, const char *path, char **json) {
    sr_question q;
    json_t *object = NULL;
    sartor_status status = sr_question_begin(ctx, path, &q);
    if (status == SARTOR_OK) status = sr_answer_show(ctx, q.study, q.search, &object);
    sr_question_end(&q);
    return as_text(ctx, object, status, json);
}

sartor_status sartor_study_trial(sartor_context *ctx, const char *path, int64_t trial,
                                 char **json) {
    sr_question q;
    json_t *object = NULL;
    sartor_status status = sr_question_begin(ctx, path, &q);
    if (status == SARTOR_OK) status = sr_answer_trial(ctx, q.study, q.search, trial, &object);
    sr_question_end(&q);
    return as_text(ctx, object, status, json);
}
