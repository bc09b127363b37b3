#include "probe/mad_checkpoint.h"

#include "base/hash.h"
#include "model/file.h"
#include "op/machine.h"
#include "op/optim.h"
#include "train/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORD_FORMAT = 1 };
static const char record_key[] = "sartor.mad";
static const char first_moment[] = "adam.m.", second_moment[] = "adam.v.", best_weights[] = "best.";

/* ---- settings ---- */

sr_hash sr_mad_data_identity(const sr_mad_data *data) {
    sr_hash all[2 * SR_MAD_PARTS + 1] = {{0, 0}};
    for (int i = 0; i < SR_MAD_PARTS; i++) {
        const sr_mad_set *s = &data->part[i];
        const size_t bytes = (size_t)(s->rows * s->length) * sizeof *s->inputs;
        if (s->rows == 0) continue;
        all[2 * i] = sr_hash_bytes(s->inputs, bytes, 0);
        all[2 * i + 1] = sr_hash_bytes(s->targets, bytes, 0);
    }
    all[2 * SR_MAD_PARTS] = (sr_hash){(uint64_t)data->part[SR_MAD_TRAIN].length, 0};
    return sr_hash_bytes(all, sizeof all, 0);
}

json_t *sr_mad_run_settings(const sr_model *model, const sr_mad_setting *setting,
                            const sr_mad_data *data, const sr_mad_run_options *o, int64_t rows) {
    char *genome = malloc(SR_GENOME_TEXT);
    char sizes[SR_SIZES_TEXT], task[SR_MAD_SETTING_TEXT], machine[SR_MACHINE_TEXT];
    char identity[SR_HASH_TEXT];
    if (genome == NULL) return NULL;
    sr_genome_print(&model->genome, genome);
    sr_sizes_print(&model->sizes, sizes);
    sr_mad_setting_print(setting, task);
    sr_machine_print(machine);
    sr_hash_text(sr_mad_data_identity(data), identity);
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:s}", "architecture",
        genome, "sizes", sizes, "setting", task, "data", identity, "protocol",
        o->protocol == SR_MAD_PAPER ? "paper" : "faithful", "learning rate",
        json_sprintf("%.17g", o->rate), "weight decay", json_sprintf("%.17g", o->weight_decay),
        "batch", json_sprintf("%" PRId64, o->batch), "micro-batch", json_sprintf("%" PRId64, rows),
        "epochs", json_sprintf("%" PRId64, o->epochs), "precision",
        o->numbers == SR_FAST_BF16 ? "bf16" : "f32", "threads", json_sprintf("%d", o->threads),
        "seed", json_sprintf("%" PRIu64, o->seed), "machine", machine);
    free(genome);
    return root;
}

/* ---- the record ---- */

static json_t *score_json(const sr_mad_score *s) {
    return json_pack("[f, f, o]", s->accuracy, s->accuracy_macro,
                     isfinite(s->perplexity) ? json_real(s->perplexity) : json_null());
}

static bool read_score(const json_t *json, sr_mad_score *s) {
    const json_t *perplexity = json_array_get(json, 2);
    if (json_array_size(json) != 3 || !json_is_number(json_array_get(json, 0)) ||
        !json_is_number(json_array_get(json, 1)) ||
        !(json_is_null(perplexity) || json_is_number(perplexity)))
        return false;
    s->accuracy = json_number_value(json_array_get(json, 0));
    s->accuracy_macro = json_number_value(json_array_get(json, 1));
    s->perplexity = json_is_null(perplexity) ? INFINITY : json_number_value(perplexity);
    return true;
}

static char *record_text(const json_t *settings, const sr_mad_record *r) {
    json_t *root = json_pack(
        "{s:i, s:O, s:I, s:I, s:o, s:o, s:b, s:f, s:f}", "version", RECORD_FORMAT, "settings",
        settings, "step", (json_int_t)r->step, "best_epoch", (json_int_t)r->best_epoch, "by_batch",
        score_json(&r->best.by_batch), "whole", score_json(&r->best.whole), "enough",
        (int)r->enough, "seconds", r->seconds, "seconds_scoring", r->seconds_scoring);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static sartor_status read_record(sartor_context *ctx, const char *path, const char *text,
                                 const json_t *settings, sr_mad_record *r) {
    json_error_t error;
    json_t *root = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, &error) : NULL;
    json_t *stored = NULL, *by_batch = NULL, *whole = NULL;
    json_int_t step = 0, best_epoch = 0;
    int version = 0, enough = 0;
    bool good = root != NULL &&
                json_unpack(root, "{s:i, s:o, s:I, s:I, s:o, s:o, s:b, s:F, s:F}", "version",
                            &version, "settings", &stored, "step", &step, "best_epoch", &best_epoch,
                            "by_batch", &by_batch, "whole", &whole, "enough", &enough, "seconds",
                            &r->seconds, "seconds_scoring", &r->seconds_scoring) == 0 &&
                version == RECORD_FORMAT && step >= 0 && best_epoch >= 0 &&
                read_score(by_batch, &r->best.by_batch) && read_score(whole, &r->best.whole);
    r->step = step;
    r->best_epoch = best_epoch;
    r->enough = enough;
    sartor_status status =
        good ? sr_settings_compare(ctx, path, stored, settings)
             : sr_fail(ctx, SARTOR_FORMAT, "%s: the record of the run is damaged", path);
    json_decref(root);
    return status;
}

/* ---- the file ---- */

sartor_status sr_mad_checkpoint_write(sartor_context *ctx, const char *path, const sr_trainer *t,
                                      const float *best, const json_t *settings,
                                      const sr_mad_record *record) {
    if (!isfinite(sr_sum_squares(t->model->params, t->model->schema.elements, t->options.threads)))
        return sr_fail(ctx, SARTOR_NOT_FINITE, "a weight is not finite after step %" PRId64,
                       t->step);
    char *text = record_text(settings, record);
    if (text == NULL) return sr_no_memory(ctx);
    const sr_model_extra extra[3] = {
        {first_moment, SR_ST_F32, t->m},
        {second_moment, SR_ST_F32, t->v},
        {best_weights, SR_ST_F32, best},
    };
    const sr_model_note note = {record_key, text};
    sartor_status status =
        sr_model_save(ctx, path, t->model, "", 0, extra, best != NULL ? 3 : 2, &note, 1);
    free(text);
    return status;
}

/* The file's model is only compared by its settings; its weights go into the trainer's. */
static sartor_status read_into(sartor_context *ctx, const char *path, const sr_st_reader *reader,
                               sr_trainer *t, float *best, const json_t *settings,
                               sr_mad_record *record) {
    SR_TRY(read_record(ctx, path, sr_st_metadata(reader, record_key), settings, record));
    SR_TRY(sr_model_read_flat(ctx, reader, t->model, "", t->model->params));
    SR_TRY(sr_model_read_flat(ctx, reader, t->model, first_moment, t->m));
    SR_TRY(sr_model_read_flat(ctx, reader, t->model, second_moment, t->v));
    if (best != NULL) SR_TRY(sr_model_read_flat(ctx, reader, t->model, best_weights, best));
    t->step = record->step;
    sr_trainer_refresh(t);
    return SARTOR_OK;
}

sartor_status sr_mad_checkpoint_read(sartor_context *ctx, const char *path, sr_trainer *t,
                                     float *best, const json_t *settings, sr_mad_record *record,
                                     bool *found) {
    FILE *f = fopen(path, "rb");
    *found = f != NULL || errno != ENOENT;
    if (f != NULL) fclose(f);
    if (!*found) return SARTOR_OK;
    sr_st_reader *reader = NULL;
    SR_TRY(sr_st_open(ctx, path, &reader));
    sartor_status status = read_into(ctx, path, reader, t, best, settings, record);
    sr_st_close(&reader);
    return status;
}
