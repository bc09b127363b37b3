/* scan: lanes are channels, and the states of a channel are separate vectors: no sums over lanes
 * forward, B and C are scalars to broadcast, and the states' recurrences are independent chains.
 * Arrays of the kernel's own are laid out by block of VL channels, then state, then lane: block j,
 * state k is at j * states + k * VL. */
#include "op/scan.h"
#include "op/kernel/lanes.h"

enum { STEPS = SR_SCAN_SEGMENT };

/* A log2(e), A = -exp(A_log), in blocks; by all threads together. */
static void decays(const sr_call *c, float *to) {
    const int64_t d = c->in[0].cols, states = c->attr.scan.states;
    const sr_view *A_log = &c->in[SR_SCAN_A];
#pragma omp for
    for (int64_t j = 0; j < d; j += VL)
        for (int64_t k = 0; k < states; k++)
            v_storef(to + j * states + k * VL, v_exp(gather(real_row(A_log, j) + k, A_log->stride,
                                                            d - j < VL ? (int)(d - j) : VL)) *
                                                   -1.44269504f);
}

/* Where the states before step `t` of a block are saved. */
static inline float *saved_at(const sr_call *c, int64_t sequence, int64_t t, int64_t j) {
    const int64_t states = c->attr.scan.states;
    return (float *)c->saved +
           ((sequence * sr_scan_saves(c) + t / STEPS - 1) * sr_scan_padded(c) + j) * states;
}

/* Asks for the lines of a block AHEAD steps before they are used: a block's rows are far apart, and
 * a step is too long for the processor to look as far ahead. */
enum { AHEAD = 8 };
SR_INLINE void prefetch(const sr_view *v, int64_t r, int64_t j) {
    __builtin_prefetch((const char *)v->data +
                       (r * v->stride + j) * (int64_t)sr_dtype_bytes(v->type));
}

/* One block of n channels from j, over a whole sequence. */
SR_INLINE void forward_block(const sr_call *c, int states, const float *decay, int64_t sequence,
                             int64_t j, int n) {
    const sr_call call = *c;
    const vf *A = (const vf *)(decay + j * states);
    const vf bias = real_load(real_row(&call.in[SR_SCAN_BIAS], 0) + j, n);
    const vf D = real_load(real_row(&call.in[SR_SCAN_D], 0) + j, n);
    float *state = call.state[0].data;
    if (state != NULL) state += (sequence * call.in[0].cols + j) * states;
    vf h[SR_SCAN_STATES];
    for (int k = 0; k < states; k++) h[k] = state != NULL ? gather(state + k, states, n) : (vf){0};
    for (int64_t t = 0; t < call.length; t++) {
        const int64_t r = sequence * call.length + t;
        if (call.saved != NULL && t > 0 && t % STEPS == 0) {
            vf *to = (vf *)saved_at(c, sequence, t, j);
            for (int k = 0; k < states; k++) to[k] = h[k];
        }
        const float *B = real_row(&call.in[SR_SCAN_B], r), *C = real_row(&call.in[SR_SCAN_C], r);
        if (t + AHEAD < call.length) {
            prefetch(&call.in[SR_SCAN_U], r + AHEAD, j);
            prefetch(&call.in[SR_SCAN_DT], r + AHEAD, j);
            prefetch(&call.in[SR_SCAN_Z], r + AHEAD, j);
            prefetch(&call.out, r + AHEAD, j);
        }
        const vf u = act_load(act_row(&call.in[SR_SCAN_U], r) + j, n);
        const vf z = act_load(act_row(&call.in[SR_SCAN_Z], r) + j, n);
        vf slope;
        const vf delta =
            v_softplus(real_load(real_row(&call.in[SR_SCAN_DT], r) + j, n) + bias, &slope);
        const vf x = delta * u;
        vf y = D * u;
#pragma GCC unroll 16
        for (int k = 0; k < states; k++) {
            h[k] = v_exp2_product(delta, A[k]) * h[k] + x * B[k];
            y += h[k] * C[k];
        }
        act_store(act_row(&call.out, r) + j, y * v_silu(z), n);
    }
    for (int k = 0; k < states && state != NULL; k++) scatter(state + k, states, h[k], n);
}

SR_INLINE void forward_blocks(const sr_call *c, int states) {
    const int64_t d = c->in[0].cols, blocks = (d + VL - 1) / VL;
    int64_t low, high;
    decays(c, c->scratch);
    sr_share(c->batch * blocks, 1, &low, &high);
    for (int64_t i = low; i < high; i++) {
        const int64_t sequence = i / blocks, j = i % blocks * VL;
        if (d - j >= VL)
            forward_block(c, states, c->scratch, sequence, j, VL);
        else
            forward_block(c, states, c->scratch, sequence, j, (int)(d - j));
    }
}

/* One step of n channels from j, for decoding: here lanes are the states of one channel, as they
 * lie in A_log and in the state. */
SR_INLINE void decode_block(const sr_call *c, int64_t r, int64_t j, int n) {
    const int64_t d = c->in[0].cols, states = c->attr.scan.states;
    const float *B = real_row(&c->in[SR_SCAN_B], r), *C = real_row(&c->in[SR_SCAN_C], r);
    const vf u = act_load(act_row(&c->in[SR_SCAN_U], r) + j, n);
    const vf z = act_load(act_row(&c->in[SR_SCAN_Z], r) + j, n);
    float deltas[VL], xs[VL], ys[VL] = {0};
    vf slope;
    vf delta = v_softplus(real_load(real_row(&c->in[SR_SCAN_DT], r) + j, n) +
                              real_load(real_row(&c->in[SR_SCAN_BIAS], 0) + j, n),
                          &slope);
    v_storef(deltas, delta);
    v_storef(xs, delta * u);
    for (int i = 0; i < n; i++) {
        const float *A_log = real_row(&c->in[SR_SCAN_A], j + i);
        float *state = (float *)c->state[0].data + (r * d + j + i) * states;
        vf sum = {0};
        for (int64_t k = 0; k < states; k += VL) {
            const int m = states - k < VL ? (int)(states - k) : VL;
            vf a = v_exp(v_exp(real_load(A_log + k, m)) * -deltas[i]);
            vf h = a * real_load(state + k, m) + real_load(B + k, m) * xs[i];
            real_store(state + k, h, m);
            sum += h * real_load(C + k, m);
        }
        ys[i] = v_sum(sum);
    }
    vf y = v_loadf(ys) + real_load(real_row(&c->in[SR_SCAN_D], 0) + j, n) * u;
    act_store(act_row(&c->out, r) + j, y * v_silu(z), n);
}

static void decode(const sr_call *c) {
    const int64_t d = c->in[0].cols, blocks = (d + VL - 1) / VL;
    int64_t low, high;
    sr_share(c->batch * blocks, 1, &low, &high);
    for (int64_t i = low; i < high; i++) {
        const int64_t j = i % blocks * VL;
        decode_block(c, i / blocks, j, d - j < VL ? (int)(d - j) : VL);
    }
}

void SR_KERNEL(scan_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
        const unsigned control = flush_denormals();
        if (c->length == 1 && c->state[0].data != NULL && c->attr.scan.states >= VL / 2)
            decode(c);
        else if (c->attr.scan.states == 16)
            forward_blocks(c, 16);
        else if (c->attr.scan.states == 2)
            forward_blocks(c, 2);
        else
            forward_blocks(c, c->attr.scan.states);
        restore_denormals(control);
    }
}

/* What one thread needs during backward, in scratch: of one segment, by step and state, the decays,
 * the states (before[0] is the first) and the lanes of the gradients of B and C; in blocks, the
 * gradient of the state and the partial gradients of A; and the partial gradients of dt_bias and D.
 */
typedef struct own {
    vf *decay, *before, *dB, *dC;
    float *carry, *dA, *dbias, *dD;
} own;

static float *own_base(const sr_call *c, int thread) {
    const int64_t d = sr_scan_padded(c), states = c->attr.scan.states, groups = sr_scan_groups(c);
    const int64_t partial = groups > 1 ? groups * 2 * sr_rows(c) * ((states + 15) / 16 * 16) : 0;
    return (float *)c->scratch + d * states + partial +
           thread * ((4 * STEPS + 1) * states * 16 + 2 * d * states + 2 * d);
}
static own own_of(const sr_call *c, int thread) {
    const int64_t d = sr_scan_padded(c), states = c->attr.scan.states;
    own o = {.decay = (vf *)own_base(c, thread)};
    o.before = o.decay + STEPS * states;
    o.dB = o.before + (STEPS + 1) * states;
    o.dC = o.dB + STEPS * states;
    o.carry = (float *)(o.dC + STEPS * states);
    o.dA = o.carry + d * states;
    o.dbias = o.dA + d * states;
    o.dD = o.dbias + d;
    return o;
}

/* One segment of one block: its states again from the saved ones, then its steps in reverse. */
SR_INLINE void backward_block(const sr_call *c, int states, const float *decay, const own *o,
                              int64_t sequence, int64_t first, int steps, int64_t j, int n) {
    const sr_call call = *c;
    const sr_grad *du = &call.din[SR_SCAN_U], *dz = &call.din[SR_SCAN_Z],
                  *ddt = &call.din[SR_SCAN_DT];
    const vf *A = (const vf *)(decay + j * states);
    const vf bias = real_load(real_row(&call.in[SR_SCAN_BIAS], 0) + j, n);
    const vf D = real_load(real_row(&call.in[SR_SCAN_D], 0) + j, n);
    const int64_t base = sequence * call.length + first;
    vf us[STEPS], deltas[STEPS], slopes[STEPS], dys[STEPS];
    const vf *start = first > 0 ? (const vf *)saved_at(c, sequence, first, j) : NULL;
    for (int k = 0; k < states; k++) o->before[k] = start != NULL ? start[k] : (vf){0};
    for (int i = 0; i < steps; i++) {
        const int64_t r = base + i;
        const float *B = real_row(&call.in[SR_SCAN_B], r), *C = real_row(&call.in[SR_SCAN_C], r);
        if (j + 2 * VL <= call.in[0].cols) { /* the next block's, one segment's work ahead */
            prefetch(&call.in[SR_SCAN_U], r, j + VL);
            prefetch(&call.in[SR_SCAN_DT], r, j + VL);
            prefetch(&call.in[SR_SCAN_Z], r, j + VL);
            prefetch(&call.dout, r, j + VL);
            if (dz->view.data != NULL) prefetch(&dz->view, r, j + VL);
            if (du->view.data != NULL) prefetch(&du->view, r, j + VL);
            if (ddt->view.data != NULL) prefetch(&ddt->view, r, j + VL);
        }
        const vf u = act_load(act_row(&call.in[SR_SCAN_U], r) + j, n);
        const vf z = act_load(act_row(&call.in[SR_SCAN_Z], r) + j, n);
        const vf dy = act_load(act_row(&call.dout, r) + j, n);
        const vf delta =
            v_softplus(real_load(real_row(&call.in[SR_SCAN_DT], r) + j, n) + bias, &slopes[i]);
        const vf x = delta * u, s = v_sigmoid(z), gated = dy * z * s, *h = o->before + i * states;
        vf y = D * u, *after = o->before + (i + 1) * states, *a = o->decay + i * states;
        vf *dC = o->dC + i * states;
#pragma GCC unroll 16
        for (int k = 0; k < states; k++) {
            a[k] = v_exp2_product(delta, A[k]);
            vf next = a[k] * h[k] + x * B[k];
            after[k] = next;
            y += next * C[k];
            dC[k] += next * gated;
        }
        if (dz->view.data != NULL)
            act_give(act_row(&dz->view, r) + j, dz->add, dy * y * v_silu_slope(z, s), n);
        us[i] = u;
        deltas[i] = delta;
        dys[i] = gated;
    }
    vf *dh = (vf *)(o->carry + j * states), *dA = (vf *)(o->dA + j * states);
    vf dbias = v_loadf(o->dbias + j), dD = v_loadf(o->dD + j);
    for (int i = steps - 1; i >= 0; i--) {
        const int64_t r = base + i;
        const float *B = real_row(&call.in[SR_SCAN_B], r), *C = real_row(&call.in[SR_SCAN_C], r);
        const vf u = us[i], delta = deltas[i], dy = dys[i], x = delta * u;
        const vf *h = o->before + i * states, *a = o->decay + i * states;
        vf *dB = o->dB + i * states;
        vf dx = {0}, dexponent = {0};
#pragma GCC unroll 16
        for (int k = 0; k < states; k++) {
            vf g = dh[k] + dy * C[k];
            dB[k] += g * x;
            dx += g * B[k];
            g *= a[k];
            dh[k] = g;
            g *= h[k];
            dexponent += g * A[k];
            dA[k] += g * delta;
        }
        const vf d = (u * dx + dexponent * 0.693147181f) * slopes[i];
        if (du->view.data != NULL)
            act_give(act_row(&du->view, r) + j, du->add, dy * D + delta * dx, n);
        if (ddt->view.data != NULL) real_give(real_row(&ddt->view, r) + j, ddt->add, d, n);
        dbias += d;
        dD += dy * u;
    }
    v_storef(o->dbias + j, dbias);
    v_storef(o->dD + j, dD);
}

/* Where the gradient of B (which = 0) or C (1) of row r goes: straight out, or to the group's part.
 */
static float *part_of(const sr_call *c, int64_t group, int which, int64_t r) {
    const int64_t states = c->attr.scan.states, padded = (states + 15) / 16 * 16;
    return (float *)c->scratch + sr_scan_padded(c) * states +
           ((group * 2 + which) * sr_rows(c) + r) * padded;
}
static void give_row(const sr_grad *g, int64_t r, const float *x) {
    if (g->view.data == NULL) return;
    float *to = real_row(&g->view, r);
    for (int64_t k = 0; k < g->view.cols; k++) to[k] = g->add ? to[k] + x[k] : x[k];
}

SR_INLINE void backward_group(const sr_call *c, int states, const own *o, int64_t sequence,
                              int64_t group, int64_t groups) {
    const int64_t d = c->in[0].cols, blocks = sr_scan_padded(c) / 16;
    const int64_t low = blocks * group / groups * 16, end = blocks * (group + 1) / groups * 16;
    const int64_t high = end < d ? end : d;
    memset(o->carry + low * states, 0, (size_t)((end - low) * states) * sizeof(float));
    for (int64_t first = sr_scan_saves(c) * STEPS; first >= 0; first -= STEPS) {
        const int steps = c->length - first < STEPS ? (int)(c->length - first) : STEPS;
        memset(o->dB, 0, (size_t)(STEPS * states) * sizeof(vf));
        memset(o->dC, 0, (size_t)(STEPS * states) * sizeof(vf));
        int64_t j = low;
        for (; j + VL <= high; j += VL)
            backward_block(c, states, c->scratch, o, sequence, first, steps, j, VL);
        if (j < high)
            backward_block(c, states, c->scratch, o, sequence, first, steps, j, (int)(high - j));
        for (int i = 0; i < steps; i++) {
            const int64_t r = sequence * c->length + first + i;
            float own_row[SR_SCAN_STATES];
            for (int which = 0; which < 2; which++) {
                float *to = groups > 1 ? part_of(c, group, which, r) : own_row;
                lane_sums((which ? o->dC : o->dB) + i * states, states, to);
                if (groups == 1) give_row(&c->din[SR_SCAN_B + which], r, to);
            }
        }
    }
}

/* What the threads hold in parts: the gradients of the parameters, and with several groups those of
 * B and C. In order of thread and group. */
static void backward_sums(const sr_call *c) {
    const int64_t d = c->in[0].cols, states = c->attr.scan.states, groups = sr_scan_groups(c);
    const sr_grad *dA = &c->din[SR_SCAN_A], *dbias = &c->din[SR_SCAN_BIAS],
                  *dD = &c->din[SR_SCAN_D];
    const int threads = omp_get_num_threads();
#pragma omp for nowait
    for (int64_t j = 0; j < d; j++) {
        float bias = 0, D = 0, A[SR_SCAN_STATES] = {0};
        const int64_t block = j / VL * VL * states + j % VL;
        for (int t = 0; t < threads; t++) {
            const own o = own_of(c, t);
            bias += o.dbias[j];
            D += o.dD[j];
            for (int64_t k = 0; k < states; k++) A[k] += o.dA[block + k * VL];
        }
        for (int64_t k = 0; k < states; k++)
            A[k] *= ((const float *)c->scratch)[block + k * VL] * 0.693147181f;
        give_row(dA, j, A);
        if (dbias->view.data != NULL)
            real_row(&dbias->view, 0)[j] = bias + (dbias->add ? real_row(&dbias->view, 0)[j] : 0);
        if (dD->view.data != NULL)
            real_row(&dD->view, 0)[j] = D + (dD->add ? real_row(&dD->view, 0)[j] : 0);
    }
    if (groups == 1) return;
#pragma omp for
    for (int64_t r = 0; r < sr_rows(c); r++)
        for (int which = 0; which < 2; which++) {
            float *sum = part_of(c, 0, which, r);
            for (int64_t g = 1; g < groups; g++)
                for (int64_t k = 0; k < states; k++) sum[k] += part_of(c, g, which, r)[k];
            give_row(&c->din[SR_SCAN_B + which], r, sum);
        }
}

SR_INLINE void backward_groups(const sr_call *c, int states) {
    const int64_t d = sr_scan_padded(c), groups = sr_scan_groups(c);
    const own o = own_of(c, omp_get_thread_num());
    memset(o.dA, 0, (size_t)(d * states + 2 * d) * sizeof(float));
    decays(c, c->scratch);
    int64_t low, high;
    sr_share(c->batch * groups, 1, &low, &high);
    for (int64_t i = low; i < high; i++)
        backward_group(c, states, &o, i / groups, i % groups, groups);
#pragma omp barrier
    backward_sums(c);
}

void SR_KERNEL(scan_backward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
        const unsigned control = flush_denormals();
        if (c->attr.scan.states == 16)
            backward_groups(c, 16);
        else if (c->attr.scan.states == 2)
            backward_groups(c, 2);
        else
            backward_groups(c, c->attr.scan.states);
        restore_denormals(control);
    }
}
