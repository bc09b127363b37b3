/* The tokenizer loader on arbitrary bytes: it refuses with one line, or the tokenizer is lossless
 * on the input itself, its byte counts are exact, and its blob loads to the same vocabulary. */
#include "data/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static void check_lossless(sartor_context *ctx, const sr_tokenizer *t, const void *text, size_t n) {
    sr_ids ids = {NULL, 0, 0};
    require(sr_tokenizer_encode(ctx, t, text, n, &ids) == SARTOR_OK);
    size_t sum = 0, size = 0;
    for (size_t i = 0; i < ids.count; i++) {
        require(ids.ids[i] >= 0 && ids.ids[i] < sr_tokenizer_separator(t));
        sum += (size_t)sr_tokenizer_token_bytes(t)[ids.ids[i]];
    }
    char *back = NULL;
    require(sr_tokenizer_decode(ctx, t, ids.ids, ids.count, &back, &size) == SARTOR_OK);
    require(sum == n && size == n && memcmp(back, text, n) == 0);
    free(back);
    sr_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sartor_context *ctx = sartor_context_create();
    require(ctx != NULL);
    sr_tokenizer *t = NULL, *again = NULL;
    if (sr_tokenizer_from_blob(ctx, data, size, &t) != SARTOR_OK) {
        require(t == NULL && strlen(sartor_error(ctx)) > 8);
        require(strchr(sartor_error(ctx), '\n') == NULL);
    } else {
        check_lossless(ctx, t, data, size < 4096 ? size : 4096);
        check_lossless(ctx, t, "the  window\n\tgrows \xe2\x96\x81", 22);
        size_t n = 0;
        const void *blob = sr_tokenizer_blob(t, &n);
        require(sr_tokenizer_from_blob(ctx, blob, n, &again) == SARTOR_OK);
        sr_hash a = sr_tokenizer_identity(t), b = sr_tokenizer_identity(again);
        require(memcmp(&a, &b, sizeof a) == 0);
        sr_tokenizer_free(&again);
        sr_tokenizer_free(&t);
    }
    sartor_context_destroy(&ctx);
    return 0;
}
