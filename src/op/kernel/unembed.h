/* What the kernels of unembed_loss and unembed_score share: which tokens are scored, and a block of
 * them as rows of one matrix. */
#ifndef SR_OP_KERNEL_UNEMBED_H
#define SR_OP_KERNEL_UNEMBED_H

#include "op/unembed_loss.h"
#include "op/vec.h"

typedef struct scored {
    float *logits;    /* [block, vocabulary] */
    bf16 *rounded;    /* their gradient in bf16 mode; else NULL */
    act *gathered;    /* [block, d] */
    int32_t *token;   /* numbers of the scored tokens, rising */
    void *scratchpad; /* of the products */
    int64_t count;
    bool all; /* every token is scored: rows are read where they lie */
} scored;

static inline int32_t target_of(const sr_call *c, int64_t r) {
    const sr_view *t = &c->in[SR_LOSS_TARGET];
    return ((const int32_t *)t->data)[r * t->stride];
}

/* Lays out the scratch and finds the scored tokens. */
static inline scored find_scored(const sr_call *c) {
    char *at = c->scratch;
    scored s = {.logits = (float *)at};
    at += sr_loss_logits_bytes(c);
#ifdef SR_ACT_BF16
    s.rounded = (bf16 *)at;
#endif
    at += sr_loss_gradient_bytes(c);
    s.gathered = (act *)at;
    at += sr_loss_gathered_bytes(c);
    s.token = (int32_t *)at;
    s.scratchpad = at + sr_loss_list_bytes(c);
    for (int64_t r = 0; r < c->in[SR_LOSS_H].rows; r++) {
        s.token[s.count] = (int32_t)r;
        s.count += target_of(c, r) >= 0;
    }
    s.all = s.count == c->in[SR_LOSS_H].rows;
    return s;
}

/* Tokens first..first + rows - 1 of the scored ones, as a matrix of stride *stride. Gathered blocks
 * are always whole, so that one product serves them: *padded rows, zero behind `rows`. */
static inline const act *scored_rows(const sr_call *c, const scored *s, int64_t first, int64_t rows,
                                     int64_t *padded, int64_t *stride) {
    const sr_view *h = &c->in[SR_LOSS_H];
    *padded = s->all ? rows : sr_loss_block(c);
    *stride = s->all ? h->stride : h->cols;
    if (s->all) return act_row(h, first);
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        const size_t bytes = (size_t)h->cols * sizeof(act);
        sr_share(*padded, 1, &low, &high);
        for (int64_t i = low; i < high; i++)
            if (i < rows)
                memcpy(s->gathered + i * h->cols, act_row(h, s->token[first + i]), bytes);
            else
                memset(s->gathered + i * h->cols, 0, bytes);
    }
    return s->gathered;
}

static inline void add_bias(float *p, const sr_view *bias, int64_t n) {
    if (bias->cols == 0) return;
    const float *b = real_row(bias, 0);
    for (int64_t j = 0; j < n; j++) p[j] += b[j];
}

static inline float largest(const float *p, int64_t n) {
    const int64_t nv = n / VL * VL;
    float most = p[0];
    if (nv > 0) {
        vf top = v_loadf(p);
        for (int64_t j = VL; j < nv; j += VL) top = v_max(top, v_loadf(p + j));
        most = v_max_lane(top);
    }
    for (int64_t j = nv; j < n; j++) most = p[j] > most ? p[j] : most;
    return most;
}

/* exp(p - max) in place; returns the sum. */
static inline float exponentials(float *p, int64_t n, float most) {
    const int64_t nv = n / VL * VL;
    vf sums = {0};
    for (int64_t j = 0; j < nv; j += VL) {
        vf e = v_exp(v_loadf(p + j) - most);
        v_storef(p + j, e);
        sums += e;
    }
    float sum = v_sum(sums);
    for (int64_t j = nv; j < n; j++) sum += p[j] = expf(p[j] - most);
    return sum;
}

#endif
