/* What the two halves of sartor show share. */
#ifndef SR_CLI_SHOW_H
#define SR_CLI_SHOW_H

#include <sartor/context.h>
#include <stdbool.h>
#include <stdint.h>

enum { SR_SHOW_LABEL = 13 };

/* A label and text of the study, without control characters; nothing where there is no text. */
void sr_show_line(const char *label, const char *text);

/* One trial, with its architecture saved to `path` unless that is NULL. Returns the exit code. */
int sr_show_trial(sartor_context *ctx, const char *study, int64_t number, const char *path,
                  bool json);

#endif
