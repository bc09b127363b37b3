#include "growth_tools.h"

#include "base/rng.h"
#include "model/decoder.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const sr_sizes growth_sizes = {
    .width = 16, .head_dim = 4, .window = 5, .vocab = 11, .context = 24, .filter_length = 24};
enum { BATCH = 2, LENGTH = 24 };

static const char *const sharing[] = {
    "1.1.2.1.2-1.1.2.1.2-9.1.2.1.2-9.1.2.1.2",
    "2.1.1.1.4-2.1.1.1.4-1.1.1.1.4",
    "3.1.2.1.3-9.1.1.1.1-3.1.2.1.3",
    "5.1.2.1.2-5.1.2.1.3-5.1.1.1.4",
    "7.1.2.1.4-8.1.1.1.4-7.1.2.1.2-8.1.2.1.3-8.1.2.1.1",
    "10.1.2.1.2-10.1.2.1.4-14.1.2.2.2-14.1.2.2.2-16.1.2.1.4-16.1.2.1.4",
    "65.1.2.1.4-1.1.1.1.4-67.1.1.1.2-65.1.2.1.1",
    "77.1.2.1.2-77.1.2.1.4",
    "78.1.2.1.4-79.1.2.1.2-78.1.2.1.2-79.1.2.1.2-78.1.1.1.3",
    "80.1.2.1.2-80.1.2.1.3",
    "82.1.2.1.4-82.1.1.1.4",
    "84.1.2.1.4-84.1.2.1.2",
    "69.1.2.1.1-69.1.2.1.1-75.1.2.1.1-75.1.2.1.1",
};

const char *growth_arch(int i, char text[96]) {
    if (i < sr_class_count())
        snprintf(text, 96, "%s GMemless", sr_class_get(i + 1)->name);
    else if (i < sr_class_count() + (int)(sizeof sharing / sizeof *sharing))
        snprintf(text, 96, "%s", sharing[i - sr_class_count()]);
    else
        return NULL;
    return text;
}

static double coarse(double x) { return round(x * 4096) / 4096; }

sr_model *growth_model(sartor_context *ctx, const char *arch, const sr_sizes *sizes) {
    sr_model *m = model_make(ctx, arch, sizes, 5);
    const sr_rng rng = {78, SR_FOR_TEST, 0};
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        for (int64_t k = p->offset; p->trained && k < p->offset + p->rows * p->cols; k++) {
            const double z = sr_rng_normal(rng, (uint64_t)k);
            if (p->embedding)
                m->params[k] = (float)coarse(0.02 * z);
            else if (p->decay)
                m->params[k] = (float)coarse(z / sqrt((double)p->cols));
            else
                m->params[k] = (float)coarse((double)m->params[k] + 0.3 * z);
        }
    }
    return m;
}

sr_growth *growth_of(sartor_context *ctx, const sr_model *model, const char *text,
                     bool approximate) {
    sr_growth_request request;
    sr_growth *g = NULL;
    if (sr_growth_request_parse(ctx, text, strlen(text), &request) != SARTOR_OK) return NULL;
    request.approximate = approximate;
    if (sr_growth_plan(ctx, model, &request, &g) == SARTOR_OK) {
        if (sr_model_allocate(ctx, g->to) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
        sr_model_init(g->to, 99);
        sr_growth_weights(g, model->params, g->to->params);
    }
    sr_growth_request_free(&request);
    return g;
}

sr_growth *growth_must(sartor_context *ctx, const sr_model *model, const char *what,
                       const char *request, bool approximate) {
    sr_growth *g = growth_of(ctx, model, request, approximate);
    if (g == NULL) fail_msg("%s, %s: %s", what, request, sartor_error(ctx));
    return g;
}

uint8_t *growth_entries(const sr_growth *g) {
    enum { OLD = 1, DRAWN = 7 };
    const size_t n = (size_t)g->to->schema.elements, old = (size_t)g->from->schema.elements;
    float *from = calloc(old, sizeof *from), *to = calloc(n, sizeof *to);
    uint8_t *entry = calloc(n, 1);
    for (size_t i = 0; i < old; i++) from[i] = OLD;
    for (size_t i = 0; i < n; i++) to[i] = DRAWN;
    sr_growth_weights(g, from, to);
    sr_growth_generations(g, NULL, 1, entry);
    for (int p = 0; p < g->to->schema.count; p++) {
        const sr_param *t = &g->to->schema.param[p];
        const int64_t end = t->offset + t->rows * t->cols;
        const bool new = g->tensor[p].from == NULL;
        int64_t place[SR_MAX_AXES];
        for (int64_t i = t->offset; i < end; i++)
            if (entry[i] != 0)
                entry[i] = to[i] == 0                                         ? GROWTH_ZERO
                           : to[i] != OLD || new                              ? GROWTH_FREE
                           : growth_new_axes(g, p, i - t->offset, place) == 0 ? GROWTH_OLD
                                                                              : GROWTH_TAKEN;
    }
    free(from);
    free(to);
    return entry;
}

unsigned growth_new_axes(const sr_growth *g, int param, int64_t index, int64_t place[SR_MAX_AXES]) {
    const sr_grown_tensor *t = &g->tensor[param];
    unsigned axes = 0;
    for (int a = t->to->axes - 1; a >= 0; a--) {
        place[a] = index % t->to->axis[a].size;
        index /= t->to->axis[a].size;
        if (t->from == NULL || t->map[a][place[a]] < 0) axes |= 1u << a;
    }
    return axes;
}

void growth_tokens(int32_t *ids, int64_t n, int64_t vocab, uint64_t seed) {
    const sr_rng rng = {seed, SR_FOR_TEST, 0};
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)sr_rng_below(rng, (uint64_t)i, (uint64_t)vocab);
}

static double at(const sr_view *v, sr_numbers numbers, int64_t row, int64_t col) {
    const int64_t i = row * v->stride + col;
    return numbers == SR_TRUTH_F64 ? ((double *)v->data)[i] : (double)((float *)v->data)[i];
}

static void note(growth_difference *d, double a, double b) {
    if (!(fabs(a - b) <= d->worst)) d->worst = fabs(a - b);
    d->largest = fmax(d->largest, fabs(a));
}

growth_difference growth_compare(sartor_context *ctx, sr_model *a, sr_model *b,
                                 sr_numbers numbers) {
    int32_t ids[BATCH * LENGTH];
    growth_difference d = {0, 0};
    model_run x = model_run_make(ctx, a, numbers, SR_GRAPH_LOGITS, BATCH, LENGTH, false, 1),
              y = model_run_make(ctx, b, numbers, SR_GRAPH_LOGITS, BATCH, LENGTH, false, 1);
    growth_tokens(ids, BATCH * LENGTH, a->sizes.vocab, 3);
    model_run_go(&x, ids, NULL);
    model_run_go(&y, ids, NULL);
    const sr_view u = sr_graph_view(x.graph.graph, x.graph.out),
                  v = sr_graph_view(y.graph.graph, y.graph.out);
    for (int64_t i = 0; i < u.rows; i++)
        for (int64_t j = 0; j < u.cols; j++) note(&d, at(&u, numbers, i, j), at(&v, numbers, i, j));
    model_run_free(&x);
    model_run_free(&y);
    return d;
}

growth_difference growth_compare_steps(sartor_context *ctx, sr_model *a, sr_model *b) {
    static const int64_t chunks[] = {7, 1, 1, 12, 1, 1, 1};
    int32_t ids[LENGTH];
    growth_difference d = {0, 0};
    model_run whole = model_run_make(ctx, a, SR_FAST_F32, SR_GRAPH_LOGITS, 1, LENGTH, false, 1);
    sr_decoder *decoder;
    const sr_decoder_options options = {LENGTH, SR_F32, SR_FAST_F32, 1};
    growth_tokens(ids, LENGTH, a->sizes.vocab, 3);
    model_run_go(&whole, ids, NULL);
    const sr_view u = sr_graph_view(whole.graph.graph, whole.graph.out);
    if (sr_decoder_create(ctx, b, &options, &decoder) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    for (int k = 0; k < 7; k++) {
        const float *logits;
        if (sr_decoder_feed(ctx, decoder, ids + sr_decoder_position(decoder), chunks[k], &logits) !=
            SARTOR_OK)
            fail_msg("%s", sartor_error(ctx));
        for (int64_t j = 0; j < u.cols; j++)
            note(&d, at(&u, SR_FAST_F32, sr_decoder_position(decoder) - 1, j), (double)logits[j]);
    }
    sr_decoder_destroy(&decoder);
    model_run_free(&whole);
    return d;
}

void growth_expect_same(sartor_context *ctx, sr_model *a, sr_model *b, const char *what,
                        const char *request, bool averaged) {
    const growth_difference truth = growth_compare(ctx, a, b, SR_TRUTH_F64);
    if (!(truth.worst <= (averaged ? 1e-12 * (1 + truth.largest) : 0)))
        fail_msg("%s, %s: f64 logits differ by %.3g of %.3g", what, request, truth.worst,
                 truth.largest);
    const growth_difference fast = growth_compare(ctx, a, b, SR_FAST_F32);
    if (!(fast.worst <= 1e-5 * (1 + fast.largest)))
        fail_msg("%s, %s: f32 logits differ by %.3g of %.3g", what, request, fast.worst,
                 fast.largest);
}

void growth_expect_same_steps(sartor_context *ctx, sr_model *a, sr_model *b, const char *what,
                              const char *request) {
    const growth_difference d = growth_compare_steps(ctx, a, b);
    if (!(d.worst <= 1e-4 * (1 + d.largest)))
        fail_msg("%s, %s: logits after steps differ by %.3g of %.3g", what, request, d.worst,
                 d.largest);
}

bool growth_has_axis(const sr_model *m, sr_axis_kind kind) {
    for (int i = 0; i < m->genome.n; i++)
        if (m->units[i].size.axis[kind] > 0) return true;
    return kind == SR_AXIS_MODEL;
}

int growth_param(const sr_schema *s, const char *name) {
    const int i = sr_schema_find(s, name);
    if (i < 0) fail_msg("no tensor %s", name);
    return i;
}

const float *growth_tensor(const sr_model *m, const char *name, int64_t *n) {
    const sr_param *p = &m->schema.param[growth_param(&m->schema, name)];
    *n = p->rows * p->cols;
    return m->params + p->offset;
}
