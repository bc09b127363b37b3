/* delta_rule in chunks: kernel/delta_chunk.h has the formulas. A thread owns the heads it works on.
 */
#include "op/kernel/delta_chunk.h"

static float *state_row(const head *a, int64_t b, int h, int64_t row) {
    const sr_state *s = &a->c->state[0];
    return (float *)s->data + (b * s->capacity + row) * s->width + (int64_t)h * a->V;
}

static void forward_head(const head *a, int64_t b, int h) {
    const sr_call *c = a->c;
    const int64_t vw = a->vw;
    const size_t bytes = (size_t)(a->kw * vw) * sizeof(float);
    const bool kept = c->state[0].data != NULL;
    float *out = a->u + CHUNK * vw;
    memset(a->state, 0, bytes);
    for (int64_t i = 0; kept && i < a->K; i++)
        memcpy(a->state + i * vw, state_row(a, b, h, i), (size_t)a->V * sizeof(float));
    for (int64_t t0 = 0, chunk = 0; t0 < c->length; t0 += CHUNK, chunk++) {
        const int64_t n = c->length - t0 < CHUNK ? c->length - t0 : CHUNK;
        if (c->saved != NULL && chunk > 0)
            memcpy((float *)c->saved + sr_delta_saved_at(c, b, h, chunk), a->state, bytes);
        make_chunk(a, b, t0, n, h);
        make_values(a, kept || chunk > 0 ? a->state : NULL, true, b, t0, n, h);
        for (int r = 0; r < n; r += ROWS)
            product(ROWS, vw, r + ROWS, a->system + (CHUNK + r) * CHUNK, CHUNK, a->u, vw,
                    out + r * vw, vw, true);
        copy_out(out, vw, n, a->V, 1, rows_of(a, &c->out, b, t0, h, a->V), c->out.stride, false);
        if (!kept && t0 + CHUNK >= c->length) break;
        const float *last = a->decay + (CHUNK - 1) * CHUNK;
        for (int i = 0; i < CHUNK; i++) scale_row(a->u + i * vw, vw, last[i]);
        for (int64_t i = 0; i < a->rows; i++) scale_row(a->state + i * vw, vw, a->gamma[CHUNK - 1]);
        product_t(a->rows, vw, CHUNK, a->kq, a->kw, a->u, vw, a->state, vw, true);
    }
    for (int64_t i = 0; kept && i < a->K; i++)
        memcpy(state_row(a, b, h, i), a->state + i * vw, (size_t)a->V * sizeof(float));
}

/* One token: the state is read, and updated and read again, where it lies. */
static void forward_token(const head *a, int64_t b, int h, int64_t t) {
    const sr_call *c = a->c;
    const float *k = a->kq, *q = a->kq + CHUNK * a->kw;
    load_unit(a, &c->in[SR_DELTA_K], b, t, 1, h, a->kq, a->inverse);
    load_unit(a, &c->in[SR_DELTA_Q], b, t, 1, h, a->kq + CHUNK * a->kw, a->inverse + CHUNK);
    load_gates(a, b, t, 1, h);
    const float alpha = a->alpha[0], beta = a->beta[0];
    const act *v = rows_of(a, &c->in[SR_DELTA_V], b, t, h, a->V);
    act *out = rows_of(a, &c->out, b, t, h, a->V);
    for (int j = 0; j < a->V; j += VL) {
        const int m = a->V - j < VL ? a->V - j : VL;
        vf held = v_set(0), sum = v_set(0);
        for (int i = 0; i < a->K; i++) held += real_load(state_row(a, b, h, i) + j, m) * k[i];
        const vf u = (act_load(v + j, m) - held * alpha) * beta;
        for (int i = 0; i < a->K; i++) {
            float *s = state_row(a, b, h, i) + j;
            vf x = real_load(s, m) * alpha + u * k[i];
            real_store(s, x, m);
            sum += x * q[i];
        }
        act_store(out + j, sum, m);
    }
}

void SR_KERNEL(delta_rule_forward)(const sr_call *c) {
    const int H = c->attr.delta.heads;
    const bool tokens = c->state[0].data != NULL && c->length < 4;
#pragma omp parallel num_threads(c->threads)
    {
        const head a = head_of(
            c, (float *)c->scratch + omp_get_thread_num() * sr_delta_region(c, false), false);
        int64_t low, high;
        sr_share(c->batch * H, 1, &low, &high);
        for (int64_t item = low; item < high; item++)
            if (!tokens)
                forward_head(&a, item / H, (int)(item % H));
            else
                for (int64_t t = 0; t < c->length; t++)
                    forward_token(&a, item / H, (int)(item % H), t);
    }
}

/* ---- backward ---- */

/* The gradient of the system's right side, above that of out: y. `dstate`: of the state after the
 * chunk (NULL: zero). */
static void make_value_gradients(const head *a, const float *dstate, int64_t b, int64_t t0,
                                 int64_t n, int h) {
    const sr_call *c = a->c;
    const int64_t vw = a->vw;
    const float *last = a->decay + (CHUNK - 1) * CHUNK, *A = a->system + CHUNK * CHUNK;
    float *dout = a->y + CHUNK * vw;
    copy_in(rows_of(a, &c->dout, b, t0, h, a->V), c->dout.stride, n, a->V, 1, dout, vw, CHUNK);
    if (dstate != NULL)
        product(CHUNK, vw, a->K, a->kq, a->kw, dstate, vw, a->y, vw, false);
    else
        memset(a->y, 0, (size_t)(CHUNK * vw) * sizeof(float));
    for (int i = 0; dstate != NULL && i < CHUNK; i++) scale_row(a->y + i * vw, vw, last[i]);
    for (int r = 0; r < n; r += ROWS)
        product_t(ROWS, vw, CHUNK - r, A + r * CHUNK + r, CHUNK, dout + r * vw, vw, a->y + r * vw,
                  vw, true);
    solve_transposed(a, a->y);
}

/* Gradients of k.k and q.k from y U^T, in both orders; of b (beta cancels out of dbeta = dR.U /
 * beta, d beta / db = beta (1 - beta)); and, in dpairs[i], what all pairs of a token that reads at
 * i or later and one that wrote before i say about log alpha[i]. */
static void make_pair_gradients(const head *a) {
    vf below_i[LANES], sums[CHUNK];
    vi number[LANES];
    for (int l = 0; l < LANES; l++) {
        below_i[l] = v_set(0);
        number[l] = lane_numbers(l);
    }
    turn(a->u, a->vw, CHUNK, a->vw, a->ut, CHUNK);
    product(2 * CHUNK, CHUNK, a->V, a->y, a->vw, a->ut, CHUNK, a->pairs, CHUNK, false);
    for (int i = CHUNK - 1; i >= 0; i--) {
        float *keys = a->pairs + i * CHUNK, *queries = keys + CHUNK * CHUNK;
        const float *d = a->decay + i * CHUNK, *system = a->system + i * CHUNK;
        a->dbeta[i] = keys[i] * (1 - a->beta[i]);
        sums[i] = v_set(0);
        for (int l = 0; l < LANES; l++) {
            const int at = l * VL;
            const vf x = v_loadf(keys + at), y = v_loadf(queries + at);
            below_i[l] += x * v_loadf(system + at) + y * v_loadf(system + CHUNK * CHUNK + at);
            sums[i] += v_select(number[l] < i, below_i[l], v_set(0));
            const vf decay = v_select(number[l] < i, v_loadf(d + at), v_set(0));
            v_storef(keys + at, x * decay * -a->beta[i]);
            v_storef(queries + at, y * v_loadf(d + at));
        }
    }
    lane_sums(sums, CHUNK, a->dpairs);
    turn(a->pairs, CHUNK, CHUNK, CHUNK, a->turned, 2 * CHUNK);
    turn(a->pairs + CHUNK * CHUNK, CHUNK, CHUNK, CHUNK, a->turned + CHUNK, 2 * CHUNK);
}

/* (+)= sum over d of x[d][token] y[d][token] */
static void dots(const head *a, const float *x, const float *y, int64_t ys, float *to, bool add) {
    for (int l = 0; l < CHUNK; l += VL) {
        vf sum = add ? v_loadf(to + l) : v_set(0);
        for (int64_t d = 0; d < a->K; d++)
            sum += v_loadf(x + d * CHUNK + l) * v_loadf(y + d * ys + l);
        v_storef(to + l, sum);
    }
}

/* dread and dwrite, and what the state before and after the chunk has to say about log alpha.
 * Consumes ut; y is scaled by now. */
static void make_key_gradients(const head *a, const float *state, const float *dstate) {
    const float *last = a->decay + (CHUNK - 1) * CHUNK;
    memset(a->dread_log, 0, CHUNK * sizeof(float));
    memset(a->dwrite_log, 0, CHUNK * sizeof(float));
    if (state != NULL) {
        turn(a->y, a->vw, CHUNK, a->vw, a->yt, 2 * CHUNK);
        turn(a->y + CHUNK * a->vw, a->vw, CHUNK, a->vw, a->yt + CHUNK, 2 * CHUNK);
        product(a->rows, 2 * CHUNK, a->V, state, a->vw, a->yt, 2 * CHUNK, a->dread, 2 * CHUNK,
                false);
        dots(a, a->kt, a->dread, 2 * CHUNK, a->dread_log, false);
        dots(a, a->qt, a->dread + CHUNK, 2 * CHUNK, a->dread_log, true);
    }
    product_t(a->rows, 2 * CHUNK, CHUNK, a->kq, a->kw, a->turned, 2 * CHUNK, a->dread, 2 * CHUNK,
              state != NULL);
    if (dstate != NULL) {
        for (int64_t j = 0; j < a->V; j++)
            for (int l = 0; l < CHUNK; l += VL) {
                float *p = a->ut + j * CHUNK + l;
                v_storef(p, v_loadf(p) * v_loadf(last + l));
            }
        product(a->rows, CHUNK, a->V, dstate, a->vw, a->ut, CHUNK, a->dwrite, CHUNK, false);
        dots(a, a->kt, a->dwrite, CHUNK, a->dwrite_log, false);
    }
    product_t(a->rows, CHUNK, 2 * CHUNK, a->kq, a->kw, a->pairs, CHUNK, a->dwrite, CHUNK,
              dstate != NULL);
}

/* From gradients of keys and queries of length one to those of k and q, in dwrite and the second
 * half of dread. */
static void finish_keys(const head *a) {
    for (int l = 0; l < CHUNK; l += VL) {
        vf of_q = v_set(0), of_k = v_set(0);
        const vf k_inverse = v_loadf(a->inverse + l), q_inverse = v_loadf(a->inverse + CHUNK + l);
        for (int64_t d = 0; d < a->K; d++) {
            float *dr = a->dread + d * 2 * CHUNK + l, *dk = a->dwrite + d * CHUNK + l;
            const vf both = v_loadf(dk) + v_loadf(dr);
            of_q += v_loadf(a->qt + d * CHUNK + l) * v_loadf(dr + CHUNK);
            of_k += v_loadf(a->kt + d * CHUNK + l) * both;
            v_storef(dk, both);
        }
        for (int64_t d = 0; d < a->K; d++) {
            float *dq = a->dread + d * 2 * CHUNK + CHUNK + l, *dk = a->dwrite + d * CHUNK + l;
            const vf k = v_loadf(a->kt + d * CHUNK + l), q = v_loadf(a->qt + d * CHUNK + l);
            v_storef(dk, (v_loadf(dk) - k * of_k) * k_inverse);
            v_storef(dq, (v_loadf(dq) - q * of_q) * q_inverse);
        }
    }
}

static void give(const sr_grad *to, int64_t row, int h, float value) {
    if (to->view.data == NULL) return;
    float *p = real_row(&to->view, row) + h;
    *p = to->add ? *p + value : value;
}

/* The gradients of dt and b; adds those of A_log and dt_bias to sums[2]. The gradient of
 * log alpha[i] is a sum over all ways from before i to i or later: between tokens of the chunk,
 * from the state before it, to the state after it, and from state to state (`across`). Nothing is
 * subtracted: differences would drown it where the decay is strong. */
static void finish_gates(const head *a, int64_t b, int64_t t0, int64_t n, int h, float across,
                         float *sums) {
    float written = 0, read = 0;
    for (int i = 0; i < CHUNK; i++) {
        a->dpairs[i] += written + across;
        written += a->dwrite_log[i];
    }
    for (int64_t i = CHUNK - 1; i >= 0; i--) {
        read += a->dread_log[i];
        if (i >= n) continue;
        const int64_t r = b * a->c->length + t0 + i;
        const float dlog = a->dpairs[i] + read;
        give(&a->c->din[SR_DELTA_DT], r, h, dlog * a->slope[i]);
        give(&a->c->din[SR_DELTA_BETA], r, h, a->dbeta[i]);
        sums[0] += dlog * a->log_alpha[i];
        sums[1] += dlog * a->slope[i];
    }
}

static float dot(const float *x, const float *y, int64_t n) {
    vf sum = v_set(0);
    for (int64_t i = 0; i < n; i += VL) sum += v_loadf(x + i) * v_loadf(y + i);
    return v_sum(sum);
}

static void backward_head(const head *a, int64_t b, int h, float *sums) {
    const sr_call *c = a->c;
    const int64_t vw = a->vw, all = a->kw * vw;
    const sr_grad *dq = &c->din[SR_DELTA_Q], *dk = &c->din[SR_DELTA_K], *dv = &c->din[SR_DELTA_V];
    float *dstate = NULL;
    sums[0] = sums[1] = 0;
    memset(a->state, 0, (size_t)all * sizeof(float));
    for (int64_t chunk = sr_delta_saves(c); chunk >= 0; chunk--) {
        const int64_t t0 = chunk * CHUNK, n = c->length - t0 < CHUNK ? c->length - t0 : CHUNK;
        const float *state =
            chunk > 0 ? (const float *)c->saved + sr_delta_saved_at(c, b, h, chunk) : NULL;
        make_chunk(a, b, t0, n, h);
        turn(a->kq + CHUNK * a->kw, a->kw, CHUNK, a->kw, a->qt, CHUNK);
        make_values(a, state, false, b, t0, n, h);
        make_value_gradients(a, dstate, b, t0, n, h);
        make_pair_gradients(a);
        for (int i = 0; i < CHUNK; i++) scale_row(a->y + i * vw, vw, a->beta[i]);
        if (dv->view.data != NULL)
            copy_out(a->y, vw, n, a->V, 1, rows_of(a, &dv->view, b, t0, h, a->V), dv->view.stride,
                     dv->add);
        for (int i = 0; i < 2 * CHUNK; i++)
            scale_row(a->y + i * vw, vw, i < CHUNK ? -a->gamma[i] : a->gamma[i - CHUNK]);
        make_key_gradients(a, state, dstate);
        finish_keys(a);
        if (dk->view.data != NULL)
            transpose_out(a->dwrite, CHUNK, n, a->K, 1, rows_of(a, &dk->view, b, t0, h, a->K),
                          dk->view.stride, dk->add);
        if (dq->view.data != NULL)
            transpose_out(a->dread + CHUNK, 2 * CHUNK, n, a->K, 1,
                          rows_of(a, &dq->view, b, t0, h, a->K), dq->view.stride, dq->add);
        float across = 0;
        if (state != NULL && dstate != NULL) across = a->gamma[CHUNK - 1] * dot(state, dstate, all);
        finish_gates(a, b, t0, n, h, across, sums);
        if (chunk == 0) break;
        for (int64_t i = 0; dstate != NULL && i < a->rows; i++)
            scale_row(dstate + i * vw, vw, a->gamma[CHUNK - 1]);
        product_t(a->rows, vw, 2 * CHUNK, a->kq, a->kw, a->y, vw, a->state, vw, true);
        dstate = a->state;
    }
}

void SR_KERNEL(delta_rule_backward)(const sr_call *c) {
    const int H = c->attr.delta.heads;
    float *sums = (float *)c->scratch + c->threads * sr_delta_region(c, true);
#pragma omp parallel num_threads(c->threads)
    {
        const head a =
            head_of(c, (float *)c->scratch + omp_get_thread_num() * sr_delta_region(c, true), true);
        int64_t low, high;
        sr_share(c->batch * H, 1, &low, &high);
        for (int64_t item = low; item < high; item++)
            backward_head(&a, item / H, (int)(item % H), sums + 2 * item);
    }
    for (int i = 0; i < 2; i++) /* in order of sequence, whatever the threads */
        for (int h = 0; h < H; h++) {
            float sum = 0;
            for (int64_t b = 0; b < c->batch; b++) sum += sums[2 * (b * H + h) + i];
            give(&c->din[i == 0 ? SR_DELTA_A : SR_DELTA_BIAS], 0, h, sum);
        }
}
