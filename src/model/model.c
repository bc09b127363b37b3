#include "model/model.h"

#include "base/memory.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sartor_status sr_sizes_check(sartor_context *ctx, const sr_sizes *s) {
    const struct {
        const char *name;
        int64_t value, low, high;
    } bounds[] = {{"width", s->width, 1, SR_MAX_WIDTH},
                  {"head dim", s->head_dim, 1, SR_MAX_WIDTH},
                  {"window", s->window, 1, SR_MAX_CONTEXT},
                  {"vocabulary", s->vocab, 2, SR_MAX_VOCAB},
                  {"context", s->context, 1, SR_MAX_CONTEXT},
                  {"filter length", s->filter_length, 1, SR_MAX_CONTEXT}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (bounds[i].value < bounds[i].low || bounds[i].value > bounds[i].high)
            return sr_fail(ctx, SARTOR_INVALID,
                           "%s is %" PRId64 ", expected %" PRId64 " to %" PRId64, bounds[i].name,
                           bounds[i].value, bounds[i].low, bounds[i].high);
    if (s->head == SR_HEAD_SEQUENCE && s->width % 2 != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "width is %" PRId64 ", a sequence head needs an even one", s->width);
    if (s->divisor < 0 || s->divisor > SR_MAX_WIDTH)
        return sr_fail(ctx, SARTOR_INVALID, "the norms divide by %" PRId64 ", expected 0 to %d",
                       s->divisor, SR_MAX_WIDTH);
    return SARTOR_OK;
}

/* The sizes of every unit: given, or those of a new one. */
static sartor_status size_units(sartor_context *ctx, sr_model *m, const sr_unit_sizes *given) {
    for (int i = 0; i < m->genome.n; i++) {
        sr_unit *u = &m->units[i];
        u->class_ = sr_class_get(m->genome.liv[i].liv_class);
        if (given != NULL) u->size = given[i];
        sartor_status status = given != NULL
                                   ? sr_unit_sizes_check(ctx, u->class_, &u->size)
                                   : sr_unit_sizes_default(ctx, u->class_, &m->sizes, &u->size);
        if (status != SARTOR_OK) return sr_fail_in(ctx, status, "LIV %d", i + 1);
    }
    return SARTOR_OK;
}

/* What one unit makes another reads: what both have must be equally large. */
static sartor_status match_units(sartor_context *ctx, const sr_model *m, int reader, int maker) {
    const sr_unit_sizes *a = &m->units[reader].size, *b = &m->units[maker].size;
    for (int k = 0; reader != maker && maker >= 0 && k < SR_AXIS_KINDS; k++)
        if (a->axis[k] > 0 && b->axis[k] > 0 && a->axis[k] != b->axis[k])
            return sr_fail(
                ctx, SARTOR_INVALID,
                "LIVs %d and %d share features, but not their size: %s is %" PRId64 " and %" PRId64,
                maker + 1, reader + 1, sr_axis_name((sr_axis_kind)k), b->axis[k], a->axis[k]);
    return SARTOR_OK;
}

bool sr_model_unit_grew(const sr_model *m, int unit) {
    const sr_unit *u = &m->units[unit];
    sr_unit_sizes usual;
    sartor_context *quiet = sartor_context_create();
    const bool possible =
        quiet != NULL && sr_unit_sizes_default(quiet, u->class_, &m->sizes, &usual) == SARTOR_OK;
    sartor_context_destroy(&quiet);
    return !possible || memcmp(&usual, &u->size, sizeof usual) != 0;
}

/* The embedding is read by tokens and writes the stream; the unembedding the other way round. A
 * tied one does both and is declared as the embedding. */
static int add_matrix(sartor_context *ctx, sr_schema *schema, const char *name, const sr_sizes *s,
                      bool embeds) {
    sr_param p = {.axes = 2,
                  .init = {SR_INIT_NORMAL, 0.02, 0},
                  .decay = true,
                  .trained = true,
                  .embedding = true};
    snprintf(p.name, sizeof p.name, "%s", name);
    p.axis[0] =
        (sr_axis){SR_AXIS_VOCAB, embeds ? SR_READS : SR_WRITES, SR_BETWEEN_LINEAR, s->vocab};
    p.axis[1] = (sr_axis){SR_AXIS_MODEL, embeds ? SR_WRITES : SR_READS, SR_BETWEEN_NORM, s->width};
    return sr_schema_add(ctx, schema, &p);
}

static sartor_status declare(sartor_context *ctx, sr_model *m) {
    m->embed = add_matrix(ctx, &m->schema, "embed.weight", &m->sizes, true);
    if (m->embed < 0) return SARTOR_MEMORY;
    sr_sharing *sharing;
    SR_TRY(sr_alloc(ctx, 1, sizeof *sharing, "sharing", (void **)&sharing));
    sr_genome_resolve(&m->genome, sharing);
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < m->genome.n && status == SARTOR_OK; i++) {
        const sr_liv_sharing *s = &sharing->liv[i];
        sr_unit *u = &m->units[i];
        u->index = i;
        u->rest_owner = s->rest_owner;
        for (int f = 0; f < SR_FEATURES; f++) {
            u->feature_source[f] = s->feature_source[f];
            u->weight_owner[f] = s->weight_owner[f];
        }
        for (int f = 0; f < SR_FEATURES && status == SARTOR_OK; f++)
            status = match_units(ctx, m, i, s->feature_source[f]);
        if (status == SARTOR_OK) status = match_units(ctx, m, i, s->rest_owner);
        if (status == SARTOR_OK)
            status = sr_unit_declare(ctx, &m->schema, &m->sizes, m->units, i, m->genome.n);
    }
    free(sharing);
    SR_TRY(status);
    sr_param norm = {
        .name = "norm.gain", .axes = 1, .init = {SR_INIT_CONSTANT, 1, 0}, .trained = true};
    norm.axis[0] = (sr_axis){SR_AXIS_MODEL, SR_ALONG, SR_BETWEEN_NORM, m->sizes.width};
    m->norm = sr_schema_add(ctx, &m->schema, &norm);
    if (m->norm < 0) return SARTOR_MEMORY;
    if (m->sizes.head == SR_HEAD_SEQUENCE)
        SR_TRY(sr_head_declare(ctx, &m->schema, &m->sizes, &m->head));
    m->unembed =
        m->sizes.tied ? m->embed : add_matrix(ctx, &m->schema, "unembed.weight", &m->sizes, false);
    return m->unembed < 0 ? SARTOR_MEMORY : SARTOR_OK;
}

sartor_status sr_model_create(sartor_context *ctx, const sr_genome *genome, const sr_sizes *sizes,
                              sr_model **model) {
    return sr_model_create_sized(ctx, genome, sizes, NULL, model);
}

sartor_status sr_model_create_sized(sartor_context *ctx, const sr_genome *genome,
                                    const sr_sizes *sizes, const sr_unit_sizes *units,
                                    sr_model **model) {
    *model = NULL;
    SR_TRY(sr_genome_check(ctx, genome, NULL));
    SR_TRY(sr_sizes_check(ctx, sizes));
    sr_model *m;
    SR_TRY(sr_alloc(ctx, 1, sizeof *m, "a model", (void **)&m));
    m->genome = *genome;
    sr_genome_canonical(&m->genome);
    m->sizes = *sizes;
    sartor_status status =
        sr_alloc(ctx, (size_t)genome->n, sizeof *m->units, "a model's units", (void **)&m->units);
    if (status == SARTOR_OK) status = size_units(ctx, m, units);
    if (status == SARTOR_OK) status = declare(ctx, m);
    if (status != SARTOR_OK)
        sr_model_destroy(&m);
    else
        *model = m;
    return status;
}

void sr_model_destroy(sr_model **model) {
    if (*model == NULL) return;
    sr_schema_free(&(*model)->schema);
    free((*model)->units);
    free((*model)->params);
    free(*model);
    *model = NULL;
}

sartor_status sr_model_allocate(sartor_context *ctx, sr_model *m) {
    if (m->params != NULL) return SARTOR_OK;
    return sr_alloc_aligned(ctx, (size_t)m->schema.elements, sizeof(float), "the weights",
                            (void **)&m->params);
}

void sr_model_init(sr_model *m, uint64_t seed) { sr_schema_init(&m->schema, seed, m->params); }

void sr_sizes_print(const sr_sizes *s, char text[SR_SIZES_TEXT]) {
    snprintf(text, SR_SIZES_TEXT,
             "width=%" PRId64 " head_dim=%" PRId64 " window=%" PRId64 " vocab=%" PRId64
             " context=%" PRId64 " filter_length=%" PRId64 " tied=%d%s",
             s->width, s->head_dim, s->window, s->vocab, s->context, s->filter_length, s->tied,
             s->head == SR_HEAD_SEQUENCE ? " head=sequence" : "");
}

/* tokens -> final norm */
static sr_value emit_body(sr_model *m, sr_build *b, sr_value ids) {
    sr_graph *g = b->graph;
    sr_value embed[2] = {ids, sr_graph_param(g, m->embed, 1)};
    sr_value x = sr_graph_op(g, "embed", (sr_attr){.filter = {0}}, embed, NULL);
    for (int i = 0; i < m->genome.n; i++) x = sr_unit_emit(b, i, x);
    sr_unit_emit_late(b);
    return x;
}

static sr_value emit_norm(sr_model *m, sr_graph *g, sr_value x) {
    sr_value norm[2] = {x, sr_graph_param(g, m->norm, 1)};
    const sr_attr attr = {.norm = {SR_NORM_EPSILON, m->sizes.divisor}};
    return sr_graph_op(g, "rmsnorm", attr, norm, NULL);
}

/* stream -> what the purpose wants */
static sr_value emit_head(sr_model *m, sr_graph *g, sr_graph_purpose purpose, sr_value x,
                          sr_value targets) {
    const bool sequence = m->sizes.head == SR_HEAD_SEQUENCE;
    const sr_attr none = {.filter = {0}};
    if (purpose == SR_GRAPH_NEXT) x = sr_graph_op(g, "tail", none, &x, NULL);
    if (sequence) x = sr_head_emit(&m->head, g, x);
    sr_value h = emit_norm(m, g, x), w = sr_graph_param(g, m->unembed, 1);
    sr_value bias = sequence ? sr_graph_param(g, m->head.unembed_bias, 1) : SR_NO_VALUE;
    if (purpose == SR_GRAPH_LOSS || purpose == SR_GRAPH_SCORE) {
        sr_value in[4] = {h, w, targets, bias};
        return sr_graph_op(g, purpose == SR_GRAPH_LOSS ? "unembed_loss" : "unembed_score", none, in,
                           NULL);
    }
    sr_value in[3] = {h, w, SR_NO_VALUE};
    sr_value logits = sr_graph_op(g, "linear", (sr_attr){.linear = {1, true}}, in, NULL);
    if (!sequence) return logits;
    sr_value biased[2] = {logits, bias};
    return sr_graph_op(g, "bias", none, biased, NULL);
}

sartor_status sr_model_build(sartor_context *ctx, sr_model *m, const sr_graph_options *options,
                             sr_graph_purpose purpose, int64_t context, sr_model_graph *out) {
    *out = (sr_model_graph){NULL, -1, -1, -1};
    if (m->sizes.head == SR_HEAD_SEQUENCE && (purpose == SR_GRAPH_NEXT || options->decode))
        return sr_fail(ctx, SARTOR_INVALID,
                       "this model maps a sequence to a sequence: it has no next token");
    SR_TRY(sr_graph_create(ctx, &m->schema, options, &out->graph));
    sr_graph *g = out->graph;
    sr_build b = {.graph = g,
                  .schema = &m->schema,
                  .sizes = &m->sizes,
                  .units = m->units,
                  .external_filters = options->decode,
                  .context = context};
    sartor_status status = sr_alloc(ctx, (size_t)m->genome.n * 2 * SR_BRANCHES, sizeof *b.late,
                                    "a graph", (void **)&b.late);
    if (status == SARTOR_OK) {
        sr_unit_plan_caches(&m->sizes, m->units, m->genome.n, context);
        out->ids = sr_graph_ids(g);
        if (purpose == SR_GRAPH_LOSS || purpose == SR_GRAPH_SCORE) out->targets = sr_graph_ids(g);
        out->out = emit_head(m, g, purpose, emit_body(m, &b, out->ids), out->targets);
        sr_graph_output(g, out->out);
        status = sr_graph_plan(g);
    }
    free(b.late);
    if (status != SARTOR_OK) sr_model_graph_destroy(out);
    return status;
}

void sr_model_graph_destroy(sr_model_graph *graph) { sr_graph_destroy(&graph->graph); }

sartor_status sr_model_build_filters(sartor_context *ctx, sr_model *m, sr_numbers numbers,
                                     int threads, sr_graph **graph, sr_value *values) {
    *graph = NULL;
    int n = sr_unit_filters(m->units, m->genome.n);
    if (n == 0) return SARTOR_OK;
    sr_graph_options options = {.numbers = numbers, .batch = 1, .length = 1, .threads = threads};
    SR_TRY(sr_graph_create(ctx, &m->schema, &options, graph));
    sr_build b = {.graph = *graph, .schema = &m->schema, .sizes = &m->sizes, .units = m->units};
    for (int i = 0; i < n; i++) {
        values[i] = sr_unit_filter(&b, m->genome.n, i);
        sr_graph_output(*graph, values[i]);
    }
    sartor_status status = sr_graph_plan(*graph);
    if (status != SARTOR_OK) sr_graph_destroy(graph);
    return status;
}
