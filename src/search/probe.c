/* The kind of job that probes a trial: the runs of a MAD suite one after another, in one job.
 *
 * Finished runs are kept in runs.json, so that an attempt that was killed loses one run's work
 * since its checkpoint. The objective `mad` is 1 - MAD score. */
#define _GNU_SOURCE
#include "search/jobs.h"

#include "base/file.h"
#include "probe/mad_mean.h"
#include "probe/mad_run.h"
#include "study/sql.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS_LIMIT = 1 << 20 };
static const double checkpoint_seconds = 5;

static const sr_attempt_file probe_files[] = {{"runs.json", false},
                                              {"checkpoint.safetensors", false}};

typedef struct probing {
    sartor_context *ctx;
    sr_worker *worker;
    const sr_search_settings *settings;
    const sr_mad_suite *suite;
    sr_genome *genome;
    char *folder, *runs_path, *checkpoint;
    json_t *scores;              /* by run, as text: [score, selection]; null where it diverged */
    int64_t steps_before, steps; /* of finished runs, and of all */
} probing;

static int64_t steps_of(const sr_mad_suite *suite, int i) {
    return suite->epochs[i] * ((suite->setting[i].train - 1) / SR_MAD_BATCH + 1);
}

int64_t sr_probe_tokens(const sr_mad_suite *suite) {
    int64_t tokens = 0;
    for (int i = 0; i < suite->settings; i++)
        tokens += steps_of(suite, i) * SR_MAD_BATCH * sr_mad_network_length(&suite->setting[i]);
    return tokens * suite->rates * suite->decays;
}

static void publish(void *user, int64_t step, int64_t steps, double loss) {
    const probing *p = user;
    (void)steps;
    sr_worker_progress(p->worker, p->steps_before + step, p->steps, loss);
}

/* ---- finished runs ---- */

static void run_name(const probing *p, int setting, double rate, double decay,
                     char name[SR_MAD_SETTING_TEXT + 64]) {
    char text[SR_MAD_SETTING_TEXT];
    sr_mad_setting_print(&p->suite->setting[setting], text);
    snprintf(name, SR_MAD_SETTING_TEXT + 64, "%s lr %.17g wd %.17g", text, rate, decay);
}

/* What an earlier attempt finished; a file that cannot be read is as good as none. */
static json_t *read_runs(const char *path) {
    json_error_t error;
    json_t *runs = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(runs)) return runs;
    json_decref(runs);
    return json_object();
}

static sartor_status write_runs(const probing *p) {
    sr_file file;
    char *text = json_dumps(p->scores, JSON_REAL_PRECISION(17));
    if (text == NULL) return sr_no_memory(p->ctx);
    sartor_status status = sr_file_create(p->ctx, p->runs_path, &file);
    if (status == SARTOR_OK) {
        (void)fputs(text, file.stream);
        status = sr_file_commit(p->ctx, &file);
    }
    free(text);
    return status;
}

/* ---- running ---- */

static sartor_status run_one(const probing *p, const sr_mad_data *data, int setting, double rate,
                             double decay, sr_mad_result *result) {
    const sr_search_settings *s = p->settings;
    const sr_mad_run_options options = {.protocol = SR_MAD_FAITHFUL,
                                        .rate = rate,
                                        .weight_decay = decay,
                                        .batch = SR_MAD_BATCH,
                                        .epochs = p->suite->epochs[setting],
                                        .numbers = sr_numbers_from(s->precision),
                                        .threads = s->threads,
                                        .seed = s->seed,
                                        .folder = p->folder,
                                        .checkpoint_seconds = checkpoint_seconds,
                                        .before_step = publish,
                                        .user = (void *)(uintptr_t)p};
    sartor_status status = sr_mad_run(p->ctx, p->genome, &s->sizes, &p->suite->setting[setting],
                                      data, &options, result);
    if (status != SARTOR_MISMATCH) return status;
    (void)unlink(p->checkpoint); /* of the run before, which had just ended */
    return sr_mad_run(p->ctx, p->genome, &s->sizes, &p->suite->setting[setting], data, &options,
                      result);
}

/* A run that diverges is a run without a score. */
static sartor_status run_and_keep(probing *p, const sr_mad_data *data, int setting, double rate,
                                  double decay, const char *name) {
    sr_mad_result r;
    sartor_status status = run_one(p, data, setting, rate, decay, &r);
    if (status != SARTOR_OK && status != SARTOR_NOT_FINITE) return status;
    json_t *score = status == SARTOR_OK
                        ? json_pack("[f, f]", sr_mad_result_score(&r, SR_MAD_FAITHFUL), r.selection)
                        : json_null();
    if (score == NULL || json_object_set_new(p->scores, name, score) != 0)
        return sr_no_memory(p->ctx);
    SR_TRY(write_runs(p));
    (void)unlink(p->checkpoint);
    return SARTOR_OK;
}

static sartor_status run_setting(probing *p, int setting) {
    const sr_mad_suite *s = p->suite;
    char name[SR_MAD_SETTING_TEXT + 64];
    sr_mad_data data = {0};
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < s->rates * s->decays && status == SARTOR_OK; i++) {
        const double rate = s->rate[i / s->decays], decay = s->decay[i % s->decays];
        run_name(p, setting, rate, decay, name);
        if (json_object_get(p->scores, name) == NULL) {
            if (data.part[SR_MAD_TRAIN].inputs == NULL)
                status = sr_mad_generate(p->ctx, &s->setting[setting], false, &data);
            if (status == SARTOR_OK) status = run_and_keep(p, &data, setting, rate, decay, name);
        }
        p->steps_before += steps_of(s, setting);
    }
    sr_mad_data_free(&data);
    return status;
}

/* ---- scores ---- */

static sr_mad_best best_of_setting(const probing *p, int setting) {
    const sr_mad_suite *s = p->suite;
    sr_mad_best best = {0};
    for (int i = 0; i < s->rates * s->decays; i++) {
        char name[SR_MAD_SETTING_TEXT + 64];
        run_name(p, setting, s->rate[i / s->decays], s->decay[i % s->decays], name);
        const json_t *run = json_object_get(p->scores, name);
        if (json_is_array(run))
            (void)sr_mad_best_add(&best, json_number_value(json_array_get(run, 0)),
                                  json_number_value(json_array_get(run, 1)));
    }
    return best;
}

/* {"mad": 1 - x, "tasks": {name: x}}. */
static sartor_status make_result(const probing *p, json_t **result) {
    sr_mad_best best[SR_MAD_MOST_SUITE];
    for (int i = 0; i < p->suite->settings; i++) best[i] = best_of_setting(p, i);
    const sr_mad_means means = sr_mad_mean(p->suite, best);
    json_t *tasks = json_object();
    for (int task = 0; task < SR_MAD_TASKS; task++) {
        const char *name = sr_mad_task_name((sr_mad_task_id)task);
        if (means.settings[task] == 0) continue;
        if (isnan(means.task[task])) {
            json_decref(tasks);
            return sr_fail(p->ctx, SARTOR_NOT_FINITE, "every run of MAD's %s diverged", name);
        }
        (void)json_object_set_new(tasks, name, json_real(means.task[task]));
    }
    *result = json_pack("{s:f, s:o}", "mad", 1 - means.mad, "tasks", tasks);
    return *result != NULL ? SARTOR_OK : sr_no_memory(p->ctx);
}

static sartor_status probe_in(probing *p, const char *genome, json_t **result) {
    if (asprintf(&p->runs_path, "%s/%s", p->folder, probe_files[0].name) < 0) p->runs_path = NULL;
    if (asprintf(&p->checkpoint, "%s/%s", p->folder, probe_files[1].name) < 0) p->checkpoint = NULL;
    p->genome = malloc(sizeof *p->genome);
    if (p->runs_path == NULL || p->checkpoint == NULL || p->genome == NULL)
        return sr_no_memory(p->ctx);
    SR_TRY(sr_genome_parse(p->ctx, genome, strlen(genome), p->genome));
    p->scores = read_runs(p->runs_path);
    if (p->scores == NULL) return sr_no_memory(p->ctx);
    for (int i = 0; i < p->suite->settings; i++)
        p->steps += steps_of(p->suite, i) * p->suite->rates * p->suite->decays;
    for (int i = 0; i < p->suite->settings; i++) SR_TRY(run_setting(p, i));
    return make_result(p, result);
}

sartor_status sr_probe_run(sartor_context *ctx, sr_worker *worker, void *user, const sr_job *job,
                           json_t **result) {
    const sr_search *search = user;
    const char *genome = json_string_value(json_object_get(job->spec, "genome"));
    probing p = {.ctx = ctx,
                 .worker = worker,
                 .settings = &search->settings,
                 .suite = &search->settings.mad};
    if (genome == NULL) return sr_fail(ctx, SARTOR_FORMAT, "a probe without a genome");
    SR_TRY(sr_attempt_begin(ctx, sr_worker_study(worker), job, probe_files, 2, NULL, &p.folder));
    sartor_status status = probe_in(&p, genome, result);
    json_decref(p.scores);
    free(p.genome);
    free(p.folder);
    free(p.runs_path);
    free(p.checkpoint);
    return status;
}

sartor_status sr_probe_store(sartor_context *ctx, sr_study *study, void *user, const sr_job *job,
                             const json_t *result) {
    const sr_search *search = user;
    const int64_t trial = json_integer_value(json_object_get(job->spec, "trial"));
    char *folder = sr_study_inside(study, "%s/%" PRId64, job->kind, job->id);
    if (folder == NULL) return sr_no_memory(ctx);
    sr_remove_folder(folder);
    free(folder);
    SR_TRY(sr_run_sql(ctx, study, NULL,
                      "INSERT OR REPLACE INTO value (trial, name, value) VALUES (?, 'mad', ?)",
                      "id", trial, json_number_value(json_object_get(result, "mad"))));
    return sr_trial_close(ctx, study, search, trial);
}
