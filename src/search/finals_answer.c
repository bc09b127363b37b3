/* What the finals of a study came to. */
#include "search/answers.h"
#include "search/finals.h"
#include "search/lineage.h"
#include "study/sql.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the runs of one architecture. */
typedef struct tally {
    double test[SR_MOST_SEEDS], validation[SR_MOST_SEEDS]; /* bits per byte */
    int n;
} tally;

typedef struct sr_asked {
    int64_t tokens;
    int seeds;
} sr_asked;

/* Of the seeds asked for: an earlier call may have had more. */
static sartor_status read_scores(sartor_context *ctx, sr_study *study, const sr_search *search,
                                 const char *arch, const sr_asked *asked, tally *t) {
    for (int i = 0; i < asked->seeds; i++) {
        sr_query rows;
        char name[SR_FINAL_NAME];
        sr_final_name(name, arch, asked->tokens, sr_final_seed(search, i));
        SR_TRY(sr_sql(ctx, study, &rows,
                      "SELECT json_extract(result, '$.bpb'), json_extract(result, '$.validation')"
                      " FROM job WHERE kind = 'final' AND name = ? AND state = 'done'",
                      "s", name));
        if (sr_next(&rows)) {
            t->test[t->n] = sr_real(&rows, 0);
            t->validation[t->n++] = sr_real(&rows, 1);
        }
        SR_TRY(sr_done(&rows));
    }
    return SARTOR_OK;
}

static sartor_status read_speed(sartor_context *ctx, sr_study *study, const char *arch,
                                int64_t tokens, double *prefill, double *decode) {
    sr_query rows;
    char name[SR_FINAL_NAME];
    *prefill = *decode = NAN;
    sr_final_measure_name(name, arch, tokens);
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT json_extract(result, '$.prefill'), json_extract(result, '$.decode')"
                  " FROM job WHERE kind = 'measure' AND name = ? AND state = 'done'",
                  "s", name));
    if (sr_next(&rows)) {
        *prefill = sr_real(&rows, 0);
        *decode = sr_real(&rows, 1);
    }
    return sr_done(&rows);
}

static json_t *spread(const double *bpb, int n) {
    double sum = 0, squares = 0;
    json_t *values = json_array();
    for (int i = 0; i < n; i++) {
        sum += bpb[i];
        (void)json_array_append_new(values, sr_number_or_null(bpb[i]));
    }
    double mean = n > 0 ? sum / n : NAN;
    for (int i = 0; i < n; i++) squares += (bpb[i] - mean) * (bpb[i] - mean);
    return json_pack("{s:o, s:o, s:o}", "mean", sr_number_or_null(mean), "std",
                     sr_number_or_null(n > 1 ? sqrt(squares / (n - 1)) : NAN), "values", values);
}

/* What the search knew of the architecture; null: it was no trial, or was not trained. */
static sartor_status add_search(sartor_context *ctx, sr_study *study, const sr_search *search,
                                json_t *member) {
    const int64_t trial = json_integer_value(json_object_get(member, "trial"));
    json_t *training = NULL;
    sr_query rows;
    double bpb = NAN;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT value FROM value WHERE trial = ? AND name = 'bpb'",
                  "i", trial));
    if (sr_next(&rows)) bpb = sr_real(&rows, 0);
    SR_TRY(sr_done(&rows));
    if (!isnan(bpb)) {
        SR_TRY(sr_answer_training(ctx, study, search, trial, &training));
        (void)json_object_set_new(training, "bpb", sr_number_or_null(bpb));
    }
    if (training == NULL) training = json_null();
    return json_object_set_new(member, "search", training) == 0 ? SARTOR_OK : sr_no_memory(ctx);
}

static sartor_status corrupted(sartor_context *ctx, const sr_study *study) {
    return sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (finals)", sr_study_path(study));
}

static sartor_status describe(sartor_context *ctx, sr_study *study, const sr_search *search,
                              json_t *member, const sr_asked *asked) {
    const char *arch = json_string_value(json_object_get(member, "id"));
    const char *text = json_string_value(json_object_get(member, "genome"));
    if (arch == NULL || text == NULL) return corrupted(ctx, study);
    double values[SR_OBJECTIVE_COUNT], prefill, decode;
    tally t = {.n = 0};
    sr_genome *genome = malloc(sizeof *genome);
    if (genome == NULL) return sr_no_memory(ctx);
    sartor_status status = sr_genome_parse(ctx, text, strlen(text), genome);
    if (status == SARTOR_OK)
        status = sr_objectives_compute(ctx, genome, &search->settings.sizes, values);
    free(genome);
    SR_TRY(status);
    SR_TRY(read_scores(ctx, study, search, arch, asked, &t));
    SR_TRY(read_speed(ctx, study, arch, asked->tokens, &prefill, &decode));
    json_t *more =
        json_pack("{s:o, s:I, s:I, s:f, s:o, s:o, s:o}", "bpb", spread(t.test, t.n), "params",
                  (json_int_t)values[SR_PARAMS], "cache", (json_int_t)values[SR_CACHE], "flops",
                  values[SR_FLOPS], "prefill", sr_number_or_null(prefill), "decode",
                  sr_number_or_null(decode), "validation", spread(t.validation, t.n));
    status = more != NULL && json_object_update(member, more) == 0 ? SARTOR_OK : sr_no_memory(ctx);
    json_decref(more);
    return status == SARTOR_OK ? add_search(ctx, study, search, member) : status;
}

static double mean_of(const json_t *member) {
    const json_t *mean = json_object_get(json_object_get(member, "bpb"), "mean");
    return json_is_number(mean) ? json_number_value(mean) : INFINITY;
}

static void sort_by_mean(json_t *members) {
    for (size_t i = 1; i < json_array_size(members); i++)
        for (size_t j = i; j > 0; j--) {
            json_t *a = json_array_get(members, j - 1), *b = json_array_get(members, j);
            if (mean_of(a) <= mean_of(b)) break;
            json_incref(a);
            json_incref(b);
            (void)json_array_set_new(members, j - 1, b);
            (void)json_array_set_new(members, j, a);
        }
}

sartor_status sr_answer_finals(sartor_context *ctx, sr_study *study, const sr_search *search,
                               json_t **answer) {
    char *text;
    SR_TRY(sr_study_get(ctx, study, SR_FACT_FINALS, &text));
    const bool any = text != NULL;
    json_t *fact = any ? json_loads(text, 0, NULL) : NULL;
    free(text);
    json_t *members = json_object_get(fact, "members");
    json_int_t tokens = json_integer_value(json_object_get(fact, "tokens"));
    json_int_t seeds = json_integer_value(json_object_get(fact, "seeds"));
    bool good = json_is_array(members) && tokens > 0 && seeds > 0 && seeds <= SR_MOST_SEEDS;
    sartor_status status = good || !any ? SARTOR_OK : corrupted(ctx, study);
    const sr_asked asked = {tokens, (int)seeds};
    for (size_t i = 0; status == SARTOR_OK && i < json_array_size(members); i++)
        status = describe(ctx, study, search, json_array_get(members, i), &asked);
    if (status == SARTOR_OK) {
        sort_by_mean(members);
        *answer = json_pack("{s:i, s:I, s:I, s:o}", "version", 1, "tokens", tokens, "seeds", seeds,
                            "finals", members != NULL ? json_incref(members) : json_array());
        if (*answer == NULL) status = sr_no_memory(ctx);
    }
    json_decref(fact);
    return status;
}
