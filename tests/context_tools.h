/* A context of its own for each test: set-up and tear-down of cmocka. */
#ifndef CONTEXT_TOOLS_H
#define CONTEXT_TOOLS_H

#include <sartor/context.h>

extern sartor_context *ctx;

int make_context(void **state);
int free_context(void **state);

#endif
