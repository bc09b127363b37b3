/* What a scaling study tells: its runs by architecture, fitted, as JSON. */
#include "probe/scale.h"

#include "base/memory.h"
#include "probe/isoflop.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 1000, BAND_POINTS = 33 };

typedef struct family {
    char id[SR_FAMILY_TEXT];
    json_t *result;         /* owned by the answer */
    json_t *points;         /* likewise */
    sr_iso_point *finished; /* room for all points */
    int n, room;
    sr_isoflop fit; /* n > 0 */
} family;

typedef struct answering {
    sartor_context *ctx;
    sr_study *study;
    uint64_t seed;
    bool bands;
    json_t *results;
    family **families;
    int n;
} answering;

static json_t *real_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static sartor_status corrupted(const answering *a) {
    return sr_fail(a->ctx, SARTOR_FORMAT, "%s: is corrupted (the result of a run)",
                   sr_study_path(a->study));
}

/* ---- runs ---- */

static sartor_status add_family(answering *a, const sr_scale_run *run, family **out) {
    char *names = malloc(SR_GENOME_TEXT);
    sr_genome *genome = malloc(sizeof *genome);
    family *f = calloc(1, sizeof *f);
    family **more = realloc(a->families, (size_t)(a->n + 1) * sizeof *more);
    if (more != NULL) a->families = more;
    sartor_status status = SARTOR_OK;
    if (names == NULL || genome == NULL || f == NULL || more == NULL) status = sr_no_memory(a->ctx);
    if (status == SARTOR_OK)
        status = sr_genome_parse(a->ctx, run->pattern, strlen(run->pattern), genome);
    if (status == SARTOR_OK) {
        sr_genome_names(genome, names);
        memcpy(f->id, run->family, sizeof f->id);
        f->points = json_array();
        f->result = json_pack("{s:s, s:s, s:s, s:o}", "arch", run->arch, "pattern", names, "genome",
                              run->pattern, "points", f->points);
        if (f->result == NULL || json_array_append_new(a->results, f->result) != 0)
            status = sr_no_memory(a->ctx);
    }
    free(names);
    free(genome);
    if (status == SARTOR_OK)
        a->families[a->n++] = *out = f;
    else
        free(f);
    return status;
}

static sartor_status find_family(answering *a, const sr_scale_run *run, family **out) {
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->families[i]->id, run->family) == 0) {
            *out = a->families[i];
            return SARTOR_OK;
        }
    return add_family(a, run, out);
}

static sartor_status keep_finished(const answering *a, const sr_scale_run *run, double loss,
                                   family *f) {
    if (f->n == f->room) {
        f->room = f->room > 0 ? 2 * f->room : 64;
        sr_iso_point *more = realloc(f->finished, (size_t)f->room * sizeof *more);
        if (more == NULL) return sr_no_memory(a->ctx);
        f->finished = more;
    }
    f->finished[f->n++] = (sr_iso_point){.budget = run->budget,
                                         .params = (double)run->params,
                                         .tokens = (double)run->tokens,
                                         .state = (double)run->cache,
                                         .loss = loss};
    return SARTOR_OK;
}

static sartor_status add_point(answering *a, const sr_query *rows, const json_t *spec) {
    sr_scale_run run;
    family *f;
    SR_TRY(sr_scale_run_read(a->ctx, a->study, spec, &run));
    SR_TRY(find_family(a, &run, &f));
    const char *state = sr_text(rows, 2), *reason = sr_text(rows, 3);
    const double loss = sr_real(rows, 4), bpb = sr_real(rows, 5);
    const bool done = state != NULL && strcmp(state, "done") == 0;
    if (done && !(loss > 0 && isfinite(loss))) return corrupted(a);
    json_t *point = json_pack(
        "{s:I, s:f, s:I, s:i, s:I, s:I, s:I, s:f, s:f, s:I, s:s, s:s?, s:o, s:o}", "job",
        (json_int_t)sr_int(rows, 0), "budget", run.budget, "width", (json_int_t)run.width, "livs",
        run.livs, "params", (json_int_t)run.params, "tokens", (json_int_t)run.tokens, "batch",
        (json_int_t)(run.batch.windows * run.batch.accumulate), "learning_rate", run.learning_rate,
        "flops", 3 * run.flops_per_token * (double)run.tokens, "cache", (json_int_t)run.cache,
        "state", state != NULL ? state : "", "reason", reason, "loss",
        real_or_null(done ? loss : NAN), "bpb", real_or_null(done ? bpb : NAN));
    if (point == NULL || json_array_append_new(f->points, point) != 0) return sr_no_memory(a->ctx);
    return done ? keep_finished(a, &run, loss, f) : SARTOR_OK;
}

static sartor_status read_runs(answering *a) {
    sr_query rows;
    sartor_status status = SARTOR_OK;
    SR_TRY(sr_sql(a->ctx, a->study, &rows,
                  "SELECT id, spec, state, reason, json_extract(result, '$.loss'),"
                  " json_extract(result, '$.bpb') FROM job WHERE kind = 'scale' ORDER BY id",
                  ""));
    for (int n = 1; status == SARTOR_OK && sr_next(&rows); n++) {
        const char *text = sr_text(&rows, 1);
        json_t *spec = text != NULL ? json_loads(text, 0, NULL) : NULL;
        status = n <= SR_SCALE_RUNS ? add_point(a, &rows, spec)
                                    : sr_fail(a->ctx, SARTOR_FORMAT, "%s: has more than %d runs",
                                              sr_study_path(a->study), SR_SCALE_RUNS);
        json_decref(spec);
    }
    sartor_status ended = sr_done(&rows);
    return status == SARTOR_OK ? ended : status;
}

/* ---- fits ---- */

static json_t *estimate_json(const sr_estimate *e) {
    return isfinite(e->value) ? json_pack("{s:f, s:o, s:o}", "value", e->value, "low",
                                          real_or_null(e->low), "high", real_or_null(e->high))
                              : json_null();
}

static sartor_status add_band(const answering *a, const sr_fitted_law *law, double low, double high,
                              json_t *json) {
    json_t *band = json_array();
    for (int i = 0; i < BAND_POINTS; i++) {
        const double x = low * pow(high / low, (double)i / (BAND_POINTS - 1));
        sr_estimate y;
        sartor_status status = sr_fitted_law_at(a->ctx, law, x, &y);
        if (status != SARTOR_OK) {
            json_decref(band);
            return status;
        }
        if (isfinite(x) && isfinite(y.value))
            (void)json_array_append_new(band, json_pack("[f, f, o, o]", x, y.value,
                                                        real_or_null(y.low), real_or_null(y.high)));
    }
    return json_object_set_new(json, "band", band) == 0 ? SARTOR_OK : sr_no_memory(a->ctx);
}

/* `low` and `high`: where the law's x was measured. */
static sartor_status law_json(const answering *a, const sr_fitted_law *law, double low, double high,
                              json_t **json) {
    *json = law->fault != NULL
                ? json_pack("{s:s}", "fault", law->fault)
                : json_pack("{s:n, s:o, s:o, s:o}", "fault", "coefficient",
                            estimate_json(&law->coefficient), "exponent",
                            estimate_json(&law->exponent), "floor", estimate_json(&law->floor));
    if (*json == NULL) return sr_no_memory(a->ctx);
    return a->bands && law->fault == NULL ? add_band(a, law, low, high, *json) : SARTOR_OK;
}

static json_t *parabola_json(const sr_iso_curve *c) {
    return c->fault != NULL ? json_null()
                            : json_pack("{s:f, s:[f, f, f]}", "log_params", c->middle,
                                        "coefficients", c->c[0], c->c[1], c->c[2]);
}

static json_t *curve_json(const sr_iso_curve *c) {
    static const char *const outside[] = {"below", NULL, "above"};
    return json_pack("{s:f, s:i, s:s?, s:s?, s:o, s:o, s:o, s:o, s:o}", "budget", c->budget, "runs",
                     c->points, "fault", c->fault, "outside", outside[c->outside + 1], "parabola",
                     parabola_json(c), "params", estimate_json(&c->optimum[SR_ISO_PARAMS]),
                     "tokens", estimate_json(&c->optimum[SR_ISO_TOKENS]), "cache",
                     estimate_json(&c->optimum[SR_ISO_STATE]), "loss",
                     estimate_json(&c->optimum[SR_ISO_LOSS]));
}

/* The states at the optima that count, a little widened. */
static void state_range(const sr_isoflop *fit, double *low, double *high) {
    for (int k = 0; k < fit->n_curves; k++) {
        const double m = fit->curves[k].optimum[SR_ISO_STATE].value;
        if (!sr_iso_curve_counts(&fit->curves[k]) || !(m > 0)) continue;
        *low = fmin(*low, m / 2);
        *high = fmax(*high, m * 2);
    }
}

static sartor_status state_json(const answering *a, const sr_isoflop *const *fits, int n,
                                json_t **json) {
    sr_fitted_law law;
    double low = INFINITY, high = 0;
    for (int i = 0; i < n; i++) state_range(fits[i], &low, &high);
    sartor_status status = sr_state_law_fit(a->ctx, fits, n, &law);
    if (status == SARTOR_OK) status = law_json(a, &law, low, high, json);
    sr_fitted_law_free(&law);
    return status;
}

static sartor_status laws_json(const answering *a, const sr_isoflop *fit, json_t *laws) {
    static const char *const names[SR_ISO_LAWS] = {"params", "tokens", "loss"};
    const double least = fit->curves[0].budget, most = fit->curves[fit->n_curves - 1].budget;
    json_t *law;
    for (int i = 0; i < SR_ISO_LAWS; i++) {
        SR_TRY(law_json(a, &fit->laws[i], least / 2, most * 10, &law));
        if (json_object_set_new(laws, names[i], law) != 0) return sr_no_memory(a->ctx);
    }
    const sr_isoflop *one = fit;
    SR_TRY(state_json(a, &one, 1, &law));
    return json_object_set_new(laws, "state", law) == 0 ? SARTOR_OK : sr_no_memory(a->ctx);
}

/* A seed for each architecture: their errors are independent. */
static sartor_status fit_family(const answering *a, int index) {
    family *f = a->families[index];
    json_t *budgets = json_array(), *laws = json_object();
    if (json_object_set_new(f->result, "budgets", budgets) != 0 ||
        json_object_set_new(f->result, "laws", laws) != 0)
        return sr_no_memory(a->ctx);
    if (f->n == 0) return SARTOR_OK;
    const sr_iso_options options = {.resamples = RESAMPLES, .seed = a->seed + (uint64_t)index};
    SR_TRY(sr_isoflop_fit(a->ctx, f->finished, f->n, &options, &f->fit));
    for (int k = 0; k < f->fit.n_curves; k++)
        (void)json_array_append_new(budgets, curve_json(&f->fit.curves[k]));
    (void)json_object_set_new(f->result, "noise", real_or_null(f->fit.noise));
    if (f->fit.no_intervals != NULL)
        (void)json_object_set_new(f->result, "no_intervals", json_string(f->fit.no_intervals));
    return laws_json(a, &f->fit, laws);
}

/* One law through the optima of all architectures. */
static sartor_status fit_together(const answering *a, json_t *answer) {
    const sr_isoflop **fits;
    int n = 0;
    SR_TRY(sr_alloc(a->ctx, (size_t)a->n, sizeof *fits, "fits", (void **)&fits));
    for (int i = 0; i < a->n; i++)
        if (a->families[i]->n > 0) fits[n++] = &a->families[i]->fit;
    json_t *law = NULL;
    sartor_status status = n > 0 ? state_json(a, fits, n, &law) : SARTOR_OK;
    free(fits);
    if (law != NULL) (void)json_object_set_new(answer, "shared", json_pack("{s:o}", "state", law));
    return status;
}

static sartor_status answer_all(answering *a, json_t *answer) {
    SR_TRY(read_runs(a));
    for (int i = 0; i < a->n; i++) SR_TRY(fit_family(a, i));
    return fit_together(a, answer);
}

sartor_status sr_scale_answer(sartor_context *ctx, sr_study *study, bool bands, json_t **answer) {
    sr_scale_settings settings;
    SR_TRY(sr_scale_settings_read(ctx, study, &settings));
    answering a = {
        .ctx = ctx, .study = study, .seed = settings.seed, .bands = bands, .results = json_array()};
    *answer = json_pack("{s:i, s:o}", "version", 1, "results", a.results);
    sartor_status status = *answer != NULL ? answer_all(&a, *answer) : sr_no_memory(ctx);
    for (int i = 0; i < a.n; i++) {
        if (a.families[i]->n > 0) sr_isoflop_free(&a.families[i]->fit);
        free(a.families[i]->finished);
        free(a.families[i]);
    }
    free(a.families);
    if (status != SARTOR_OK) {
        json_decref(*answer);
        *answer = NULL;
    }
    return status;
}
