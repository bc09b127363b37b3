#include "cli/arch_file.h"

#include "base/file.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 };

static json_t *read_object(const char *path) {
    char *text;
    size_t n;
    sartor_context *ctx = sartor_context_create();
    json_t *root = NULL;
    if (ctx != NULL && sr_file_read(ctx, path, MOST_BYTES, &text, &n) == SARTOR_OK) {
        root = json_loadb(text, n, 0, NULL);
        free(text);
    }
    sartor_context_destroy(&ctx);
    return root;
}

/* True where the file has sizes. */
static bool take_sizes(const char *path, sartor_sizes *s) {
    const struct {
        const char *name;
        int64_t *store;
    } numbers[] = {{"width", &s->width},
                   {"head_dim", &s->head_dim},
                   {"window", &s->window},
                   {"context", &s->context},
                   {"vocab", &s->vocab}};
    json_t *root = read_object(path);
    const json_t *sizes = json_object_get(root, "sizes");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const json_t *value = json_object_get(sizes, numbers[i].name);
        if (json_integer_value(value) > 0) *numbers[i].store = json_integer_value(value);
    }
    const json_t *tied = json_object_get(sizes, "tie_embeddings");
    if (json_is_boolean(tied)) s->tie_embeddings = json_is_true(tied);
    bool found = json_is_object(sizes);
    json_decref(root);
    return found;
}

void sr_sizes_of_arch_file(int argc, char **argv, const char *option, sartor_sizes *sizes) {
    for (int i = 0; i < argc; i++) {
        const size_t n = option != NULL ? strlen(option) : 0;
        if (option == NULL) {
            if (argv[i][0] != '-' && take_sizes(argv[i], sizes)) return;
        } else if (strcmp(argv[i], option) == 0 && i + 1 < argc) {
            (void)take_sizes(argv[i + 1], sizes);
        } else if (strncmp(argv[i], option, n) == 0 && argv[i][n] == '=') {
            (void)take_sizes(argv[i] + n + 1, sizes);
        }
    }
}
