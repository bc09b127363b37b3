/* Answers about a study: JSON text from the library, printed as it is or as tables for people.
 *
 * A study file may come from anywhere: whatever is missing or of another type prints as "-", and
 * text prints without control characters. */
#ifndef SR_CLI_ANSWER_H
#define SR_CLI_ANSWER_H

#include "cli/output.h"
#include <sartor/context.h>
#include <stdbool.h>

/* Prints the line unchanged. Returns the exit code. */
int sr_print_answer(const char *json);
/* Prints an answer for people. Returns the exit code. */
typedef int sr_answer_print_fn(sartor_context *ctx, const char *study, const char *json);
/* The end of a command: prints the answer as JSON or for people, or the failure; releases the
 * answer, which may be NULL then, and the context. Returns the exit code. */
int sr_end_with_answer(sartor_context *ctx, sartor_status status, char *answer, bool json,
                       const char *study, sr_answer_print_fn *print);
/* The object, or NULL after a message. */
json_t *sr_answer_parse(const char *json);

/* A member of an object: NULL, -1 or NaN where it is none of that type. */
const char *sr_answer_text(const json_t *object, const char *name);
int64_t sr_answer_int(const json_t *object, const char *name);
double sr_answer_real(const json_t *object, const char *name);

/* The value of an objective: 2.1340, 81.0 k, 24.0 KiB, 35.2 µs. "-" when not finite. */
const char *sr_objective_text(const char *name, double value, char text[SR_NUMBER_TEXT]);

/* Adds to a line, with `between` where something is there; cut at `room`, control characters as
 * '?'. */
void sr_append(char *line, size_t room, const char *between, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The class names of a genome, the genome itself where they cannot be found out; release with
 * free(). NULL: not enough memory. `baseline`, or NULL, stands in front. */
char *sr_backbone_text(sartor_context *ctx, const char *genome, const char *baseline);

/* What is said of an empty front. */
#define SR_EMPTY_FRONT "no trial is finished yet, or none is within the limits"
/* A front as a table, from the JSON of sartor_study_front(). Returns the exit code. */
int sr_print_front(sartor_context *ctx, const char *study, const char *json);

#endif
