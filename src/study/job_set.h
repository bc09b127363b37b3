/* Some of a study's jobs: what one caller waits for where others have work of their own.
 *
 * As text it is spans of ids in rising order, "12-40,52", which `sartor work --jobs` takes; for SQL
 * it is JSON, pairs of first and last. */
#ifndef SR_STUDY_JOB_SET_H
#define SR_STUDY_JOB_SET_H

#include "base/context.h"
#include <stdint.h>

typedef struct sr_job_set {
    const char *spans; /* "[[12, 40], [52, 52]]"; NULL: all jobs */
} sr_job_set;
static const sr_job_set sr_all_jobs = {0};

/* In a WHERE clause, of `job`, before all other parameters; takes one, "s": `spans`. */
#define SR_IN_JOB_SET                                                                              \
    "(?1 IS NULL OR EXISTS (SELECT 1 FROM json_each(?1) AS span WHERE job.id BETWEEN"              \
    " json_extract(span.value, '$[0]') AND json_extract(span.value, '$[1]')))"

/* Text of `n` ids, at least one, which it sorts; NULL when memory is exhausted. When there are so
 * many gaps that the text would be no argument of a command, the last span closes the rest. */
char *sr_job_set_print(int64_t *ids, int n);
/* That and `spans`, both to be freed. */
sartor_status sr_job_set_make(sartor_context *ctx, int64_t *ids, int n, char **text, char **spans);

/* *spans, to be freed, from text; NULL from NULL. SARTOR_INVALID: is no list of spans. */
sartor_status sr_job_set_parse(sartor_context *ctx, const char *text, char **spans);

#endif
