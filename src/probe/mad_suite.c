#include "probe/mad_suite.h"

#include "probe/mad_run.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the suites ---- */

typedef struct setting_row {
    const char *text;
    int64_t epochs;
} setting_row;

typedef struct suite_row {
    const char *name;
    const setting_row *settings; /* ends with NULL; NULL: the benchmark's grid of every task */
    double rate[SR_MAD_MOST_GRID], decay[SR_MAD_MOST_GRID];
    int rates, decays;
} suite_row;

/* Short sequences, tasks made easier until a few hundred steps tell architectures apart, and few
 * examples, seen many times: attention learns to recall from 1600 repeated examples in half the
 * steps that it needs with 6400, and convolutions begin to learn them by heart, so that the order
 * is closer to that of long training. Compression takes 1250 steps until its order is the published
 * one. Memorization ends before every architecture is done. */
static const setting_row quick[] = {
    {"recall:length=64,train=1600,test=256", 25},
    {"fuzzy:vocab=8,length=64,key-size=2,value-size=2,train=1600,test=256", 25},
    {"noisy:vocab=24,length=64,train=1600,test=256", 30},
    {"copy:length=64,train=1600,test=256", 25},
    {"compression:train=6400,test=256", 25},
    {"memorization:vocab=2048,test=256", 40},
    {NULL, 0},
};

static const suite_row suites[] = {
    {"quick", quick, {1e-3}, {0}, 1, 1},
    {"full", NULL, {1e-4, 5e-4, 1e-3}, {0, 0.1}, 3, 2},
};
/* What one setting is trained with. */
static const suite_row one_setting = {NULL, NULL, {1e-4, 5e-4, 1e-3}, {0, 0.1}, 3, 2};

static const suite_row *find(const char *name) {
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (strcmp(suites[i].name, name) == 0) return &suites[i];
    return NULL;
}

static sartor_status settings_of(sartor_context *ctx, const suite_row *row, sr_mad_suite *s) {
    for (int task = 0; row->settings == NULL && task < SR_MAD_TASKS; task++)
        s->settings += sr_mad_grid((sr_mad_task_id)task, s->setting + s->settings);
    for (int i = 0; i < s->settings; i++) s->epochs[i] = SR_MAD_EPOCHS;
    for (const setting_row *r = row->settings; r != NULL && r->text != NULL; r++) {
        SR_TRY(sr_mad_setting_parse(ctx, r->text, &s->setting[s->settings]));
        s->epochs[s->settings++] = r->epochs;
    }
    return SARTOR_OK;
}

/* ---- what was asked for ---- */

static sartor_status read_tasks(sartor_context *ctx, const char *list, bool wanted[SR_MAD_TASKS]) {
    for (int i = 0; i < SR_MAD_TASKS; i++) wanted[i] = list == NULL;
    for (const char *p = list; p != NULL && *p != '\0';) {
        const size_t n = strcspn(p, ",");
        const int task = sr_mad_task_find(p, n);
        if (task < 0)
            return sr_fail(ctx, SARTOR_INVALID,
                           "there is no task '%.*s'; there are recall, fuzzy, noisy, copy, "
                           "compression, memorization",
                           n < 40 ? (int)n : 40, p);
        wanted[task] = true;
        p += n + (p[n] == ',');
    }
    return SARTOR_OK;
}

static void keep_tasks(sr_mad_suite *s, const bool wanted[SR_MAD_TASKS]) {
    int kept = 0;
    for (int i = 0; i < s->settings; i++)
        if (wanted[s->setting[i].task]) {
            s->setting[kept] = s->setting[i];
            s->epochs[kept++] = s->epochs[i];
        }
    s->settings = kept;
}

/* Numbers asked for, or the suite's. */
static sartor_status read_numbers(sartor_context *ctx, const char *what, const double *asked,
                                  int n_asked, double least, double *numbers, int *n) {
    if (n_asked > SR_MAD_MOST_GRID)
        return sr_fail(ctx, SARTOR_INVALID, "%d %ss, expected at most %d", n_asked, what,
                       SR_MAD_MOST_GRID);
    for (int i = 0; i < n_asked; i++)
        if (!isfinite(asked[i]) || asked[i] < least)
            return sr_fail(ctx, SARTOR_INVALID, "a %s is %g, expected a number %s 0", what,
                           asked[i], least > 0 ? "above" : "of at least");
    if (n_asked == 0) return SARTOR_OK;
    memcpy(numbers, asked, (size_t)n_asked * sizeof *numbers);
    *n = n_asked;
    return SARTOR_OK;
}

sartor_status sr_mad_suite_make(sartor_context *ctx, const sartor_mad_options *o, sr_mad_suite *s) {
    const char *name = o->suite != NULL ? o->suite : suites[0].name;
    const suite_row *row = find(name);
    bool wanted[SR_MAD_TASKS];
    *s = (sr_mad_suite){0};
    if (row != NULL) {
        SR_TRY(settings_of(ctx, row, s));
    } else {
        const size_t n = strcspn(name, ":");
        if (sr_mad_task_find(name, n) < 0)
            return sr_fail(ctx, SARTOR_INVALID,
                           "'%.60s' is no suite: quick, full, or one setting such as "
                           "recall:vocab=32 (tasks: recall, fuzzy, noisy, copy, compression, "
                           "memorization)",
                           name);
        row = &one_setting;
        SR_TRY(sr_mad_setting_parse(ctx, name, &s->setting[0]));
        s->epochs[s->settings++] = SR_MAD_EPOCHS;
    }
    memcpy(s->rate, row->rate, sizeof s->rate);
    memcpy(s->decay, row->decay, sizeof s->decay);
    s->rates = row->rates;
    s->decays = row->decays;
    for (int i = 0; o->epochs != 0 && i < s->settings; i++) s->epochs[i] = o->epochs;
    SR_TRY(read_numbers(ctx, "learning rate", o->rates, o->n_rates, 1e-30, s->rate, &s->rates));
    SR_TRY(read_numbers(ctx, "weight decay", o->decays, o->n_decays, 0, s->decay, &s->decays));
    if (o->epochs < 0 || o->epochs > 1 << 20)
        return sr_fail(ctx, SARTOR_INVALID, "epochs is %" PRId64 ", expected 1 to %d", o->epochs,
                       1 << 20);
    SR_TRY(read_tasks(ctx, o->tasks, wanted));
    keep_tasks(s, wanted);
    return s->settings > 0
               ? SARTOR_OK
               : sr_fail(ctx, SARTOR_INVALID, "the suite has no setting of these tasks");
}
