/* The context: error text, log and interruption of one thread of control.
 *
 * Create one per thread that calls the library. Functions that share a context must not run at the
 * same time. The library never exits, aborts, prints or touches signals. */
#ifndef SARTOR_CONTEXT_H
#define SARTOR_CONTEXT_H

#include <sartor/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sartor_context sartor_context;

/* A new context, or NULL when memory is exhausted. Release it with sartor_context_destroy(). */
sartor_context *sartor_context_create(void);

/* Releases *context and sets it to NULL; NULL is allowed. */
void sartor_context_destroy(sartor_context **context);

/* The text of the last failure, one line without a newline; "" when nothing has failed. Valid until
 * the next call with this context. */
const char *sartor_error(const sartor_context *context);

/* Called with one line of text, without a newline, for everything worth telling a person. */
typedef void (*sartor_log_fn)(void *user, const char *line);
void sartor_set_log(sartor_context *context, sartor_log_fn log, void *user);

/* Asks long work under this context to save its state and return SARTOR_INTERRUPTED. The only
 * function that may be called from a signal handler or another thread. */
void sartor_interrupt(sartor_context *context);

#ifdef __cplusplus
}
#endif
#endif
