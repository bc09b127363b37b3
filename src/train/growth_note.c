#include "train/growth_note.h"

#include "base/hash.h"
#include "base/memory.h"
#include "model/architecture.h"
#include <stdlib.h>
#include <string.h>

const char sr_growth_note_key[] = "sartor.growth";
enum { NOTE_FORMAT = 1 };

static void hash_weights(const sr_model *m, const float *weights, char text[SR_HASH_TEXT]) {
    sr_hash_text(sr_hash_bytes(weights, (size_t)m->schema.elements * sizeof *weights, 0), text);
}

/* ---- writing ---- */

static json_t *origins_json(const sr_growth *g) {
    json_t *list = json_array();
    int bad = list == NULL;
    for (int i = 0; i < g->to->genome.n && !bad; i++) {
        const sr_unit_origin *o = &g->origin[i];
        bad = json_array_append_new(
            list, json_pack("[i, I, I]", o->unit, (json_int_t)o->spread, (json_int_t)o->copies));
    }
    if (!bad) return list;
    json_decref(list);
    return NULL;
}

char *sr_growth_note_make(const sr_growth *g, const float *weights, const char *record,
                          const char *earlier) {
    char hash[SR_HASH_TEXT];
    hash_weights(g->to, weights, hash);
    /* a text within a text would double its escapes with every growth */
    json_t *before = earlier != NULL ? json_loads(earlier, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(before)) {
        json_decref(before);
        before = NULL;
    }
    json_t *root = json_pack("{s:i, s:s, s:o, s:o, s:s*, s:o*}", "version", NOTE_FORMAT, "weights",
                             hash, "from", sr_architecture_json(g->from), "origin", origins_json(g),
                             "record", record, "earlier", before);
    const bool whole =
        root != NULL && (!g->stacked || json_object_set_new(root, "stacked", json_true()) == 0);
    char *text = whole ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

/* ---- reading ---- */

static sartor_status read_origins(sartor_context *ctx, const json_t *list, const sr_model *m,
                                  sr_unit_origin *origin) {
    if (json_array_size(list) != (size_t)m->genome.n)
        return sr_fail(ctx, SARTOR_FORMAT, "its growth names other LIVs than it has");
    for (int i = 0; i < m->genome.n; i++) {
        json_int_t unit, spread, copies;
        if (json_unpack(json_array_get(list, (size_t)i), "[I, I, I!]", &unit, &spread, &copies) !=
                0 ||
            unit < -1 || unit >= SR_MAX_LIVS || spread < 1 || spread > SR_MAX_WIDTH || copies < 1 ||
            copies > SR_MAX_WIDTH)
            return sr_fail(ctx, SARTOR_FORMAT, "the record of its growth is damaged");
        origin[i] = (sr_unit_origin){(int)unit, spread, copies};
    }
    return SARTOR_OK;
}

static sartor_status make_growth(sartor_context *ctx, const sr_model *m, const json_t *origins,
                                 sr_growth_undo *undo) {
    const size_t n = (size_t)m->genome.n;
    sr_unit_origin *origin = NULL;
    sr_unit_sizes *units = NULL;
    sartor_status status = sr_alloc(ctx, n, sizeof *origin, "the growth", (void **)&origin);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, n, sizeof *units, "the growth", (void **)&units);
    if (status == SARTOR_OK) status = read_origins(ctx, origins, m, origin);
    for (size_t i = 0; status == SARTOR_OK && i < n; i++) units[i] = m->units[i].size;
    if (status == SARTOR_OK)
        status =
            sr_growth_create(ctx, undo->from, &m->genome, &m->sizes, units, origin, &undo->growth);
    free(origin);
    free(units);
    return status;
}

static sartor_status read_note(sartor_context *ctx, const char *text, const sr_model *m,
                               sr_growth_undo *undo) {
    json_error_t error;
    const char *stored;
    json_t *from, *origins, *earlier = NULL;
    int version, stacked = 0;
    char hash[SR_HASH_TEXT];
    undo->note = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (undo->note == NULL ||
        json_unpack(undo->note, "{s:i, s:s, s:o, s:o, s?s, s?o, s?b}", "version", &version,
                    "weights", &stored, "from", &from, "origin", &origins, "record", &undo->record,
                    "earlier", &earlier, "stacked", &stacked) != 0 ||
        version != NOTE_FORMAT || (earlier != NULL && !json_is_object(earlier)))
        return sr_fail(ctx, SARTOR_FORMAT, "the record of its growth is damaged");
    hash_weights(m, m->params, hash);
    if (strcmp(hash, stored) != 0)
        return sr_fail(ctx, SARTOR_MISMATCH,
                       "its weights were changed since it grew: there is no way back");
    if (earlier != NULL && (undo->earlier = json_dumps(earlier, JSON_COMPACT)) == NULL)
        return sr_no_memory(ctx);
    SR_TRY(sr_architecture_read(ctx, from, &undo->from));
    SR_TRY(make_growth(ctx, m, origins, undo));
    if (stacked) sr_growth_stack(undo->growth);
    return SARTOR_OK;
}

sartor_status sr_growth_note_read(sartor_context *ctx, const sr_st_reader *reader,
                                  const sr_model *model, sr_growth_undo *undo) {
    const char *text = sr_st_metadata(reader, sr_growth_note_key);
    *undo = (sr_growth_undo){.from = NULL};
    if (text == NULL)
        return sr_fail(ctx, SARTOR_MISMATCH,
                       "it did not grow, or was trained since: there is no way back");
    sartor_status status = read_note(ctx, text, model, undo);
    if (status != SARTOR_OK) sr_growth_undo_free(undo);
    return status;
}

void sr_growth_undo_free(sr_growth_undo *undo) {
    sr_growth_destroy(&undo->growth);
    sr_model_destroy(&undo->from);
    json_decref(undo->note);
    free(undo->earlier);
    *undo = (sr_growth_undo){.from = NULL};
}
