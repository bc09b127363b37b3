#include "model/architecture.h"

#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

static const char sequence_head[] = "sequence", liv_key[] = "liv", scale_key[] = "scale",
                  divisor_key[] = "divisor", pairs_key[] = "pairs", units_key[] = "units";

/* ---- writing ---- */

static bool set_number(json_t *object, const char *key, int64_t value) {
    return value == 0 || json_object_set_new(object, key, json_integer(value)) == 0;
}

static json_t *unit_json(const sr_unit *u) {
    json_t *object = json_object();
    bool good = object != NULL && json_object_set_new(object, liv_key, json_integer(u->index)) == 0;
    for (int k = 0; good && k < SR_AXIS_KINDS; k++)
        good = set_number(object, sr_axis_name((sr_axis_kind)k), u->size.axis[k]);
    good = good && set_number(object, scale_key, u->size.scale) &&
           set_number(object, divisor_key, u->size.divisor) &&
           set_number(object, pairs_key, u->size.pairs);
    if (good) return object;
    json_decref(object);
    return NULL;
}

/* Only units that have grown are listed, with all their sizes. */
static bool set_units(json_t *root, const sr_model *m) {
    json_t *units = json_array();
    bool good = units != NULL;
    for (int i = 0; good && i < m->genome.n; i++)
        if (sr_model_unit_grew(m, i))
            good = json_array_append_new(units, unit_json(&m->units[i])) == 0;
    if (good && json_array_size(units) > 0) good = json_object_set(root, units_key, units) == 0;
    json_decref(units);
    return good;
}

json_t *sr_architecture_json(const sr_model *m) {
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
    /* a language model that has not grown has none of the following keys */
    bool good = root != NULL && set_number(root, divisor_key, s->divisor) && set_units(root, m);
    if (good && s->head == SR_HEAD_SEQUENCE)
        good = json_object_set_new(root, "head", json_string(sequence_head)) == 0;
    if (good) return root;
    json_decref(root);
    return NULL;
}

/* ---- reading ---- */

static sartor_status read_unit(sartor_context *ctx, const json_t *object, int n,
                               sr_unit_sizes *units) {
    const json_int_t liv = json_integer_value(json_object_get(object, liv_key));
    if (!json_is_integer(json_object_get(object, liv_key)) || liv < 0 || liv >= n)
        return sr_fail(ctx, SARTOR_FORMAT, "the sizes of a LIV that is not there");
    sr_unit_sizes *u = &units[liv];
    *u = (sr_unit_sizes){.scale = 0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        const int axis = sr_axis_find(key);
        int64_t *place = axis >= 0                       ? &u->axis[axis]
                         : strcmp(key, scale_key) == 0   ? &u->scale
                         : strcmp(key, divisor_key) == 0 ? &u->divisor
                         : strcmp(key, pairs_key) == 0   ? &u->pairs
                                                         : NULL;
        if (strcmp(key, liv_key) == 0) continue;
        if (place == NULL || !json_is_integer(value))
            return sr_fail(ctx, SARTOR_FORMAT, "LIV %d: '%.40s' is no size", (int)liv + 1, key);
        *place = json_integer_value(value);
    }
    return SARTOR_OK;
}

/* The sizes of all units: listed, or those of a new one. */
static sartor_status read_units(sartor_context *ctx, const json_t *list, const sr_genome *genome,
                                const sr_sizes *sizes, sr_unit_sizes *units) {
    const json_t *object;
    size_t i;
    bool *listed;
    SR_TRY(sr_alloc(ctx, (size_t)genome->n, sizeof *listed, "an architecture", (void **)&listed));
    sartor_status status = json_is_array(list)
                               ? SARTOR_OK
                               : sr_fail(ctx, SARTOR_FORMAT, "the sizes of its LIVs are no list");
    for (i = 0; status == SARTOR_OK && i < json_array_size(list); i++) {
        object = json_array_get(list, i);
        status = read_unit(ctx, object, genome->n, units);
        if (status != SARTOR_OK) break;
        const int liv = (int)json_integer_value(json_object_get(object, liv_key));
        if (listed[liv])
            status = sr_fail(ctx, SARTOR_FORMAT, "LIV %d: its sizes are there twice", liv + 1);
        listed[liv] = true;
    }
    for (int k = 0; status == SARTOR_OK && k < genome->n; k++) {
        if (listed[k]) continue;
        status =
            sr_unit_sizes_default(ctx, sr_class_get(genome->liv[k].liv_class), sizes, &units[k]);
        if (status != SARTOR_OK) sr_fail_in(ctx, status, "LIV %d", k + 1);
    }
    free(listed);
    return status;
}

static sartor_status create(sartor_context *ctx, const json_t *root, const sr_genome *genome,
                            const sr_sizes *sizes, sr_model **model) {
    const json_t *list = json_object_get(root, units_key);
    if (list == NULL) return sr_model_create(ctx, genome, sizes, model);
    sr_unit_sizes *units;
    SR_TRY(sr_sizes_check(ctx, sizes));
    SR_TRY(sr_alloc(ctx, (size_t)genome->n, sizeof *units, "an architecture", (void **)&units));
    sartor_status status = read_units(ctx, list, genome, sizes, units);
    if (status == SARTOR_OK) status = sr_model_create_sized(ctx, genome, sizes, units, model);
    free(units);
    return status;
}

static sartor_status read_head(sartor_context *ctx, const json_t *root, sr_head *head) {
    const json_t *value = json_object_get(root, "head");
    *head = value != NULL ? SR_HEAD_SEQUENCE : SR_HEAD_LANGUAGE;
    if (value == NULL ||
        (json_is_string(value) && strcmp(json_string_value(value), sequence_head) == 0))
        return SARTOR_OK;
    return sr_fail(ctx, SARTOR_FORMAT, "a kind of model that this program does not know");
}

sartor_status sr_architecture_read(sartor_context *ctx, const json_t *root, sr_model **model) {
    json_int_t width = 0, head_dim = 0, window = 0, vocab = 0, context = 0, filter = 0, divisor = 0;
    int version = 0, tied = 0;
    const char *text = NULL;
    json_t *json = (json_t *)root;
    sr_head head;
    *model = NULL;
    if (root == NULL || json_unpack(json, "{s:i}", "version", &version) != 0)
        return sr_fail(ctx, SARTOR_FORMAT, "its sartor metadata is not readable");
    if (version != SR_MODEL_FORMAT)
        return sr_fail(ctx, SARTOR_FORMAT, "model format %d, this program reads %d", version,
                       SR_MODEL_FORMAT);
    if (json_unpack(json, "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s?I}", "genome", &text, "width",
                    &width, "head_dim", &head_dim, "window", &window, "vocab", &vocab, "context",
                    &context, "filter_length", &filter, "tied", &tied, "divisor", &divisor) != 0)
        return sr_fail(ctx, SARTOR_FORMAT, "its sartor metadata lacks a size");
    SR_TRY(read_head(ctx, root, &head));
    sr_genome *genome;
    SR_TRY(sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome));
    sartor_status status = sr_genome_parse(ctx, text, strlen(text), genome);
    const sr_sizes sizes = {.width = width,
                            .head_dim = head_dim,
                            .window = window,
                            .vocab = vocab,
                            .context = context,
                            .filter_length = filter,
                            .tied = tied,
                            .head = head,
                            .divisor = divisor};
    if (status == SARTOR_OK) status = create(ctx, root, genome, &sizes, model);
    free(genome);
    return status;
}
