/* The safetensors reader on arbitrary bytes: it refuses with a message, or what it hands out is
 * consistent: every byte of every tensor can be read, and the tensors are the whole data. */
#include "tensor/safetensors.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sartor_context *ctx = sartor_context_create();
    require(ctx != NULL);
    sr_st_reader *reader = NULL;
    if (sr_st_open_memory(ctx, "input", data, size, &reader) != SARTOR_OK) {
        require(reader == NULL && strlen(sartor_error(ctx)) > strlen("input: "));
        sartor_context_destroy(&ctx);
        return 0;
    }
    const uint8_t *at = data + size;
    unsigned sum = 0;
    for (int i = sr_st_count(reader) - 1; i >= 0; i--) {
        const sr_st_tensor *t = sr_st_at(reader, i);
        const uint8_t *bytes = t->data;
        int64_t count = 0;
        require(bytes >= data + 8 && bytes + t->bytes == at);
        require(sr_st_elements(t->rank, t->dims, &count) && count == t->count);
        require((size_t)count * sr_st_type_bytes(t->type) == t->bytes);
        require(sr_st_find(reader, t->name) == t);
        for (size_t k = 0; k < t->bytes; k++) sum += bytes[k];
        at = bytes;
    }
    uint64_t header;
    memcpy(&header, data, 8);
    require(at == data + 8 + header);
    const char *format = sr_st_metadata(reader, "format");
    require(format == NULL || strlen(format) + sum < SIZE_MAX);
    sr_st_close(&reader);
    sartor_context_destroy(&ctx);
    return 0;
}
