#include "model/file.h"

#include "base/memory.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = SR_PARAM_NAME + 32 };
static const char tokenizer_tensor[] = "tokenizer", sequence_head[] = "sequence";

static int shape_of(const sr_param *p, int64_t dims[2]) {
    dims[0] = p->rows;
    dims[1] = p->cols;
    if (p->axes > 1) return 2;
    dims[0] = p->cols;
    return 1;
}

static void full_name(char out[NAME], const char *prefix, const sr_param *p) {
    snprintf(out, NAME, "%s%s", prefix, p->name);
}

/* ---- writing ---- */

static char *architecture_json(const sr_model *m) {
    char *genome = malloc(SR_GENOME_TEXT);
    if (genome == NULL) return NULL;
    sr_genome_print(&m->genome, genome);
    const sr_sizes *s = &m->sizes;
    json_t *root = json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "version",
                             SR_MODEL_FORMAT, "genome", genome, "width", (json_int_t)s->width,
                             "head_dim", (json_int_t)s->head_dim, "window", (json_int_t)s->window,
                             "vocab", (json_int_t)s->vocab, "context", (json_int_t)s->context,
                             "filter_length", (json_int_t)s->filter_length, "tied", (int)s->tied);
    free(genome);
    if (root != NULL && s->head == SR_HEAD_SEQUENCE) /* a language model has no such key */
        (void)json_object_set_new(root, "head", json_string(sequence_head));
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
    char *json = architecture_json(m);
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
    json_int_t width = 0, head_dim = 0, window = 0, vocab = 0, context = 0, filter = 0;
    int version = 0, tied = 0;
    const char *genome_text = NULL;
    sartor_status status = SARTOR_OK;
    if (root == NULL || json_unpack(root, "{s:i}", "version", &version) != 0)
        status = sr_fail(ctx, SARTOR_FORMAT, "%s: its sartor metadata is not readable", path);
    else if (version != SR_MODEL_FORMAT)
        status = sr_fail(ctx, SARTOR_FORMAT, "%s: model format %d, this program reads %d", path,
                         version, SR_MODEL_FORMAT);
    else if (json_unpack(root, "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "genome", &genome_text,
                         "width", &width, "head_dim", &head_dim, "window", &window, "vocab", &vocab,
                         "context", &context, "filter_length", &filter, "tied", &tied) != 0)
        status = sr_fail(ctx, SARTOR_FORMAT, "%s: its sartor metadata lacks a size", path);
    const json_t *head = json_object_get(root, "head");
    if (status == SARTOR_OK && head != NULL &&
        (json_string_value(head) == NULL || strcmp(json_string_value(head), sequence_head) != 0))
        status = sr_fail(ctx, SARTOR_FORMAT, "%s: a kind of model that this program does not know",
                         path);
    sr_genome *genome = NULL;
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome);
    if (status == SARTOR_OK)
        status = sr_genome_parse(ctx, genome_text, strlen(genome_text), genome);
    if (status == SARTOR_OK) {
        sr_sizes sizes = {
            width,   head_dim, window, vocab,
            context, filter,   tied,   head != NULL ? SR_HEAD_SEQUENCE : SR_HEAD_LANGUAGE,
        };
        status = sr_model_create(ctx, genome, &sizes, model);
    }
    if (genome_text != NULL && status != SARTOR_OK) status = sr_fail_in(ctx, status, "%s", path);
    free(genome);
    json_decref(root);
    return status;
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

sartor_status sr_model_open(sartor_context *ctx, const char *path, sr_st_reader **reader,
                            sr_model **model) {
    *model = NULL;
    SR_TRY(sr_st_open(ctx, path, reader));
    const char *text = sr_st_metadata(*reader, "sartor");
    sartor_status status =
        text != NULL ? read_architecture(ctx, path, text, model)
                     : sr_fail(ctx, SARTOR_FORMAT, "%s: not a sartor model (no metadata)", path);
    if (status == SARTOR_OK) status = check_tensors(ctx, *reader, *model);
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
