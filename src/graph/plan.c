/* Planning: who may lie in whose memory, how long everything lives, and where.
 *
 * Time runs 0..nodes-1 forward and nodes..2*nodes-1 backward. Every block (activation, gradient,
 * saved statistics, scratch) has a first and a last time; blocks whose times overlap get disjoint
 * addresses, largest first, each as low as possible. */
#include "base/memory.h"
#include "graph/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct block {
    int64_t bytes, offset;
    int from, to;
    int64_t *where; /* receives the offset */
} block;

typedef struct blocks {
    block *b;
    int n;
} blocks;

static void add_block(blocks *all, int64_t bytes, int from, int to, int64_t *where) {
    if (bytes <= 0) return;
    all->b[all->n++] = (block){aligned(bytes), 0, from, to, where};
}

static int larger_first(const void *a, const void *b) {
    const block *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->where < y->where ? -1 : x->where > y->where; /* a stable order */
}

static int lower_first(const void *a, const void *b) {
    const block *x = *(block *const *)a, *y = *(block *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static sartor_status place_blocks(sr_graph *g, blocks *all) {
    block **near;
    SR_TRY(sr_alloc(g->ctx, (size_t)all->n, sizeof *near, "a memory plan", (void **)&near));
    qsort(all->b, (size_t)all->n, sizeof *all->b, larger_first);
    g->arena_bytes = 0;
    for (int i = 0; i < all->n; i++) {
        block *b = &all->b[i];
        int m = 0;
        for (int j = 0; j < i; j++)
            if (all->b[j].from <= b->to && b->from <= all->b[j].to) near[m++] = &all->b[j];
        qsort(near, (size_t)m, sizeof *near, lower_first);
        for (int j = 0; j < m; j++) {
            if (near[j]->offset >= b->offset + b->bytes) break;
            int64_t end = near[j]->offset + near[j]->bytes;
            b->offset = end > b->offset ? end : b->offset;
        }
        *b->where = b->offset;
        if (b->offset + b->bytes > g->arena_bytes) g->arena_bytes = b->offset + b->bytes;
    }
    free(near);
    return SARTOR_OK;
}

/* When the data of each value is read for the last time. */
static void find_needs(sr_graph *g) {
    for (int i = 0; i < g->nodes; i++) {
        const node *n = &g->node[i];
        for (int k = 0; k < n->op->n_in; k++) {
            if (n->in[k] < 0) continue;
            value *v = &g->value[n->in[k]];
            int time = n->backward && (n->op->backward_in >> k & 1) ? backward_time(g, i) : i;
            v->needed = time > v->needed ? time : v->needed;
        }
        if (n->out < 0) continue;
        value *out = &g->value[n->out];
        int time = n->backward && (n->op->backward_out || n->op->backward_writes_out)
                       ? backward_time(g, i)
                       : i;
        out->needed = time > out->needed ? time : out->needed;
    }
    for (int i = 0; i < g->values; i++)
        if (g->value[i].output) g->value[i].needed = 2 * g->nodes;
}

static bool same_shape(const sr_view *a, const sr_view *b) {
    return a->rows == b->rows && a->cols == b->cols && a->type == b->type;
}

/* May the result of node i overwrite its input k? The input is made inside the graph, nobody reads
 * it afterwards, and what produced it does not look at it again. */
static bool in_place(const sr_graph *g, int i, int k) {
    const node *n = &g->node[i];
    const value *v = &g->value[n->in[k]];
    if (v->kind != VALUE_NODE && v->kind != VALUE_SLICE) return false;
    if (v->needed != i || v->last_use != i) return false;
    const value *made = v->kind == VALUE_SLICE ? &g->value[v->base] : v;
    if (made->kind != VALUE_NODE || made->output) return false;
    const node *producer = &g->node[made->node];
    if (producer->backward && producer->op->backward_out) return false;
    return same_shape(&v->view, &g->value[n->out].view);
}

static void choose_places(sr_graph *g) {
    for (int i = 0; i < g->values; i++) {
        value *v = &g->value[i];
        v->data = v->grad = (place){i, 0};
        if (v->kind == VALUE_SLICE) {
            const value *base = &g->value[v->base];
            v->data = (place){base->data.root, base->data.column + v->column};
            v->grad = (place){base->grad.root, base->grad.column + v->column};
        }
        if (v->kind != VALUE_NODE) continue;
        const node *n = &g->node[v->node];
        for (int k = 0; k < n->op->n_in; k++) {
            if (n->in[k] < 0) continue;
            const value *in = &g->value[n->in[k]];
            if ((n->op->in_place >> k & 1) && in_place(g, v->node, k)) v->data = in->data;
            if (!n->backward || !in->gradient || !same_shape(&in->view, &v->view)) continue;
            bool only = in->uses == 1, last = in->last_use == v->node;
            if (((n->op->gradient_in_place >> k & 1) && only) ||
                ((n->op->gradient_is >> k & 1) && last))
                v->grad = in->grad;
        }
    }
    for (int i = 0; i < g->values; i++)
        g->value[i].view.stride = g->value[g->value[i].data.root].view.cols;
}

static void extend(int *from, int *to, int time) {
    if (time < *from) *from = time;
    if (time > *to) *to = time;
}

/* From when to when the memory of each root holds something. */
static void find_lives(sr_graph *g) {
    for (int i = 0; i < g->values; i++) {
        value *v = &g->value[i];
        v->data_from = v->grad_from = 2 * g->nodes + 1;
        v->data_to = v->grad_to = -1;
    }
    for (int i = 0; i < g->values; i++) {
        const value *v = &g->value[i];
        value *root = &g->value[v->data.root];
        extend(&root->data_from, &root->data_to,
               v->kind == VALUE_NODE    ? v->node
               : v->kind == VALUE_SLICE ? root->data_from
                                        : 0);
        extend(&root->data_from, &root->data_to, v->needed);
        if (v->kind == VALUE_IDS) root->data_from = 0, root->data_to = 2 * g->nodes;
    }
    for (int i = 0; i < g->nodes; i++) {
        const node *n = &g->node[i];
        if (!n->backward) continue;
        value *out = &g->value[g->value[n->out].grad.root];
        extend(&out->grad_from, &out->grad_to, backward_time(g, i));
        for (int k = 0; k < n->op->n_in; k++) {
            if (n->in[k] < 0 || !g->value[n->in[k]].gradient) continue;
            value *in = &g->value[g->value[n->in[k]].grad.root];
            extend(&in->grad_from, &in->grad_to, backward_time(g, i));
        }
    }
}

/* Which gradients are written for the first time by whom: everybody else adds. */
static sartor_status order_gradients(sr_graph *g) {
    bool *started, *param_started;
    SR_TRY(sr_alloc(g->ctx, (size_t)g->values + (size_t)g->schema->count, 1, "a plan",
                    (void **)&started));
    param_started = started + g->values;
    SR_TRY(sr_alloc(g->ctx, (size_t)g->schema->count, 1, "a plan", (void **)&g->param_zero));
    for (int i = g->nodes - 1; i >= 0; i--) {
        node *n = &g->node[i];
        if (!n->backward) continue;
        for (int k = 0; k < n->op->n_in; k++) {
            if (n->in[k] < 0 || !g->value[n->in[k]].gradient || (n->op->constants >> k & 1))
                continue;
            const value *v = &g->value[n->in[k]];
            sr_grad *d = &n->backward_call.din[k];
            if (v->kind != VALUE_PARAM) {
                d->add = started[n->in[k]];
                started[n->in[k]] = true;
                continue;
            }
            int before = 0;
            for (int p = 0; p < v->param_count; p++) before += param_started[v->first_param + p];
            d->add = before > 0;
            for (int p = 0; p < v->param_count; p++) {
                if (before > 0 && !param_started[v->first_param + p])
                    g->param_zero[v->first_param + p] = true;
                param_started[v->first_param + p] = true;
            }
        }
    }
    for (int p = 0; p < g->schema->count; p++)
        if (!param_started[p]) g->param_zero[p] = true;
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < g->values;
         i++) /* a slice nobody uses would leave its base's gradient open */
        if (g->value[i].kind == VALUE_SLICE && g->value[i].gradient && !started[i])
            status = sr_fail(g->ctx, SARTOR_INVALID, "graph: part of a value is never used");
    free(started);
    return status;
}

/* Fills in strides, makes primitives ready and asks for scratch. */
static sartor_status complete_calls(sr_graph *g, blocks *all) {
    const int64_t real = (int64_t)sr_dtype_bytes(sr_kind_type(SR_REAL, g->options.numbers));
    for (int i = 0; i < g->nodes; i++) {
        node *n = &g->node[i];
        sr_call *f = &n->forward_call, *b = &n->backward_call;
        for (int k = 0; k < n->op->n_in; k++)
            if (n->in[k] >= 0) f->in[k].stride = g->value[n->in[k]].view.stride;
        if (n->out >= 0) f->out.stride = g->value[n->out].view.stride;
        if (n->op->prepare != NULL) SR_TRY(n->op->prepare(g->ctx, f, false));
        if (n->op->scratch != NULL) {
            if (g->options.decode) f->position = SR_POSITION_ANY;
            add_block(all, n->op->scratch(f, false), i, i, &n->forward_scratch);
            f->position = 0;
        }
        if (!n->backward) continue;
        if (n->op->saved != NULL)
            add_block(all, n->op->saved(f) * real, i, backward_time(g, i), &n->saved_offset);
        sr_grad planned[SR_MAX_IN];
        memcpy(planned, b->din, sizeof planned);
        *b = *f;
        memcpy(b->din, planned, sizeof planned);
        b->dout = f->out;
        b->dout.stride = g->value[g->value[n->out].grad.root].view.cols;
        for (int k = 0; k < n->op->n_in; k++) {
            if (n->in[k] < 0) continue;
            const value *v = &g->value[n->in[k]];
            b->din[k].view = v->view;
            b->din[k].view.stride = g->value[v->grad.root].view.cols;
            n->keep_gradient_add[k] = b->din[k].add;
        }
        if (n->op->prepare != NULL) SR_TRY(n->op->prepare(g->ctx, b, true));
        int time = backward_time(g, i);
        if (n->op->scratch != NULL)
            add_block(all, n->op->scratch(b, true), time, time, &n->backward_scratch);
    }
    return SARTOR_OK;
}

sartor_status sr_graph_plan(sr_graph *g) {
    SR_TRY(g->status);
    blocks all = {NULL, 0};
    find_needs(g);
    choose_places(g);
    find_lives(g);
    if (g->options.train) SR_TRY(order_gradients(g));
    SR_TRY(sr_alloc(g->ctx, (size_t)(2 * g->values + 3 * g->nodes), sizeof *all.b, "a memory plan",
                    (void **)&all.b));
    for (int i = 0; i < g->values; i++) {
        value *v = &g->value[i];
        int64_t bytes = v->view.rows * v->view.cols * (int64_t)sr_dtype_bytes(v->view.type);
        bool ours = v->kind == VALUE_NODE || v->kind == VALUE_IDS;
        if (ours && v->data.root == i)
            add_block(&all, bytes, v->data_from, v->data_to, &v->data_offset);
        if (v->kind == VALUE_NODE && v->grad.root == i && v->gradient)
            add_block(&all, bytes, v->grad_from, v->grad_to, &v->grad_offset);
    }
    sartor_status status = complete_calls(g, &all);
    if (status == SARTOR_OK) status = place_blocks(g, &all);
    free(all.b);
    return status;
}

int64_t sr_graph_arena_bytes(const sr_graph *g) { return g->arena_bytes; }
int sr_graph_states(const sr_graph *g) { return g->states; }

int64_t sr_graph_state_bytes(const sr_graph *g, int state, sr_dtype cache) {
    const state_piece *s = &g->state[state];
    sr_dtype real = sr_kind_type(SR_REAL, g->options.numbers);
    return g->options.batch * s->capacity * s->width *
           (int64_t)sr_dtype_bytes(s->cache ? cache : real);
}

double sr_graph_flops(const sr_graph *g) {
    double sum = 0;
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i].op->flops != NULL) sum += g->node[i].op->flops(&g->node[i].forward_call);
    return sum;
}
