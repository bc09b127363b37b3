/* Running: addresses once, then kernels in order. */
#include "base/clock.h"
#include "base/memory.h"
#include "graph/internal.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static char *element(void *base, int64_t index, sr_dtype type) {
    return (char *)base + index * (int64_t)sr_dtype_bytes(type);
}

static void *data_of(const sr_graph *g, int index, bool rounded) {
    const value *v = &g->value[index];
    if (v->kind == VALUE_PARAM) {
        int64_t offset = g->schema->param[v->first_param].offset;
        return rounded ? element(g->bound.params_bf16, offset, SR_BF16)
                       : element(g->bound.params, offset, v->view.type);
    }
    if (v->kind == VALUE_EXTERNAL) return g->bound.external[v->external];
    const value *root = &g->value[v->data.root];
    if (root->kind == VALUE_EXTERNAL || root->kind == VALUE_PARAM)
        return element(data_of(g, v->data.root, rounded), v->data.column, v->view.type);
    return element((char *)g->bound.arena + root->data_offset, v->data.column, v->view.type);
}

static void *grad_of(const sr_graph *g, int index) {
    const value *v = &g->value[index];
    if (!v->gradient) return NULL;
    if (v->kind == VALUE_PARAM)
        return element(g->bound.grads, g->schema->param[v->first_param].offset, v->view.type);
    return element((char *)g->bound.arena + g->value[v->grad.root].grad_offset, v->grad.column,
                   v->view.type);
}

static void *in_arena(const sr_graph *g, int64_t offset) {
    return offset < 0 ? NULL : (char *)g->bound.arena + offset;
}

void sr_graph_bind(sr_graph *g, const sr_bindings *bindings) {
    g->bound = *bindings;
    for (int i = 0; i < g->nodes; i++) {
        node *n = &g->node[i];
        sr_call *f = &n->forward_call, *b = &n->backward_call;
        for (int k = 0; k < n->op->n_in; k++)
            if (n->in[k] >= 0) f->in[k].data = data_of(g, n->in[k], f->in[k].type == SR_BF16);
        if (n->out >= 0) f->out.data = data_of(g, n->out, false);
        for (int k = 0; k < SR_MAX_STATE; k++) {
            if (n->state[k] < 0) continue;
            f->state[k].data = bindings->state[n->state[k]];
            f->state[k].type = g->state[n->state[k]].cache
                                   ? bindings->cache
                                   : sr_kind_type(SR_REAL, g->options.numbers);
        }
        f->saved = in_arena(g, n->saved_offset);
        f->scratch = in_arena(g, n->forward_scratch);
        if (!n->backward) continue;
        memcpy(b->in, f->in, sizeof b->in);
        b->out = f->out;
        b->saved = f->saved;
        b->scratch = in_arena(g, n->backward_scratch);
        b->dout.data = grad_of(g, n->out);
        for (int k = 0; k < n->op->n_in; k++)
            b->din[k].view.data =
                n->in[k] >= 0 && !(n->op->constants >> k & 1) ? grad_of(g, n->in[k]) : NULL;
    }
}

int32_t *sr_graph_ids_data(const sr_graph *g, sr_value ids) { return data_of(g, ids, false); }

sr_view sr_graph_view(const sr_graph *g, sr_value v) {
    sr_view view = g->value[v].view;
    view.data = data_of(g, v, false);
    return view;
}

static void timed(sr_graph *g, const node *n, sr_kernel kernel, const sr_call *call,
                  bool backward) {
    if (!g->profile) {
        kernel(call);
        return;
    }
    double start = sr_seconds();
    kernel(call);
    double seconds = sr_seconds() - start;
    sr_op_time *t = &g->times[n->times];
    *(backward ? &t->backward : &t->forward) += seconds;
    t->calls += !backward;
}

void sr_graph_forward(sr_graph *g, int64_t position) {
    omp_set_num_threads(g->options.threads);
    for (int i = 0; i < g->nodes; i++) {
        node *n = &g->node[i];
        if (n->backward && n->op->backward_writes_out) continue;
        n->forward_call.position = position;
        timed(g, n, sr_kernel_pick(&n->op->forward, g->options.numbers), &n->forward_call, false);
    }
}

static void fill(sr_view *view, double x) {
    for (int64_t r = 0; r < view->rows; r++)
        for (int64_t c = 0; c < view->cols; c++) {
            int64_t at = r * view->stride + c;
            if (view->type == SR_F64)
                ((double *)view->data)[at] = x;
            else
                ((float *)view->data)[at] = (float)x;
        }
}

void sr_graph_backward(sr_graph *g, sr_value v, double seed, bool add) {
    omp_set_num_threads(g->options.threads);
    const sr_dtype real = sr_kind_type(SR_REAL, g->options.numbers);
    for (int p = 0; p < g->schema->count && !add; p++)
        if (g->param_zero[p])
            memset(element(g->bound.grads, g->schema->param[p].offset, real), 0,
                   (size_t)(g->schema->param[p].rows * g->schema->param[p].cols) *
                       sr_dtype_bytes(real));
    int last = g->value[v].node;
    fill(&g->node[last].backward_call.dout, seed);
    for (int i = last; i >= 0; i--) {
        node *n = &g->node[i];
        if (!n->backward) continue;
        for (int k = 0; k < n->op->n_in; k++)
            if (n->in[k] >= 0 && g->value[n->in[k]].kind == VALUE_PARAM)
                n->backward_call.din[k].add = add || n->keep_gradient_add[k];
        timed(g, n, sr_kernel_pick(&n->op->backward, g->options.numbers), &n->backward_call, true);
    }
}

void sr_graph_profile(sr_graph *g, bool on) {
    g->profile = false;
    if (!on) return;
    free(g->times);
    g->time_count = 0;
    g->times = calloc((size_t)g->nodes + 1, sizeof *g->times);
    if (g->times == NULL) return;
    for (int i = 0; i < g->nodes; i++) {
        int t = 0;
        while (t < g->time_count && strcmp(g->times[t].op, g->node[i].op->name) != 0) t++;
        if (t == g->time_count) g->times[g->time_count++].op = g->node[i].op->name;
        g->node[i].times = t;
    }
    g->profile = true;
}

int sr_graph_times(const sr_graph *g, sr_op_time *times, int room) {
    int n = g->time_count < room ? g->time_count : room;
    for (int i = 0; i < n; i++) times[i] = g->times[i];
    return n;
}
