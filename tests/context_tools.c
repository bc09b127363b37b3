#include "context_tools.h"

#include <stddef.h>

sartor_context *ctx;

int make_context(void **state) {
    (void)state;
    ctx = sartor_context_create();
    return ctx == NULL;
}

int free_context(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return 0;
}
