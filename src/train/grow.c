/* sartor_grow(): from a model file, or a checkpoint, to a larger one, and back. */
#define _GNU_SOURCE
#include "base/memory.h"
#include "grow/request.h"
#include "grow/verify.h"
#include "model/cost.h"
#include "train/checkpoint.h"
#include "train/growth_note.h"
#include "train/loaded.h"

#include <inttypes.h>
#include <math.h>
#include <sartor/grow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 128 }; /* that models are compared on, at most */

/* Flat buffers beside the weights: what a checkpoint has. */
typedef struct state {
    float *m, *v;
    uint8_t *generation; /* NULL: never grown */
} state;

typedef struct job {
    sartor_context *ctx;
    const sartor_grow_options *options;
    char *path; /* of the input */
    int threads;
    sr_st_reader *reader;
    sr_model *model; /* in the file */
    state before, after;
    char *record, *note; /* of the file to write; NULL: none */
    const void *tokenizer;
    size_t tokenizer_bytes;
} job;

void sartor_grow_defaults(sartor_grow_options *o) {
    *o = (sartor_grow_options){.new_rate = -1, .new_warmup = -1};
}

void sartor_grow_release(sartor_grow_result *r) {
    free(r->changes);
    *r = (sartor_grow_result){.changes = NULL};
}

static void state_free(state *s) {
    free(s->m);
    free(s->v);
    free(s->generation);
}

/* ---- reading ---- */

static bool has(const job *j, const char *prefix) {
    char name[SR_PARAM_NAME + 32];
    snprintf(name, sizeof name, "%s%s", prefix, j->model->schema.param[0].name);
    return sr_st_find(j->reader, name) != NULL;
}

static sartor_status make_state(sartor_context *ctx, int64_t elements, bool generations, state *s) {
    const size_t n = (size_t)elements;
    SR_TRY(sr_alloc(ctx, n, sizeof *s->m, "the optimiser", (void **)&s->m));
    SR_TRY(sr_alloc(ctx, n, sizeof *s->v, "the optimiser", (void **)&s->v));
    return generations ? sr_alloc(ctx, n, 1, "the optimiser", (void **)&s->generation) : SARTOR_OK;
}

static sartor_status read_state(job *j) {
    if (!has(j, sr_first_moment)) return SARTOR_OK;
    state *s = &j->before;
    SR_TRY(make_state(j->ctx, j->model->schema.elements, has(j, sr_generation_prefix), s));
    SR_TRY(sr_model_read_flat(j->ctx, j->reader, j->model, sr_first_moment, s->m));
    SR_TRY(sr_model_read_flat(j->ctx, j->reader, j->model, sr_second_moment, s->v));
    if (s->generation == NULL) return SARTOR_OK;
    return sr_model_read_bytes(j->ctx, j->reader, j->model, sr_generation_prefix, s->generation);
}

static bool says_how_to_train(const sartor_grow_options *o) {
    return o->new_rate >= 0 || o->new_warmup >= 0 || o->freeze_old;
}

static sartor_status open_model(job *j) {
    const sartor_grow_options *o = j->options;
    if (o->model == NULL) return sr_fail(j->ctx, SARTOR_INVALID, "no model is given");
    if (o->out == NULL && !o->dry_run)
        return sr_fail(j->ctx, SARTOR_INVALID, "no file to write is given");
    SR_TRY(sr_threads_resolve(j->ctx, o->threads, &j->threads));
    SR_TRY(sr_model_path(j->ctx, o->model, &j->path));
    SR_TRY(sr_model_open(j->ctx, j->path, &j->reader, &j->model));
    SR_TRY(sr_model_tokenizer(j->ctx, j->reader, &j->tokenizer, &j->tokenizer_bytes));
    SR_TRY(read_state(j));
    if (j->before.m == NULL && says_how_to_train(o))
        return sr_fail(
            j->ctx, SARTOR_INVALID,
            "%s: how new parts train is kept in checkpoints, and this is a model without "
            "an optimiser",
            j->path);
    return SARTOR_OK;
}

/* Growing takes long where models are large. */
static sartor_status go_on(const job *j) {
    return sr_interrupted(j->ctx)
               ? sr_fail(j->ctx, SARTOR_INTERRUPTED, "interrupted: nothing is written")
               : SARTOR_OK;
}

/* ---- writing ---- */

/* Reading and writing one file at once would leave neither if it failed. */
static sartor_status refuse_input(job *j) {
    char *a = realpath(j->path, NULL), *b = realpath(j->options->out, NULL);
    const bool same = a != NULL && b != NULL && strcmp(a, b) == 0;
    free(a);
    free(b);
    return same ? sr_fail(j->ctx, SARTOR_INVALID, "%s is the model itself: write another file",
                          j->options->out)
                : SARTOR_OK;
}

static sartor_status write_model(job *j, const sr_model *model, const state *s) {
    const sr_model_extra extra[] = {{sr_first_moment, SR_ST_F32, s->m},
                                    {sr_second_moment, SR_ST_F32, s->v},
                                    {sr_generation_prefix, SR_ST_U8, s->generation}};
    const int extras = s->m == NULL ? 0 : s->generation == NULL ? 2 : 3;
    sr_model_note note[2];
    int notes = 0;
    if (j->record != NULL) note[notes++] = (sr_model_note){sr_record_key, j->record};
    if (j->note != NULL) note[notes++] = (sr_model_note){sr_growth_note_key, j->note};
    SR_TRY(go_on(j));
    if (j->options->dry_run) return SARTOR_OK;
    SR_TRY(refuse_input(j));
    return sr_model_save(j->ctx, j->options->out, model, j->tokenizer, j->tokenizer_bytes, extra,
                         extras, note, notes);
}

/* ---- results ---- */

static sartor_status compare(job *j, sr_model *from, sr_model *to, bool exact,
                             sartor_grow_result *r) {
    sr_logit_difference d;
    sr_cost before, after;
    const int64_t tokens = from->sizes.context < TOKENS ? from->sizes.context : TOKENS;
    SR_TRY(go_on(j));
    SR_TRY(sr_compare_logits(j->ctx, from, to, tokens, j->options->seed, j->threads, &d));
    SR_TRY(sr_model_cost(j->ctx, from, &before));
    SR_TRY(sr_model_cost(j->ctx, to, &after));
    if (isnan(d.worst))
        return sr_fail(j->ctx, SARTOR_NOT_FINITE,
                       "%s: its logits are not all finite numbers: nothing is written", j->path);
    const bool same = d.worst <= sr_logit_tolerance(&d);
    r->max_abs_logit_difference = d.worst;
    r->largest_logit = d.largest;
    r->exact = exact && same;
    r->params_before = before.backbone + before.embedding;
    r->params_after = after.backbone + after.embedding;
    r->flops_before = before.flops_per_token;
    r->flops_after = after.flops_per_token;
    if (same || !exact || j->options->approximate) return SARTOR_OK;
    return sr_fail(j->ctx, SARTOR_MISMATCH,
                   "the larger model's logits differ by %.3g, of %.3g at most: nothing is written",
                   d.worst, d.largest);
}

static sartor_status list_changes(job *j, const sr_growth *g, sartor_grow_result *r) {
    const sr_schema *to = &g->to->schema;
    SR_TRY(sr_alloc(j->ctx, (size_t)to->count, sizeof *r->changes, "the list of changes",
                    (void **)&r->changes));
    for (int i = 0; i < to->count; i++) {
        const sr_growth_change c = sr_growth_of(g, i);
        const sr_param *p = &to->param[i], *old = g->tensor[i].from;
        if (c.fresh == 0 || !p->trained) continue;
        sartor_grow_change *out = &r->changes[r->n_changes++];
        *out = (sartor_grow_change){.rows = p->rows,
                                    .columns = p->cols,
                                    .fresh = c.fresh,
                                    .zero = c.zero,
                                    .rows_before = old != NULL ? old->rows : 0,
                                    .columns_before = old != NULL ? old->cols : 0};
        snprintf(out->name, sizeof out->name, "%s", p->name);
        r->new_entries += c.fresh;
    }
    return SARTOR_OK;
}

/* ---- growing ---- */

static sartor_status plan(job *j, sr_growth **growth) {
    sr_growth_request request = {.approximate = j->options->approximate};
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < j->options->n_items && status == SARTOR_OK; i++)
        status = sr_growth_request_set(j->ctx, &request, j->options->items[i].name,
                                       j->options->items[i].value);
    if (status == SARTOR_OK) status = sr_growth_plan(j->ctx, j->model, &request, growth);
    sr_growth_request_free(&request);
    return status;
}

static sartor_status fill(job *j, const sr_growth *g) {
    SR_TRY(sr_model_allocate(j->ctx, g->to));
    sr_growth_fill(g, j->options->seed);
    SR_TRY(go_on(j));
    const sartor_grow_options *o = j->options;
    if (j->before.m == NULL) return SARTOR_OK;
    sr_generation born = sr_generation_with(o->new_rate, o->new_warmup, o->freeze_old);
    int generation = 0;
    SR_TRY(sr_record_grown(j->ctx, j->path, j->reader, &born, &generation, &j->record));
    SR_TRY(make_state(j->ctx, g->to->schema.elements, true, &j->after));
    sr_growth_moments(g, j->before.m, j->after.m);
    sr_growth_moments(g, j->before.v, j->after.v);
    sr_growth_generations(g, j->before.generation, (uint8_t)generation, j->after.generation);
    return SARTOR_OK;
}

static sartor_status grow(job *j, sartor_grow_result *r) {
    sr_growth *g = NULL;
    sartor_status status = plan(j, &g);
    if (status == SARTOR_OK) status = fill(j, g);
    if (status == SARTOR_OK) status = compare(j, j->model, g->to, g->exact, r);
    if (status == SARTOR_OK) status = list_changes(j, g, r);
    if (status == SARTOR_OK) {
        j->note = sr_growth_note_make(g, g->to->params, sr_st_metadata(j->reader, sr_record_key),
                                      sr_st_metadata(j->reader, sr_growth_note_key));
        status = j->note != NULL ? write_model(j, g->to, &j->after) : sr_no_memory(j->ctx);
    }
    r->optimiser = j->after.m != NULL;
    sr_growth_destroy(&g);
    return status;
}

/* ---- and back ---- */

static sartor_status keep(job *j, const char *text, char **kept) {
    if (text == NULL) return SARTOR_OK;
    *kept = strdup(text);
    return *kept != NULL ? SARTOR_OK : sr_no_memory(j->ctx);
}

/* A model that had not grown before has no generations. */
static sartor_status shrink_generations(job *j, const sr_growth *g) {
    const int64_t n = g->from->schema.elements;
    bool any = false;
    if (j->before.generation == NULL) return SARTOR_OK;
    SR_TRY(sr_alloc(j->ctx, (size_t)n, 1, "the optimiser", (void **)&j->after.generation));
    sr_growth_shrink_generations(g, j->before.generation, j->after.generation);
    for (int64_t i = 0; i < n; i++) any = any || j->after.generation[i] > 0;
    if (any) return SARTOR_OK;
    free(j->after.generation);
    j->after.generation = NULL;
    return SARTOR_OK;
}

static sartor_status shrink(job *j, const sr_growth_undo *u, sartor_grow_result *r) {
    sr_model *from = u->from;
    SR_TRY(sr_model_allocate(j->ctx, from));
    sr_model_init(from, 0); /* a table that no LIV of the larger model turns by is not in it */
    sr_growth_shrink(u->growth, j->model->params, from->params);
    if (j->before.m != NULL) {
        SR_TRY(make_state(j->ctx, from->schema.elements, false, &j->after));
        sr_growth_shrink(u->growth, j->before.m, j->after.m);
        sr_growth_shrink(u->growth, j->before.v, j->after.v);
        SR_TRY(shrink_generations(j, u->growth));
    }
    SR_TRY(keep(j, u->record, &j->record));
    SR_TRY(keep(j, u->earlier, &j->note));
    SR_TRY(compare(j, j->model, from, u->growth->exact, r));
    r->optimiser = j->after.m != NULL;
    return write_model(j, from, &j->after);
}

static sartor_status undo(job *j, sartor_grow_result *r) {
    sr_growth_undo u;
    if (j->options->n_items > 0 || says_how_to_train(j->options))
        return sr_fail(j->ctx, SARTOR_INVALID, "to undo growth and to grow are two calls");
    sartor_status status = sr_growth_note_read(j->ctx, j->reader, j->model, &u);
    if (status != SARTOR_OK) return sr_fail_in(j->ctx, status, "%s", j->path);
    status = shrink(j, &u, r);
    sr_growth_undo_free(&u);
    return status;
}

sartor_status sartor_grow(sartor_context *ctx, const sartor_grow_options *options,
                          sartor_grow_result *result) {
    job j = {.ctx = ctx, .options = options};
    *result = (sartor_grow_result){.changes = NULL};
    sartor_status status = open_model(&j);
    if (status == SARTOR_OK) status = options->undo ? undo(&j, result) : grow(&j, result);
    if (status != SARTOR_OK) sartor_grow_release(result);
    sr_st_close(&j.reader);
    sr_model_destroy(&j.model);
    state_free(&j.before);
    state_free(&j.after);
    free(j.record);
    free(j.note);
    free(j.path);
    return status;
}
