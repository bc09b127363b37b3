/* sartor_run_report(): training runs side by side, read from their folders (report.h tells the
 * format).
 *
 * What holds: memory and page do not grow with the length of a run, and a run that goes on is read
 * as it stands: its record first, so that the metrics are never behind it. */
#include "report/report.h"

#include "base/memory.h"
#include "model/cost.h"
#include "report/thin.h"
#include "search/answers.h"
#include "train/checkpoint.h"
#include "train/metrics_read.h"

#include <sartor/sartor.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    POINTS = 6000,     /* of all runs of a page, about */
    RUN_POINTS = 2000, /* of one run, at most */
    VALIDATIONS = 500  /* of one run, at most */
};

/* What the file beside the metrics says; zero without one. */
typedef struct stored_size {
    int64_t params;
    int births;
} stored_size;

typedef struct reading {
    sartor_context *ctx;
    const char *metrics; /* the path */
    sr_thin steps, validations;
    json_t *growth;
    sr_metrics_entry last;        /* step 0: none; its `grown` is not valid */
    int64_t first_params, params; /* 0: not known */
    stored_size stored;
} reading;

/* ---- metrics ---- */

static json_t *known(int64_t count) {
    return count > 0 ? json_integer((json_int_t)count) : json_null();
}

static sartor_status add_growth(reading *r, const sr_metrics_entry *e) {
    if (json_array_size(r->growth) == SR_MAX_GROWTHS)
        return sr_fail(r->ctx, SARTOR_FORMAT, "%s: step %lld is one growth too many", r->metrics,
                       (long long)e->step);
    if (r->params == 0) r->first_params = e->params_before;
    r->params = e->params;
    json_t *one =
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:I}", "step", (json_int_t)(e->step - 1), "tokens",
                  (json_int_t)r->last.tokens, "seconds", sr_number_or_null(r->last.seconds),
                  "grown", sr_string_or_null(e->grown), "from", known(e->params_before), "params",
                  (json_int_t)e->params);
    if (json_array_append_new(r->growth, one) != 0) return sr_no_memory(r->ctx);
    return SARTOR_OK;
}

static sartor_status take(void *user, const sr_metrics_entry *e) {
    reading *r = user;
    if (e->grew) SR_TRY(add_growth(r, e));
    sr_thin_add(&r->steps, e->step, e->tokens, e->seconds, e->rate,
                (const double[]){e->bits_per_byte, e->norm, e->tokens_per_second});
    if (isfinite(e->validation_bits_per_byte))
        sr_thin_add(&r->validations, e->step, e->tokens, e->seconds, e->rate,
                    (const double[]){e->validation_bits_per_byte, NAN, NAN});
    r->last = *e;
    return SARTOR_OK;
}

/* ---- the record beside it ---- */

static json_t *model_json(const sr_model *m, const sr_cost *cost) {
    char *names = malloc(2 * (size_t)SR_GENOME_TEXT);
    if (names == NULL) return NULL;
    char *genome = names + SR_GENOME_TEXT;
    sr_genome_names(&m->genome, names);
    sr_genome_print(&m->genome, genome);
    json_t *object =
        json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:I}", "names", names, "genome",
                  genome, "livs", m->genome.n, "width", (json_int_t)m->sizes.width, "head_dim",
                  (json_int_t)m->sizes.head_dim, "context", (json_int_t)m->sizes.context, "vocab",
                  (json_int_t)m->sizes.vocab, "params",
                  (json_int_t)(cost->backbone + cost->embedding), "flops_per_token",
                  sr_number_or_null(cost->flops_per_token), "cache", (json_int_t)cost->cache_bytes);
    free(names);
    return object;
}

static sartor_status describe_file(sartor_context *ctx, const char *path, json_t *run,
                                   stored_size *stored) {
    sr_st_reader *reader = NULL;
    sr_model *model = NULL;
    sr_run_record record;
    sr_cost cost;
    json_t *settings = NULL;
    SR_TRY(sr_st_open(ctx, path, &reader));
    sartor_status status = sr_record_load(ctx, path, reader, &settings, &record);
    if (status == SARTOR_OK) status = sr_model_compile(ctx, path, reader, &model);
    if (status == SARTOR_OK) status = sr_model_cost(ctx, model, &cost);
    if (status == SARTOR_OK) {
        *stored = (stored_size){cost.backbone + cost.embedding, record.births.count};
        int bad = json_object_set(run, "settings", settings);
        bad |= json_object_set_new(run, "model", model_json(model, &cost));
        bad |= json_object_set_new(run, "planned",
                                   json_integer((json_int_t)record.total[record.totals - 1]));
        if (record.done)
            bad |= json_object_set_new(
                run, "final",
                json_pack("{s:I, s:I, s:o, s:o}", "step", (json_int_t)record.step, "tokens",
                          (json_int_t)record.tokens, "seconds", sr_number_or_null(record.seconds),
                          "bpb", sr_number_or_null(record.result.bits_per_byte)));
        if (bad) status = sr_no_memory(ctx);
    }
    sr_model_destroy(&model);
    sr_st_close(&reader);
    json_decref(settings);
    return status;
}

static char *inside(const char *folder, const char *name) {
    const size_t n = strlen(folder) + strlen(name) + 2;
    char *path = malloc(n);
    if (path != NULL) snprintf(path, n, "%s/%s", folder, name);
    return path;
}

/* What the newest file with weights says, if there is one: a run that ends in this moment renames
 * its checkpoint. */
static sartor_status describe(reading *r, const char *folder, json_t *run) {
    static const char *const files[] = {"checkpoint.safetensors", "model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = inside(folder, files[i]);
        if (path == NULL) return sr_no_memory(r->ctx);
        const bool there = access(path, F_OK) == 0;
        const sartor_status status =
            there ? describe_file(r->ctx, path, run, &r->stored) : SARTOR_OK;
        const bool gone = there && status == SARTOR_IO && access(path, F_OK) != 0;
        free(path);
        if (there && !gone) return status;
    }
    return SARTOR_OK;
}

/* ---- together ---- */

static sartor_status fill(reading *r, json_t *run) {
    static const char *const quantities[] = {"bpb", "norm", "speed"};
    static const char *const only[] = {"bpb", NULL, NULL};
    int bad = json_object_set_new(run, "steps", json_integer((json_int_t)r->last.step));
    bad |= json_object_set_new(run, "tokens", json_integer((json_int_t)r->last.tokens));
    bad |= json_object_set_new(run, "seconds", sr_number_or_null(r->last.seconds));
    bad |= json_object_set_new(run, "first_params", known(r->first_params));
    bad |= json_object_set_new(run, "params", known(r->params));
    bad |= json_object_set_new(run, "points", sr_thin_json(&r->steps, quantities));
    bad |= json_object_set_new(run, "validation", sr_thin_json(&r->validations, only));
    bad |= json_object_set(run, "growth", r->growth);
    return bad ? sr_no_memory(r->ctx) : SARTOR_OK;
}

static sartor_status read_run(reading *r, const char *folder, int limit, json_t *run) {
    if (access(r->metrics, F_OK) != 0)
        return sr_fail(r->ctx, SARTOR_IO,
                       "%s: not the folder of a training run (no metrics.jsonl in it)", folder);
    r->growth = json_array();
    SR_TRY(sr_thin_begin(r->ctx, limit, &r->steps));
    SR_TRY(sr_thin_begin(r->ctx, VALIDATIONS, &r->validations));
    SR_TRY(describe(r, folder, run));
    SR_TRY(sr_metrics_read(r->ctx, r->metrics, take, r));
    if (r->params == 0) r->first_params = r->params = r->stored.params;
    /* Some of its growth was elsewhere: nobody knows from which size. */
    if ((size_t)r->stored.births > json_array_size(r->growth)) r->first_params = 0;
    return fill(r, run);
}

static sartor_status add_run(sartor_context *ctx, const char *folder, int limit, json_t *runs) {
    reading r = {.ctx = ctx};
    char *metrics = inside(folder, "metrics.jsonl");
    json_t *run = json_pack("{s:s}", "name", folder);
    sartor_status status = SARTOR_OK;
    r.metrics = metrics;
    if (metrics == NULL) status = sr_no_memory(ctx);
    if (status == SARTOR_OK && run == NULL)
        status = sr_fail(ctx, SARTOR_INVALID, "%s: the folder's name is not UTF-8", folder);
    if (status == SARTOR_OK) status = read_run(&r, folder, limit, run);
    if (status == SARTOR_OK && json_array_append(runs, run) != 0) status = sr_no_memory(ctx);
    json_decref(run);
    json_decref(r.growth);
    sr_thin_free(&r.steps);
    sr_thin_free(&r.validations);
    free(metrics);
    return status;
}

sartor_status sartor_run_report(sartor_context *ctx, const char *const *folders, int count,
                                const char *path) {
    char made[SR_REPORT_TIME];
    if (count < 1 || count > SARTOR_REPORT_RUNS)
        return sr_fail(ctx, SARTOR_INVALID, "1 to %d runs fit on a page, not %d",
                       SARTOR_REPORT_RUNS, count);
    const int share = POINTS / count / 2 * 2;
    json_t *runs = json_array();
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < count && status == SARTOR_OK; i++)
        status = add_run(ctx, folders[i], share < RUN_POINTS ? share : RUN_POINTS, runs);
    json_t *data = json_pack("{s:i, s:s, s:s, s:s, s:O}", "version", 1, "purpose", "run", "made",
                             sr_report_time(made), "sartor", sartor_version(), "runs", runs);
    if (status == SARTOR_OK && data == NULL) status = sr_no_memory(ctx);
    if (status == SARTOR_OK) status = sr_report_write(ctx, data, path);
    json_decref(data);
    json_decref(runs);
    return status;
}
