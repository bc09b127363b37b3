/* The context from the inside: how library code fails, logs and notices an interruption. */
#ifndef SR_BASE_CONTEXT_H
#define SR_BASE_CONTEXT_H

#include <sartor/context.h>
#include <stdbool.h>

/* Records a printf-style message and returns `status`, so that a function can fail in one line:
 *     return sr_fail(ctx, SARTOR_INVALID, "width %d is not a multiple of head dim %d", d, h);
 * Messages start with a lower-case subject and carry no newline (one is folded to a space). */
sartor_status sr_fail(sartor_context *ctx, sartor_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the recorded message and returns `status`: for callers that know
 * where (a file, a LIV) what (the message) went wrong. */
sartor_status sr_fail_in(sartor_context *ctx, sartor_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* sr_fail() for an allocation that failed and is too small to be worth a name. */
sartor_status sr_no_memory(sartor_context *ctx);

void sr_log(sartor_context *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool sr_interrupted(const sartor_context *ctx);

/* Returns from the calling function when `call` fails. Only where nothing needs releasing. */
#define SR_TRY(call)                                                                               \
    do {                                                                                           \
        sartor_status sr_try_ = (call);                                                            \
        if (sr_try_ != SARTOR_OK) return sr_try_;                                                  \
    } while (0)

#endif
