/* Building: values and nodes in order, every shape checked by its operator. */
#include "base/memory.h"
#include "graph/internal.h"

#include <stdlib.h>
#include <string.h>

sartor_status sr_graph_create(sartor_context *ctx, const sr_schema *schema,
                              const sr_graph_options *options, sr_graph **graph) {
    SR_TRY(sr_alloc(ctx, 1, sizeof(sr_graph), "a graph", (void **)graph));
    sr_graph *g = *graph;
    g->ctx = ctx;
    g->schema = schema;
    g->options = *options;
    if (options->batch < 1 || options->length < 1 ||
        options->length > (INT64_C(1) << 31) / options->batch)
        g->status = sr_fail(ctx, SARTOR_INVALID, "batch %lld x length %lld tokens is out of range",
                            (long long)options->batch, (long long)options->length);
    return SARTOR_OK;
}

void sr_graph_destroy(sr_graph **graph) {
    sr_graph *g = *graph;
    if (g == NULL) return;
    free(g->value);
    free(g->node);
    free(g->state);
    free(g->param_zero);
    free(g->times);
    free(g);
    *graph = NULL;
}

/* One more element at the end of a growing array, zeroed; NULL and a failed graph when out of
 * memory. */
static void *append(sr_graph *g, void **array, int *count, int *room, size_t size) {
    if (*count == *room) {
        int more = *room > 0 ? 2 * *room : 64;
        void *p = realloc(*array, (size_t)more * size);
        if (p == NULL) {
            g->status = sr_fail(g->ctx, SARTOR_MEMORY, "not enough memory for a graph");
            return NULL;
        }
        *array = p;
        *room = more;
    }
    void *element = (char *)*array + (size_t)*count * size;
    memset(element, 0, size);
    (*count)++;
    return element;
}

static value *new_value(sr_graph *g, value_kind kind, int64_t rows, int64_t cols, sr_dtype type) {
    if (g->status != SARTOR_OK) return NULL;
    value *v = append(g, (void **)&g->value, &g->values, &g->value_room, sizeof *v);
    if (v == NULL) return NULL;
    v->kind = kind;
    v->view = (sr_view){NULL, rows, cols, cols, type};
    v->node = v->base = v->last_use = v->needed = -1;
    return v;
}

sr_value sr_graph_param(sr_graph *g, int first, int count) {
    if (g->status != SARTOR_OK || first < 0) return -1;
    const sr_param *p = &g->schema->param[first];
    int64_t rows = 0;
    bool trained = false;
    for (int i = 0; i < count; i++) {
        rows += p[i].rows;
        trained = trained || p[i].trained;
    }
    value *v = new_value(g, VALUE_PARAM, rows, p->cols, sr_kind_type(SR_REAL, g->options.numbers));
    if (v == NULL) return -1;
    v->first_param = first;
    v->param_count = count;
    v->gradient = g->options.train && trained;
    return g->values - 1;
}

sr_value sr_graph_ids(sr_graph *g) {
    value *v = new_value(g, VALUE_IDS, g->options.batch * g->options.length, 1, SR_I32);
    return v == NULL ? -1 : g->values - 1;
}

sr_value sr_graph_external(sr_graph *g, int index, int64_t rows, int64_t cols) {
    value *v = new_value(g, VALUE_EXTERNAL, rows, cols, sr_kind_type(SR_REAL, g->options.numbers));
    if (v == NULL) return -1;
    v->external = index;
    return g->values - 1;
}

sr_value sr_graph_slice(sr_graph *g, sr_value base, int64_t column, int64_t columns) {
    if (base < 0 || g->status != SARTOR_OK) return -1;
    sr_view whole = g->value[base].view;
    if (column == 0 && columns == whole.cols) return base;
    bool gradient = g->value[base].gradient;
    value *v = new_value(g, VALUE_SLICE, whole.rows, columns, whole.type);
    if (v == NULL) return -1;
    v->base = base;
    v->column = column;
    v->gradient = gradient;
    return g->values - 1;
}

int sr_graph_state(sr_graph *g, int64_t capacity, int64_t width, bool cache) {
    if (!g->options.decode || g->status != SARTOR_OK) return -1;
    state_piece *s = append(g, (void **)&g->state, &g->states, &g->state_room, sizeof *s);
    if (s == NULL) return -1;
    *s = (state_piece){capacity, width, cache};
    return g->states - 1;
}

/* A parameter beside bf16 activations is read as bf16 (matrix products round their weights). */
static void round_weights(const sr_graph *g, sr_call *c, const sr_op *op) {
    if (g->options.numbers != SR_FAST_BF16 || c->in[0].type != SR_BF16) return;
    for (int i = 0; i < op->n_in; i++)
        if ((op->weights >> i & 1) && c->in[i].cols > 0) c->in[i].type = SR_BF16;
}

sr_value sr_graph_op(sr_graph *g, const char *name, sr_attr attr, const sr_value *inputs,
                     const int *states) {
    if (g->status != SARTOR_OK) return -1;
    const sr_op *op = sr_op_find(name);
    node n = {
        .op = op, .out = -1, .saved_offset = -1, .forward_scratch = -1, .backward_scratch = -1};
    sr_call *c = &n.forward_call;
    c->attr = attr;
    c->batch = g->options.batch;
    c->length = g->options.length;
    c->threads = g->options.threads;
    c->numbers = g->options.numbers;
    bool gradient = false;
    for (int i = 0; i < SR_MAX_IN; i++) {
        n.in[i] = i < op->n_in ? inputs[i] : SR_NO_VALUE;
        if (n.in[i] == -1) return -1;
        if (n.in[i] == SR_NO_VALUE) continue;
        value *v = &g->value[n.in[i]];
        c->in[i] = v->view;
        gradient = gradient || (v->gradient && !(op->constants >> i & 1));
        v->uses++;
        v->last_use = g->nodes;
    }
    round_weights(g, c, op);
    for (int i = 0; i < SR_MAX_STATE; i++) {
        n.state[i] = i < op->n_state && g->options.decode ? states[i] : -1;
        if (n.state[i] < 0) continue;
        const state_piece *s = &g->state[n.state[i]];
        c->state[i].capacity = s->capacity;
        c->state[i].width = s->width;
    }
    g->status = op->check(g->ctx, c);
    if (g->status != SARTOR_OK) return -1;
    n.backward = gradient && g->options.train && !op->no_output;
    int index = g->nodes;
    if (!op->no_output) {
        value *out = new_value(g, VALUE_NODE, c->out.rows, c->out.cols, c->out.type);
        if (out == NULL) return -1;
        out->node = index;
        out->gradient = n.backward;
        n.out = g->values - 1;
    }
    node *place_for = append(g, (void **)&g->node, &g->nodes, &g->node_room, sizeof n);
    if (place_for == NULL) return -1;
    *place_for = n;
    return n.out;
}

void sr_graph_output(sr_graph *g, sr_value v) {
    if (g->status == SARTOR_OK && v >= 0) g->value[v].output = true;
}
