/* Architectures of model files from arbitrary JSON: refused with one line, or a model whose own
 * JSON reads back as the same architecture, units that have grown included. */
#include "model/architecture.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

/* Every tensor that it declares has a size that was bounded. */
static void check_schema(const sr_schema *s) {
    int64_t elements = 0;
    for (int i = 0; i < s->count; i++) {
        const sr_param *p = &s->param[i];
        require(p->rows >= 1 && p->cols >= 1 && p->offset == elements);
        elements += p->rows * p->cols;
    }
    require(elements == s->elements);
}

static void check_again(sartor_context *ctx, const sr_model *model) {
    json_t *first = sr_architecture_json(model), *second;
    sr_model *again;
    require(first != NULL && sr_architecture_read(ctx, first, &again) == SARTOR_OK);
    second = sr_architecture_json(again);
    require(json_equal(first, second) && again->schema.elements == model->schema.elements);
    json_decref(first);
    json_decref(second);
    sr_model_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sartor_context *ctx = sartor_context_create();
    json_error_t error;
    sr_model *model;
    json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &error);
    require(ctx != NULL);
    if (sr_architecture_read(ctx, root, &model) == SARTOR_OK) {
        check_schema(&model->schema);
        check_again(ctx, model);
        sr_model_destroy(&model);
    } else {
        require(model == NULL && strlen(sartor_error(ctx)) > 8 &&
                strchr(sartor_error(ctx), '\n') == NULL);
    }
    json_decref(root);
    sartor_context_destroy(&ctx);
    return 0;
}
