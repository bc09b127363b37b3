/* The .npy reader on arbitrary bytes: it refuses with a line, or the values fill the file to its
 * end and can all be read, as tokens or refused with a line. */
#include "data/npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) __builtin_trap();
}

static void read_values(sartor_context *ctx, const sr_npy *npy, int64_t vocab, int32_t ignore) {
    int64_t count = npy->rows * npy->columns;
    int32_t *out = malloc((size_t)(count > 0 ? count : 1) * sizeof *out);
    require(out != NULL);
    if (sr_npy_tokens(ctx, npy, vocab, ignore, out) == SARTOR_OK) {
        for (int64_t i = 0; i < count; i++)
            require((out[i] >= 0 && out[i] < vocab) || (ignore < 0 && out[i] == ignore));
    } else {
        require(strncmp(sartor_error(ctx), "input: row ", strlen("input: row ")) == 0);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sartor_context *ctx = sartor_context_create();
    require(ctx != NULL);
    sr_npy npy;
    if (sr_npy_open_memory(ctx, "input", data, size, &npy) != SARTOR_OK) {
        require(npy.name == NULL && strlen(sartor_error(ctx)) > strlen("input: "));
        sartor_context_destroy(&ctx);
        return 0;
    }
    require(npy.rows >= 0 && npy.columns >= 0 && npy.data > data);
    require((uint64_t)npy.rows * (uint64_t)npy.columns * (uint64_t)npy.bytes ==
            (uint64_t)(data + size - npy.data));
    read_values(ctx, &npy, 16, -100);
    read_values(ctx, &npy, INT32_MAX, 0);
    sr_npy_close(&npy);
    sartor_context_destroy(&ctx);
    return 0;
}
