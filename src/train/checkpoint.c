#include "train/checkpoint.h"

#include "op/optim.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* Programs that know nothing of births read format 1 only, and must refuse a model that grew. */
enum { RECORD_PLAIN = 1, RECORD_GROWN = 2 };
const char sr_record_key[] = "sartor.run";
const char sr_first_moment[] = "adam.m.", sr_second_moment[] = "adam.v.",
           sr_generation_prefix[] = "adam.generation.";

/* ---- writing ---- */

static json_t *measure_json(const sartor_measure *m) {
    return json_pack("{s:f, s:f, s:f, s:I, s:f, s:f, s:I, s:I}", "val_loss", m->loss,
                     "bits_per_byte", m->bits_per_byte, "perplexity", m->perplexity, "tokens",
                     (json_int_t)m->tokens, "seconds", m->seconds, "tokens_per_second",
                     m->tokens_per_second, "peak_rss_bytes", (json_int_t)m->peak_rss_bytes,
                     "peak_anonymous_bytes", (json_int_t)m->peak_anonymous_bytes);
}

static json_t *births_json(const sr_births *births) {
    json_t *array = json_array();
    int bad = array == NULL;
    for (int i = 0; i < births->count && !bad; i++) {
        const sr_generation *b = &births->birth[i];
        bad |= json_array_append_new(
            array, json_pack("{s:I, s:f, s:I, s:b}", "step", (json_int_t)b->step, "rate_factor",
                             b->rate_factor, "warmup", (json_int_t)b->warmup, "freeze_old",
                             (int)b->freeze_old));
    }
    if (!bad) return array;
    json_decref(array);
    return NULL;
}

static char *record_text(const json_t *settings, const sr_run_record *r) {
    json_t *totals = json_array();
    int bad = totals == NULL;
    for (int i = 0; i < r->totals; i++)
        bad |= json_array_append_new(totals, json_integer((json_int_t)r->total[i]));
    json_t *root = bad ? NULL
                       : json_pack("{s:i, s:O, s:O, s:I, s:I, s:f, s:I, s:I}", "version",
                                   r->births.count > 0 ? RECORD_GROWN : RECORD_PLAIN, "settings",
                                   settings, "totals", totals, "step", (json_int_t)r->step,
                                   "tokens", (json_int_t)r->tokens, "seconds", r->seconds,
                                   "peak_rss_bytes", (json_int_t)r->peak_rss,
                                   "peak_anonymous_bytes", (json_int_t)r->peak_anonymous);
    json_decref(totals);
    if (root != NULL && r->births.count > 0)
        bad |= json_object_set_new(root, "births", births_json(&r->births));
    if (root != NULL && r->stages > 0)
        bad |= json_object_set_new(root, "stages", json_integer(r->stages));
    if (root != NULL && isfinite(r->validation))
        bad |= json_object_set_new(root, "validation", json_real(r->validation));
    if (root != NULL && r->done)
        bad |= json_object_set_new(root, "result", measure_json(&r->result));
    char *text = root != NULL && !bad ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static sartor_status save(sartor_context *ctx, const char *path, const sr_trainer *t,
                          const sr_tokenizer *tokenizer, const json_t *settings,
                          const sr_run_record *record, bool moments) {
    double sum = sr_sum_squares(t->model->params, t->model->schema.elements, t->options.threads);
    if (!isfinite(sum))
        return sr_fail(ctx, SARTOR_NOT_FINITE, "a weight is not finite after step %" PRId64,
                       t->step);
    char *text = record_text(settings, record);
    if (text == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory for a checkpoint");
    const sr_model_extra extra[] = {
        {sr_first_moment, SR_ST_F32, t->m},
        {sr_second_moment, SR_ST_F32, t->v},
        {sr_generation_prefix, SR_ST_U8, t->generation},
    };
    const int extras = !moments ? 0 : t->generation == NULL ? 2 : 3;
    sr_model_note note = {sr_record_key, text};
    size_t bytes;
    const void *blob = sr_tokenizer_blob(tokenizer, &bytes);
    sartor_status status = sr_model_save(ctx, path, t->model, blob, bytes, extra, extras, &note, 1);
    free(text);
    return status;
}

sartor_status sr_checkpoint_write(sartor_context *ctx, const char *path, const sr_trainer *t,
                                  const sr_tokenizer *tokenizer, const json_t *settings,
                                  const sr_run_record *record) {
    return save(ctx, path, t, tokenizer, settings, record, true);
}

sartor_status sr_result_write(sartor_context *ctx, const char *path, const sr_trainer *t,
                              const sr_tokenizer *tokenizer, const json_t *settings,
                              const sr_run_record *record) {
    return save(ctx, path, t, tokenizer, settings, record, false);
}

/* ---- reading ---- */

static bool read_measure(json_t *root, sartor_measure *m) {
    json_int_t tokens, rss, anonymous;
    *m = (sartor_measure){0};
    if (json_unpack(root, "{s:F, s:F, s:F, s:I, s:F, s:F, s:I, s:I}", "val_loss", &m->loss,
                    "bits_per_byte", &m->bits_per_byte, "perplexity", &m->perplexity, "tokens",
                    &tokens, "seconds", &m->seconds, "tokens_per_second", &m->tokens_per_second,
                    "peak_rss_bytes", &rss, "peak_anonymous_bytes", &anonymous) != 0)
        return false;
    m->tokens = tokens;
    m->peak_rss_bytes = rss;
    m->peak_anonymous_bytes = anonymous;
    return true;
}

/* Totals rise, and the step lies within them. */
static bool read_totals(const json_t *totals, sr_run_record *r) {
    size_t n = json_array_size(totals);
    if (n < 1 || n > SR_MAX_TOTALS) return false;
    r->totals = (int)n;
    for (size_t i = 0; i < n; i++) {
        r->total[i] = json_integer_value(json_array_get(totals, i));
        if (r->total[i] < (i > 0 ? r->total[i - 1] + 1 : 1)) return false;
    }
    return r->step >= 0 && r->step <= r->total[n - 1] && r->tokens >= 0 && r->seconds >= 0;
}

/* Absent where the model never grew. */
static bool read_births(sartor_context *ctx, const json_t *births, sr_run_record *r) {
    size_t i;
    json_t *one;
    if (births != NULL && !json_is_array(births)) return false;
    json_array_foreach(births, i, one) {
        json_int_t step, warmup;
        sr_generation born;
        int freeze;
        if (json_unpack(one, "{s:I, s:F, s:I, s:b}", "step", &step, "rate_factor",
                        &born.rate_factor, "warmup", &warmup, "freeze_old", &freeze) != 0)
            return false;
        born.step = step;
        born.warmup = warmup;
        born.freeze_old = freeze;
        if (step > r->step || sr_births_add(ctx, &r->births, &born) != SARTOR_OK) return false;
    }
    return true;
}

static bool read_stages(const json_t *stages, sr_run_record *r) {
    if (stages == NULL) return true;
    const json_int_t n = json_integer_value(stages);
    r->stages = n >= 0 && n <= r->births.count ? (int)n : -1;
    return json_is_integer(stages) && r->stages >= 0;
}

/* *root (new) holds the settings. */
static sartor_status read_record(sartor_context *ctx, const char *where, const sr_st_reader *reader,
                                 json_t **root, sr_run_record *r) {
    *r = (sr_run_record){.validation = NAN};
    *root = NULL;
    const char *text = sr_st_metadata(reader, sr_record_key);
    if (text == NULL)
        return sr_fail(ctx, SARTOR_MISMATCH, "%s: the model there was not made by training", where);
    json_error_t error;
    json_t *totals, *stored;
    json_int_t step, tokens, rss, anonymous;
    int version = 0;
    *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    bool good = *root != NULL &&
                json_unpack(*root, "{s:i, s:o, s:o, s:I, s:I, s:F, s:I, s:I}", "version", &version,
                            "settings", &stored, "totals", &totals, "step", &step, "tokens",
                            &tokens, "seconds", &r->seconds, "peak_rss_bytes", &rss,
                            "peak_anonymous_bytes", &anonymous) == 0;
    if (good && version <= RECORD_GROWN) {
        r->step = step;
        r->tokens = tokens;
        r->peak_rss = rss;
        r->peak_anonymous = anonymous;
        const json_t *validation = json_object_get(*root, "validation");
        if (json_is_real(validation)) r->validation = json_real_value(validation);
        json_t *result = json_object_get(*root, "result");
        r->done = result != NULL;
        good = version >= RECORD_PLAIN && read_totals(totals, r) &&
               read_births(ctx, json_object_get(*root, "births"), r) &&
               read_stages(json_object_get(*root, "stages"), r) &&
               (!r->done || read_measure(result, &r->result));
    }
    if (version > RECORD_GROWN)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: made by a newer program", where);
    return good ? SARTOR_OK
                : sr_fail(ctx, SARTOR_FORMAT, "%s: the record of the run is damaged", where);
}

sartor_status sr_record_load(sartor_context *ctx, const char *where, const sr_st_reader *reader,
                             json_t **settings, sr_run_record *r) {
    json_t *root;
    *settings = NULL;
    sartor_status status = read_record(ctx, where, reader, &root, r);
    if (status == SARTOR_OK) *settings = json_incref(json_object_get(root, "settings"));
    json_decref(root);
    return status;
}

sartor_status sr_record_read(sartor_context *ctx, const char *where, const sr_st_reader *reader,
                             const json_t *settings, sr_run_record *r) {
    json_t *stored;
    sartor_status status = sr_record_load(ctx, where, reader, &stored, r);
    if (status == SARTOR_OK) status = sr_settings_compare(ctx, where, stored, settings);
    json_decref(stored);
    return status;
}

sartor_status sr_record_grown(sartor_context *ctx, const char *where, const sr_st_reader *reader,
                              sr_generation *born, int *generation, char **text) {
    json_t *root;
    sr_run_record record;
    *text = NULL;
    sartor_status status = read_record(ctx, where, reader, &root, &record);
    born->step = record.step;
    if (status == SARTOR_OK) status = sr_births_add(ctx, &record.births, born);
    if (status == SARTOR_OK) {
        record.done = false;
        *generation = record.births.count;
        *text = record_text(json_object_get(root, "settings"), &record);
        if (*text == NULL) status = sr_no_memory(ctx);
    }
    json_decref(root);
    return status;
}

static sartor_status read_generations(sartor_context *ctx, const sr_st_reader *reader,
                                      sr_trainer *t) {
    const int births = t->options.births.count;
    SR_TRY(sr_model_read_bytes(ctx, reader, t->model, sr_generation_prefix, t->generation));
    for (int64_t i = 0; i < t->model->schema.elements; i++)
        if (t->generation[i] > births)
            return sr_fail(ctx, SARTOR_FORMAT,
                           "the checkpoint has a weight of generation %d, but its model grew %d "
                           "times",
                           t->generation[i], births);
    return SARTOR_OK;
}

sartor_status sr_checkpoint_read(sartor_context *ctx, const sr_st_reader *reader,
                                 const sr_run_record *record, sr_trainer *t) {
    SR_TRY(sr_model_read_flat(ctx, reader, t->model, "", t->model->params));
    SR_TRY(sr_model_read_flat(ctx, reader, t->model, sr_first_moment, t->m));
    SR_TRY(sr_model_read_flat(ctx, reader, t->model, sr_second_moment, t->v));
    if (t->generation != NULL) SR_TRY(read_generations(ctx, reader, t));
    t->step = record->step;
    sr_trainer_refresh(t);
    return SARTOR_OK;
}
