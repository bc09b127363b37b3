/* gated_linear: recurrences on tiles of the state (gated_linear_tile.h), a segment of tokens at a
 * time. A segment's operands are brought into blocks of f32, padded with zeros, so that tiles have
 * no tails.
 *
 * Forward keeps the state before each segment. Backward goes through the segments from the last to
 * the first: from the kept state it makes the segment's states and the gradients of q, then walks
 * back with the gradient of the state for those of k, v and the decays. */
#include "op/kernel/gated_linear_segment.h"
#include "op/kernel/gated_linear_tile.h"

/* ---- forward ---- */

/* The states of a part's heads, one after another, from the decode state and back. */
static void move_states(const work *w, const part *p, bool back) {
    const sr_state *s = &w->c->state[0];
    for (int64_t h = p->first; h < p->last && s->data != NULL; h++)
        for (int64_t d = 0; d < w->K; d++) {
            float *there = (float *)s->data + (p->b * s->capacity + d) * s->width + h * w->columns,
                  *here = w->state + ((h - p->first) * w->kw + d) * w->vw;
            memcpy(back ? there : here, back ? here : there, (size_t)w->columns * sizeof(float));
        }
}

/* 1 / (q z + epsilon), from a row of q S. */
static float normaliser(const work *w, const float *sum) {
    return 1 / (sum[w->V] + (float)w->c->attr.gated_linear.epsilon);
}

static void give_results(const work *w, int64_t r, int64_t n, int64_t h) {
    const float skip = skip_of(w, h);
    for (int64_t i = 0; i < n; i++) {
        const float *sum = w->g + i * w->vw;
        const act *v = act_row(&w->c->in[SR_GL_V], r + i) + h * w->V;
        act *out = act_row(&w->c->out, r + i) + h * w->V;
        const float self = skip + step_at(w, r + i, h) * bonus_at(w, h / w->group, i, NULL, NULL);
        const float factor = w->normalised ? normaliser(w, sum) : 1;
        for (int64_t j = 0; j < w->V; j += VL) {
            const int m = w->V - j < VL ? (int)(w->V - j) : VL;
            act_store(out + j, v_loadf(sum + j) * factor + act_load(v + j, m) * self, m);
        }
    }
}

static void forward_head(const work *w, const part *p, int64_t h, int64_t s) {
    const sr_call *c = w->c;
    const int64_t r = p->b * c->length + s * w->segment, n = tokens_of(w, s);
    float *state = w->state + (h - p->first) * w->kw * w->vw;
    if (c->saved != NULL && s > 0)
        memcpy(state_before(w, p->b, h, s), state, (size_t)(w->K * w->vw) * sizeof(float));
    if (c->attr.gated_linear.decay != SR_DECAY_KEY) load_decays(w, r, n, h);
    load_values(w, r, n, h);
    fetch_next(w, p, h, s, false);
    for (int64_t j = 0; j < w->columns; j += VL)
        for (int64_t d = 0, rows; d < w->K; d += rows) {
            rows = tile_rows(w->K - d);
            tile_forward_of(&(tile){.n = n,
                                    .a = w->a + d,
                                    .in = w->k + d,
                                    .to = w->q + d,
                                    .lane = w->v + j,
                                    .out = w->g + j,
                                    .row_stride = w->kw,
                                    .lane_stride = w->vw,
                                    .m = state + d * w->vw + j,
                                    .m_stride = w->vw,
                                    .add = d > 0},
                            (int)rows, w->decays, w->before);
        }
    give_results(w, r, n, h);
}

static void forward_part(const work *w, const part *p) {
    const sr_call *c = w->c;
    memset(w->state, 0, (size_t)((p->last - p->first) * w->kw * w->vw) * sizeof(float));
    move_states(w, p, false);
    for (int64_t s = 0; s <= sr_gl_saves(c); s++) {
        const int64_t r = p->b * c->length + s * w->segment;
        load_keys(w, r, tokens_of(w, s), p->first / w->group);
        if (c->attr.gated_linear.decay == SR_DECAY_KEY)
            load_decays(w, r, tokens_of(w, s), p->first);
        for (int64_t h = p->first; h < p->last; h++) forward_head(w, p, h, s);
    }
    move_states(w, p, true);
}

/* This thread's share of all parts. */
static void share_parts(const sr_call *c, int64_t *low, int64_t *high) {
    sr_share(c->batch * c->attr.gated_linear.key_heads * sr_gl_parts(c), 1, low, high);
}

void SR_KERNEL(gated_linear_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
        const unsigned control = flush_denormals();
        const work w =
            work_of(c, (float *)c->scratch + omp_get_thread_num() * sr_gl_region_forward(c), false);
        int64_t low, high;
        share_parts(c, &low, &high);
        for (int64_t item = low; item < high; item++) {
            const part p = part_of_item(&w, item);
            forward_part(&w, &p);
        }
        restore_denormals(control);
    }
}

/* ---- backward ---- */

/* The results of the segment again, before they are divided, in dv: bf16 results would not do for
 * a difference as small as that of a value and the mean of values. */
static void recompute(const work *w, const float *before, int64_t n) {
    for (int64_t j = 0; j < w->columns; j += VL)
        for (int64_t d = 0, rows; d < w->K; d += rows) {
            float start[TILE * VL] = {0};
            rows = tile_rows(w->K - d);
            for (int64_t i = 0; before != NULL && i < rows && d + i < w->K; i++)
                v_storef(start + i * VL, v_loadf(before + (d + i) * w->vw + j));
            tile_forward_of(&(tile){.n = n,
                                    .a = w->a + d,
                                    .in = w->k + d,
                                    .to = w->q + d,
                                    .lane = w->v + j,
                                    .out = w->dv + j,
                                    .row_stride = w->kw,
                                    .lane_stride = w->vw,
                                    .m = start,
                                    .m_stride = VL,
                                    .add = d > 0},
                            (int)rows, w->decays, w->before);
        }
}

/* Gradients of the results; of a normalised result, those of its numerator and, behind them, of its
 * denominator. */
static void load_result_gradients(const work *w, const float *before, int64_t r, int64_t n,
                                  int64_t h) {
    const sr_view *g = &w->c->dout;
    if (w->normalised) recompute(w, before, n);
    for (int64_t i = 0; i < n; i++) {
        const float *sum = w->dv + i * w->vw;
        float *to = w->g + i * w->vw, factor = 1;
        if (w->normalised) factor = normaliser(w, sum);
        copy_in(act_row(g, r + i) + h * w->V, 0, 1, w->V, factor, to, w->vw, 1);
        if (!w->normalised) continue;
        vf product = {0};
        for (int64_t j = 0; j < w->columns; j += VL) product += v_loadf(to + j) * v_loadf(sum + j);
        to[w->V] = -v_sum(product) * factor;
    }
}

/* The gradient of the state of the head-th head of the group: rows are keys, or, transposed,
 * values. */
static float *state_gradient(const work *w, int64_t head, bool transposed) {
    return w->state + (2 * head + transposed) * w->kw * w->vw;
}

/* One tile of the gradients of q, k and the decays: rows j.. of values, VL keys from d. */
static void backward_tile(const work *w, const float *before, int64_t head, int64_t n, int64_t d,
                          int64_t j, int rows) {
    float start[TILE * VL];
    const int keys = w->K - d < VL ? (int)(w->K - d) : VL;
    for (int i = 0; i < rows; i++)
        v_storef(start + i * VL,
                 before != NULL ? gather(before + d * w->vw + j + i, w->vw, keys) : v_set(0));
    tile p = {.n = n,
              .a = w->a + d,
              .in = w->v + j,
              .to = w->g + j,
              .lane = w->k + d,
              .out = w->dq + d,
              .row_stride = w->vw,
              .lane_stride = w->kw,
              .m = start,
              .m_stride = VL,
              .states = w->states};
    tile_queries_of(&p, rows, w->decays, w->before);
    p.in = w->g + j;
    p.to = w->v + j;
    p.lane = w->q + d;
    p.out = w->dk + d;
    p.out2 = w->da + d;
    p.m = state_gradient(w, head, true) + j * w->kw + d;
    p.m_stride = w->kw;
    tile_keys_of(&p, rows, w->decays, w->before);
}

/* The gradients of values, steps and skip, and what the bonus gives to those of q and k. */
static void give_values(const work *w, int64_t r, int64_t n, int64_t h, float *dbonus,
                        float *dskip) {
    const sr_call *c = w->c;
    const sr_grad *dv = &c->din[SR_GL_V], *dstep = &c->din[SR_GL_STEP];
    const float skip = skip_of(w, h);
    for (int64_t i = 0; i < n; i++) {
        const float step = step_at(w, r + i, h), bonus = bonus_at(w, h / w->group, i, NULL, NULL);
        const act *v = act_row(&c->in[SR_GL_V], r + i) + h * w->V;
        vf products = {0}, self = {0};
        for (int64_t j = 0; j < w->V; j += VL) {
            const int m = w->V - j < VL ? (int)(w->V - j) : VL;
            const vf x = act_load(v + j, m), g = v_loadf(w->g + i * w->vw + j),
                     d = v_loadf(w->dv + i * w->vw + j);
            products += x * d;
            self += x * g;
            if (dv->view.data != NULL)
                act_give(act_row(&dv->view, r + i) + h * w->V + j, dv->add,
                         step * d + (skip + step * bonus) * g, m);
        }
        if (!w->before && c->in[SR_GL_STEP].cols == 0 && c->in[SR_GL_SKIP].cols == 0) continue;
        const float e = v_sum(self), through = step * e;
        dskip[h] += e;
        if (dstep->view.data != NULL) {
            float *to = real_row(&dstep->view, r + i) + h;
            *to = (dstep->add ? *to : 0) + v_sum(products) + bonus * e;
        }
        bonus_at(w, h / w->group, i, &through, dbonus);
    }
}

/* The gradient of decays per head: the sum over the head's keys. */
static void give_head_decays(const work *w, int64_t r, int64_t n, int64_t h) {
    const sr_grad *to = &w->c->din[SR_GL_DECAY];
    for (int64_t i = 0; i < n && to->view.data != NULL; i++) {
        vf sum = {0};
        for (int64_t d = 0; d < w->kw; d += VL) sum += v_loadf(w->da + i * w->kw + d);
        float *x = real_row(&to->view, r + i) + h;
        *x = (to->add ? *x : 0) + v_sum(sum);
    }
}

/* Where a part of a group keeps its gradient of q (0), k (1) or decay (2) of row r. */
static float *part_row(const sr_call *c, int64_t number, int which, int64_t r) {
    return (float *)c->scratch + c->threads * (sr_gl_region_backward(c) + sr_gl_own(c)) +
           number * sr_gl_part(c) + (which * sr_rows(c) + r) * c->in[SR_GL_Q].cols;
}

static void give_keys(const work *w, int64_t r, int64_t n, int64_t kh, int64_t number) {
    const sr_call *c = w->c;
    const bool by_key = c->attr.gated_linear.decay == SR_DECAY_KEY;
    const float scale = (float)c->attr.gated_linear.scale;
    float *const from[] = {w->dq, w->dk, w->da};
    for (int which = 0; which < (by_key ? 3 : 2); which++) {
        const sr_grad *to = &c->din[which < 2 ? SR_GL_Q + which : SR_GL_DECAY];
        const float factor = which == 0 ? scale : 1;
        for (int64_t i = 0; i < n && to->view.data != NULL; i++)
            for (int64_t d = 0; d < w->K; d += VL) {
                const int m = w->K - d < VL ? (int)(w->K - d) : VL;
                const vf x = v_loadf(from[which] + i * w->kw + d) * factor;
                if (sr_gl_parts(c) > 1)
                    real_store(part_row(c, number, which, r + i) + kh * w->K + d, x, m);
                else if (which < 2)
                    act_give(act_row(&to->view, r + i) + kh * w->K + d, to->add, x, m);
                else
                    real_give(real_row(&to->view, r + i) + kh * w->K + d, to->add, x, m);
            }
    }
}

static void backward_head(const work *w, const part *p, int64_t h, int64_t s, float *own) {
    const int64_t r = p->b * w->c->length + s * w->segment, n = tokens_of(w, s),
                  head = h - p->first;
    const bool by_head = w->c->attr.gated_linear.decay != SR_DECAY_KEY;
    if (by_head) {
        load_decays(w, r, n, h);
        memset(w->da, 0, (size_t)(n * w->kw) * sizeof(float));
    }
    load_values(w, r, n, h);
    const float *before = s > 0 ? state_before(w, p->b, h, s) : NULL;
    load_result_gradients(w, before, r, n, h);
    fetch_next(w, p, h, s, true);
    for (int64_t d = 0; d < w->K; d += VL)
        for (int64_t j = 0, rows; j < w->columns; j += rows) {
            rows = tile_rows(w->columns - j);
            backward_tile(w, before, head, n, d, j, (int)rows);
        }
    for (int64_t j = 0; j < w->V; j += VL)
        for (int64_t d = 0, rows; d < w->K; d += rows) {
            rows = tile_rows(w->K - d);
            tile_values_of(&(tile){.n = n,
                                   .a = w->a + d,
                                   .in = w->q + d,
                                   .to = w->k + d,
                                   .lane = w->g + j,
                                   .out = w->dv + j,
                                   .row_stride = w->kw,
                                   .lane_stride = w->vw,
                                   .m = state_gradient(w, head, false) + d * w->vw + j,
                                   .m_stride = w->vw,
                                   .add = d > 0},
                           (int)rows, w->decays, w->before);
        }
    give_values(w, r, n, h, own, own + sr_gl_pad(w->c->in[SR_GL_Q].cols));
    if (w->c->attr.gated_linear.decay == SR_DECAY_HEAD) give_head_decays(w, r, n, h);
}

static void backward_part(const work *w, const part *p, float *own) {
    const sr_call *c = w->c;
    const int64_t kh = p->first / w->group;
    memset(w->state, 0, (size_t)(2 * (p->last - p->first) * w->kw * w->vw) * sizeof(float));
    for (int64_t s = sr_gl_saves(c); s >= 0; s--) {
        const int64_t r = p->b * c->length + s * w->segment, n = tokens_of(w, s);
        load_keys(w, r, n, kh);
        memset(w->dq, 0, (size_t)(n * w->kw) * sizeof(float));
        memset(w->dk, 0, (size_t)(n * w->kw) * sizeof(float));
        if (c->attr.gated_linear.decay == SR_DECAY_KEY) {
            load_decays(w, r, n, p->first);
            memset(w->da, 0, (size_t)(n * w->kw) * sizeof(float));
        }
        for (int64_t h = p->first; h < p->last; h++) backward_head(w, p, h, s, own);
        give_keys(w, r, n, kh, p->number);
    }
}

/* What the parts of a group hold, in their order. */
static void add_parts(const sr_call *c) {
    const int64_t parts = sr_gl_parts(c), cols = c->in[SR_GL_Q].cols;
    const bool by_key = c->attr.gated_linear.decay == SR_DECAY_KEY;
#pragma omp for
    for (int64_t r = 0; r < sr_rows(c); r++)
        for (int which = 0; which < (by_key ? 3 : 2); which++) {
            const sr_grad *to = &c->din[which < 2 ? SR_GL_Q + which : SR_GL_DECAY];
            for (int64_t d = 0; d < cols && to->view.data != NULL; d += VL) {
                const int m = cols - d < VL ? (int)(cols - d) : VL;
                vf sum = {0};
                for (int64_t p = 0; p < parts; p++)
                    sum += real_load(part_row(c, p, which, r) + d, m);
                if (which < 2)
                    act_give(act_row(&to->view, r) + d, to->add, sum, m);
                else
                    real_give(real_row(&to->view, r) + d, to->add, sum, m);
            }
        }
}

static float *own_of(const sr_call *c, int64_t thread) {
    return (float *)c->scratch + c->threads * sr_gl_region_backward(c) + thread * sr_gl_own(c);
}
static void add_own(const sr_call *c, const sr_grad *to, int64_t column, int used) {
    for (int64_t j = 0; j < to->view.cols && to->view.data != NULL; j++) {
        float *x = real_row(&to->view, 0) + j, sum = to->add ? *x : 0;
        for (int t = 0; t < used; t++) sum += own_of(c, t)[column + j];
        *x = sum;
    }
}

void SR_KERNEL(gated_linear_backward)(const sr_call *c) {
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        const unsigned control = flush_denormals();
        const int thread = omp_get_thread_num();
        const work w = work_of(c, (float *)c->scratch + thread * sr_gl_region_backward(c), true);
        float *own = own_of(c, thread);
        memset(own, 0, (size_t)sr_gl_own(c) * sizeof(float));
#pragma omp single
        used = omp_get_num_threads();
        int64_t low, high;
        share_parts(c, &low, &high);
        for (int64_t item = low; item < high; item++) {
            const part p = part_of_item(&w, item);
            backward_part(&w, &p, own);
        }
#pragma omp barrier
        if (sr_gl_parts(c) > 1) add_parts(c);
        restore_denormals(control);
    }
    add_own(c, &c->din[SR_GL_BONUS], 0, used);
    add_own(c, &c->din[SR_GL_SKIP], sr_gl_pad(c->in[SR_GL_Q].cols), used);
}
