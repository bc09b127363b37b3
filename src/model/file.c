#include "model/file.h"

#include "base/memory.h"
#include "model/architecture.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = SR_PARAM_NAME + 32 };
static const char tokenizer_tensor[] = "tokenizer";

static int shape_of(const sr_param *p, int64_t dims[2]) {
    dims[0] = p->rows;
    dims[1] = p->cols;
    if (p->axes > 1 && !p->vector) return 2;
    dims[0] = p->cols;
    return 1;
}

static void full_name(char out[NAME], const char *prefix, const sr_param *p) {
    snprintf(out, NAME, "%s%s", prefix, p->name);
}

/* ---- writing ---- */

static char *architecture_text(const sr_model *m) {
    json_t *root = sr_architecture_json(m);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static sartor_status declare_flat(sartor_context *ctx, sr_st_writer *w, const sr_model *m,
                                  const char *prefix, sr_st_type type) {
    char name[NAME];
    for (int i = 0; i < m->schema.count; i++) {
        int64_t dims[2];
        int rank = shape_of(&m->schema.param[i], dims);
        full_name(name, prefix, &m->schema.param[i]);
        SR_TRY(sr_st_declare(ctx, w, name, type, rank, dims));
    }
    return SARTOR_OK;
}

static sartor_status write_flat(sartor_context *ctx, sr_st_writer *w, const sr_model *m,
                                const char *prefix, sr_st_type type, const void *flat) {
    const size_t each = sr_st_type_bytes(type);
    char name[NAME];
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        full_name(name, prefix, p);
        SR_TRY(sr_st_write(ctx, w, name, (const char *)flat + (size_t)p->offset * each,
                           (size_t)(p->rows * p->cols) * each));
    }
    return SARTOR_OK;
}

static sartor_status write_all(sartor_context *ctx, sr_st_writer *w, const sr_model *m,
                               const void *tokenizer, size_t tokenizer_bytes,
                               const sr_model_extra *extra, int n_extra, const sr_model_note *note,
                               int n_notes) {
    char *json = architecture_text(m);
    if (json == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory for a model file");
    sartor_status status = sr_st_set_metadata(ctx, w, "sartor", json);
    free(json);
    SR_TRY(status);
    for (int i = 0; i < n_notes; i++) SR_TRY(sr_st_set_metadata(ctx, w, note[i].key, note[i].text));
    SR_TRY(declare_flat(ctx, w, m, "", SR_ST_F32));
    for (int i = 0; i < n_extra; i++)
        SR_TRY(declare_flat(ctx, w, m, extra[i].prefix, extra[i].type));
    int64_t blob[1] = {(int64_t)tokenizer_bytes};
    SR_TRY(sr_st_declare(ctx, w, tokenizer_tensor, SR_ST_U8, 1, blob));
    SR_TRY(write_flat(ctx, w, m, "", SR_ST_F32, m->params));
    for (int i = 0; i < n_extra; i++)
        SR_TRY(write_flat(ctx, w, m, extra[i].prefix, extra[i].type, extra[i].flat));
    return sr_st_write(ctx, w, tokenizer_tensor, tokenizer, tokenizer_bytes);
}

sartor_status sr_model_save(sartor_context *ctx, const char *path, const sr_model *m,
                            const void *tokenizer, size_t tokenizer_bytes,
                            const sr_model_extra *extra, int n_extra, const sr_model_note *note,
                            int n_notes) {
    sr_st_writer *w = NULL;
    SR_TRY(sr_st_create(ctx, path, &w));
    sartor_status status =
        write_all(ctx, w, m, tokenizer, tokenizer_bytes, extra, n_extra, note, n_notes);
    if (status == SARTOR_OK) return sr_st_commit(ctx, &w);
    sr_st_abandon(&w);
    return status;
}

/* ---- reading ---- */

static sartor_status read_architecture(sartor_context *ctx, const char *path, const char *text,
                                       sr_model **model) {
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    sartor_status status = sr_architecture_read(ctx, root, model);
    json_decref(root);
    return status == SARTOR_OK ? status : sr_fail_in(ctx, status, "%s", path);
}

static sartor_status read_flat(sartor_context *ctx, const sr_st_reader *reader, const sr_model *m,
                               const char *prefix, sr_st_type type, void *flat) {
    const size_t each = sr_st_type_bytes(type);
    char name[NAME];
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        const sr_st_tensor *t;
        int64_t dims[2];
        int rank = shape_of(p, dims);
        full_name(name, prefix, p);
        SR_TRY(sr_st_expect(ctx, reader, name, type, rank, dims, &t));
        memcpy((char *)flat + (size_t)p->offset * each, t->data, t->bytes);
    }
    return SARTOR_OK;
}

sartor_status sr_model_read_flat(sartor_context *ctx, const sr_st_reader *reader, const sr_model *m,
                                 const char *prefix, float *flat) {
    return read_flat(ctx, reader, m, prefix, SR_ST_F32, flat);
}

sartor_status sr_model_read_bytes(sartor_context *ctx, const sr_st_reader *reader,
                                  const sr_model *m, const char *prefix, uint8_t *flat) {
    return read_flat(ctx, reader, m, prefix, SR_ST_U8, flat);
}

/* The file must hold the weights before memory for them is asked for: sizes in metadata are
 * somebody's claim. */
static sartor_status check_tensors(sartor_context *ctx, const sr_st_reader *reader,
                                   const sr_model *m) {
    for (int i = 0; i < m->schema.count; i++) {
        const sr_st_tensor *t;
        int64_t dims[2];
        int rank = shape_of(&m->schema.param[i], dims);
        SR_TRY(sr_st_expect(ctx, reader, m->schema.param[i].name, SR_ST_F32, rank, dims, &t));
    }
    return SARTOR_OK;
}

sartor_status sr_model_compile(sartor_context *ctx, const char *path, const sr_st_reader *reader,
                               sr_model **model) {
    *model = NULL;
    const char *text = sr_st_metadata(reader, "sartor");
    if (text == NULL)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: not a sartor model (no metadata)", path);
    SR_TRY(read_architecture(ctx, path, text, model));
    sartor_status status = check_tensors(ctx, reader, *model);
    if (status != SARTOR_OK) sr_model_destroy(model);
    return status;
}

sartor_status sr_model_open(sartor_context *ctx, const char *path, sr_st_reader **reader,
                            sr_model **model) {
    *model = NULL;
    SR_TRY(sr_st_open(ctx, path, reader));
    sartor_status status = sr_model_compile(ctx, path, *reader, model);
    if (status == SARTOR_OK) status = sr_model_allocate(ctx, *model);
    if (status == SARTOR_OK)
        status = sr_model_read_flat(ctx, *reader, *model, "", (*model)->params);
    if (status != SARTOR_OK) {
        sr_st_close(reader);
        sr_model_destroy(model);
    }
    return status;
}

sartor_status sr_model_tokenizer(sartor_context *ctx, const sr_st_reader *reader, const void **blob,
                                 size_t *bytes) {
    const sr_st_tensor *t = sr_st_find(reader, tokenizer_tensor);
    if (t == NULL || t->type != SR_ST_U8)
        return sr_fail(ctx, SARTOR_FORMAT, "the model file has no tokenizer inside");
    *blob = t->data;
    *bytes = t->bytes;
    return SARTOR_OK;
}
