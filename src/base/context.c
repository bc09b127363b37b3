#include "base/context.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };

struct sartor_context {
    char message[MESSAGE_BYTES];
    sartor_log_fn log;
    void *log_user;
    atomic_bool interrupted;
};

sartor_context *sartor_context_create(void) { return calloc(1, sizeof(sartor_context)); }

void sartor_context_destroy(sartor_context **context) {
    if (context == NULL) return;
    free(*context);
    *context = NULL;
}

const char *sartor_error(const sartor_context *context) { return context->message; }

void sartor_set_log(sartor_context *context, sartor_log_fn log, void *user) {
    context->log = log;
    context->log_user = user;
}

void sartor_interrupt(sartor_context *context) { atomic_store(&context->interrupted, true); }

bool sr_interrupted(const sartor_context *ctx) { return atomic_load(&ctx->interrupted); }

const char *sartor_status_name(sartor_status status) {
    switch (status) {
    case SARTOR_OK:
        return "ok";
    case SARTOR_INVALID:
        return "invalid";
    case SARTOR_IO:
        return "io";
    case SARTOR_FORMAT:
        return "format";
    case SARTOR_MEMORY:
        return "memory";
    case SARTOR_MISMATCH:
        return "mismatch";
    case SARTOR_NOT_FINITE:
        return "not finite";
    case SARTOR_INTERRUPTED:
        return "interrupted";
    case SARTOR_LIBRARY:
        return "library";
    }
    return "unknown";
}

/* Control characters in a message come from outside (file names, file content): one line stays one
 * line, and a terminal is not sent escape sequences. */
static void make_one_line(char *s) {
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = ' ';
}

sartor_status sr_fail(sartor_context *ctx, sartor_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(ctx->message, sizeof ctx->message, format, args);
    va_end(args);
    make_one_line(ctx->message);
    return status;
}

sartor_status sr_no_memory(sartor_context *ctx) {
    return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
}

sartor_status sr_fail_in(sartor_context *ctx, sartor_status status, const char *format, ...) {
    char old[MESSAGE_BYTES];
    memcpy(old, ctx->message, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(ctx->message, sizeof ctx->message, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof ctx->message)
        snprintf(ctx->message + n, sizeof ctx->message - (size_t)n, ": %s", old);
    make_one_line(ctx->message);
    return status;
}

void sr_log(sartor_context *ctx, const char *format, ...) {
    if (ctx->log == NULL) return;
    char line[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    make_one_line(line);
    ctx->log(ctx->log_user, line);
}
