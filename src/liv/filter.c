/* Implicit long filters (Hyena, Poli et al. 2023): a small sine network of the position, times an
 * exponential window: h[s][c] = net(features(s))[c] * exp(-s |decay_c| / (P-1)).
 *
 * Featurizer 8 computes its features. In the filters of the MAD benchmark (Poli et al. 2024) they
 * are trained, all layers have one vector of frequencies, and a skip is added at lag 0. A filter
 * depends on parameters alone, so decoding computes it once and keeps it. */
#include "liv/internal.h"

#include <math.h>
#include <stdio.h>

sr_filter sr_filter_of(const sr_unit *u, const sr_sizes *sizes) {
    const int64_t *size = u->size.axis;
    sr_filter f = {size[SR_AXIS_CHANNEL], size[SR_AXIS_FEATURE], size[SR_AXIS_RANK], true, 0};
    switch (u->class_->code.featurizer) {
    case 8:
        f.learned = false;
        f.band = u->class_->code.sparsity == 2 ? sizes->window : 0;
        break;
    case 20:
        break;
    case 21:
        f.channels = size[SR_AXIS_HEAD];
        break;
    case 22:
        f.channels = size[SR_AXIS_VALUE] * size[SR_AXIS_EXPERT];
        break;
    default:
        f.channels = 0;
        break;
    }
    return f;
}

/* The features as a parameter, with Hyena's lowest frequency. */
static sartor_status declare_positions(sr_declare *d) {
    const sr_axis axis[] = {
        {SR_AXIS_POSITION, SR_ALONG, SR_BETWEEN_OPEN, d->sizes->filter_length},
        sr_unit_axis(d->unit, SR_AXIS_FEATURE, SR_WRITES, SR_BETWEEN_LINEAR),
    };
    return sr_declare_tensor(d, SR_SLOT_FILTER_POSITIONS, "filter.positions", SR_REST,
                             (sr_init){SR_INIT_POSITIONS, 1e-4, 0}, false, 2, axis);
}

/* The frequencies of a layer's sines, or the first layer's. */
static sartor_status declare_frequencies(sr_declare *d, const sr_filter *f, int layer,
                                         const char *name, const sr_axis *along) {
    const sr_slot first = SR_SLOT_FILTER_IN + 2, slot = first + 3 * layer;
    if (f->learned && layer > 0) {
        d->unit->slot[d->branch][slot] = d->unit->slot[d->branch][first];
        return SARTOR_OK;
    }
    sr_init init = {SR_INIT_CONSTANT, !f->learned && layer == 0 ? 10 : 1, 0};
    return sr_declare_vector(d, slot, f->learned ? "filter.freq" : name, SR_REST, init, 1, along);
}

/* Weight, bias and frequencies of every layer of the network. */
static sartor_status declare_layers(sr_declare *d, const sr_filter *f) {
    const sr_axis feature = sr_unit_axis(d->unit, SR_AXIS_FEATURE, SR_READS, SR_BETWEEN_LINEAR),
                  in = sr_unit_axis(d->unit, SR_AXIS_RANK, SR_READS, SR_BETWEEN_OPEN),
                  out = sr_unit_axis(d->unit, SR_AXIS_RANK, SR_WRITES, SR_BETWEEN_OPEN),
                  along = sr_unit_axis(d->unit, SR_AXIS_RANK, SR_ALONG, SR_BETWEEN_OPEN);
    for (int layer = 0; layer <= SR_FILTER_INNER; layer++) {
        sr_slot slot = (sr_slot)(SR_SLOT_FILTER_IN + 3 * layer);
        char name[32], level[16] = "in";
        if (layer > 0) snprintf(level, sizeof level, "%d", layer - 1);
        double reach = 1 / sqrt((double)(layer == 0 ? f->features : f->width));
        sr_init uniform = {SR_INIT_UNIFORM, reach, 0};
        snprintf(name, sizeof name, "filter.%s.weight", level);
        SR_TRY(sr_declare_tensor(d, slot, name, SR_REST, uniform, false, 2,
                                 (sr_axis[]){out, layer == 0 ? feature : in}));
        snprintf(name, sizeof name, "filter.%s.bias", level);
        SR_TRY(sr_declare_vector(d, slot + 1, name, SR_REST, uniform, 1, &out));
        snprintf(name, sizeof name, "filter.%s.freq", level);
        SR_TRY(declare_frequencies(d, f, layer, name, &along));
    }
    return SARTOR_OK;
}

sartor_status sr_filter_declare(sr_declare *d, int axes, const sr_axis *channels) {
    const sr_filter f = sr_filter_of(d->unit, d->sizes);
    const sr_init uniform = {SR_INIT_UNIFORM, 1 / sqrt((double)f.width), 0},
                  window = {SR_INIT_LINEAR_RANGE, log(100) / 1.5, log(100) / 0.3};
    sr_axis out[SR_MAX_AXES];
    if (!f.learned && f.features % 2 == 0)
        return sr_fail(d->ctx, SARTOR_INVALID,
                       "LIV %d: %s computes an odd number of features of a position, not %d",
                       d->unit->index + 1, d->unit->class_->name, (int)f.features);
    if (f.learned) SR_TRY(declare_positions(d));
    SR_TRY(declare_layers(d, &f));
    for (int i = 0; i < axes; i++) out[i] = channels[i];
    out[axes] = sr_unit_axis(d->unit, SR_AXIS_RANK, SR_READS, SR_BETWEEN_OPEN);
    SR_TRY(sr_declare_tensor(d, SR_SLOT_FILTER_OUT, "filter.out.weight", SR_REST, uniform, false,
                             axes + 1, out));
    for (int i = 0; i < axes; i++) out[i].role = SR_ALONG;
    if (f.learned)
        SR_TRY(sr_declare_vector(d, SR_SLOT_FILTER_SKIP, "filter.skip", SR_REST,
                                 (sr_init){SR_INIT_NORMAL, 1, 0}, axes, out));
    return sr_declare_vector(d, SR_SLOT_FILTER_DECAY, "filter.decay", SR_REST, window, axes, out);
}

static sr_value emit(sr_build *b, const sr_unit *u, int branch) {
    const sr_filter f = sr_filter_of(u, b->sizes);
    const int64_t length = b->sizes->filter_length;
    sr_graph *g = b->graph;
    sr_attr filter = {.filter = {f.features, length, length, f.band}};
    sr_value z = f.learned ? sr_weight(b, u, branch, SR_SLOT_FILTER_POSITIONS)
                           : sr_graph_op(g, "position_features", filter, NULL, NULL);
    for (int layer = 0; layer <= SR_FILTER_INNER; layer++) {
        sr_slot slot = (sr_slot)(SR_SLOT_FILTER_IN + 3 * layer);
        sr_value in[3] = {z, sr_weight(b, u, branch, slot), SR_NO_VALUE};
        sr_value s[3] = {sr_graph_op(g, "linear", (sr_attr){.linear = {1, true}}, in, NULL),
                         sr_weight(b, u, branch, slot + 1), sr_weight(b, u, branch, slot + 2)};
        z = sr_graph_op(g, "sine", (sr_attr){.filter = {0}}, s, NULL);
    }
    sr_value last[3] = {z, sr_weight(b, u, branch, SR_SLOT_FILTER_OUT), SR_NO_VALUE};
    sr_value h[3] = {sr_graph_op(g, "linear", (sr_attr){.linear = {1, true}}, last, NULL),
                     sr_weight(b, u, branch, SR_SLOT_FILTER_DECAY),
                     f.learned ? sr_weight(b, u, branch, SR_SLOT_FILTER_SKIP) : SR_NO_VALUE};
    return sr_graph_op(g, "decay", filter, h, NULL);
}

/* Filters that a unit has of its own: another class may band the same weights differently, but
 * weights are shared within one class only. */
static int own_filters(const sr_unit *u) {
    const bool any = u->slot[0][SR_SLOT_FILTER_OUT] >= 0;
    if (!any || u->rest_owner != u->index) return 0;
    return u->class_->differential ? 2 : 1;
}

int sr_unit_filters(const sr_unit *units, int n) {
    int count = 0;
    for (int i = 0; i < n; i++) count += own_filters(&units[i]);
    return count;
}

/* The unit and branch of filter `index`; NULL when there are fewer. */
static const sr_unit *find_filter(const sr_unit *units, int n, int index, int *branch) {
    for (int i = 0; i < n; i++) {
        *branch = index;
        if (index < own_filters(&units[i])) return &units[i];
        index -= own_filters(&units[i]);
    }
    return NULL;
}

int64_t sr_unit_filter_elements(const sr_sizes *sizes, const sr_unit *units, int n, int index) {
    int branch;
    const sr_unit *u = find_filter(units, n, index, &branch);
    return u == NULL ? 0 : sizes->filter_length * sr_filter_of(u, sizes).channels;
}

sr_value sr_unit_filter(sr_build *b, int n, int index) {
    int branch;
    const sr_unit *u = find_filter(b->units, n, index, &branch);
    return u == NULL ? -1 : emit(b, u, branch);
}

/* The filter of a branch inside a model: emitted once per owner, or taken from outside. */
sr_value sr_filter_emit(sr_build *b, sr_unit *u, int branch) {
    sr_unit *owner = &b->units[u->rest_owner];
    if (owner != u) return owner->filter[branch];
    if (!b->external_filters) return u->filter[branch] = emit(b, u, branch);
    const int index = sr_unit_filters(b->units, u->index) + branch;
    return u->filter[branch] = sr_graph_external(b->graph, index, b->sizes->filter_length,
                                                 sr_filter_of(u, b->sizes).channels);
}
