/* What the report of a MAD suite shows: the answer, how far the study is, and what others
 * published.
 *
 * Published scores are those of the full benchmark with six columns; papers that merge recall and
 * noisy recall are left out, and rows of different sources do not compare: sizes of state, heads,
 * learning rates and initial weights differ. */
#include "report/report.h"

#include "probe/mad_study.h"
#include <sartor/sartor.h>

#include <string.h>

typedef struct published {
    const char *arch;
    double percent[SR_MAD_TASKS]; /* by sr_mad_task_id */
    double mean;                  /* as printed */
} published;

typedef struct source {
    const char *name;
    published row[12]; /* ends with a NULL arch */
} source;

static const source sources[] = {
    {"Poli et al. 2024, as printed by Yang et al. 2024 (arXiv 2406.06484, figure 3)",
     {{"Transformer", {94.1, 29.8, 86.8, 99.6, 51.6, 85.2}, 74.5},
      {"Hyena", {81.7, 7.9, 78.8, 93.1, 45.2, 89.5}, 66.0},
      {"Multi-head Hyena", {99.0, 14.4, 98.6, 93.0, 44.8, 89.4}, 73.2},
      {"Mamba", {90.4, 6.7, 90.1, 86.3, 52.7, 89.5}, 69.3},
      {"GLA", {80.8, 6.9, 81.6, 88.6, 38.8, 63.3}, 60.0}}},
    {"Yang et al. 2024 (arXiv 2406.06484), their own run",
     {{"DeltaNet", {100, 35.7, 100, 100, 42.2, 52.8}, 71.8}}},
    {"RWKV-7 paper", {{"RWKV-7", {100, 43.2, 100, 98.8, 44.5, 89.1}, 79.3}}},
};

static json_t *row_json(const published *p) {
    json_t *tasks = json_object();
    for (int t = 0; t < SR_MAD_TASKS; t++)
        (void)json_object_set_new(tasks, sr_mad_task_name((sr_mad_task_id)t),
                                  json_real(p->percent[t] / 100));
    return json_pack("{s:s, s:o, s:f}", "arch", p->arch, "tasks", tasks, "mad", p->mean / 100);
}

static json_t *published_json(void) {
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        json_t *models = json_array();
        for (const published *p = sources[i].row; p->arch != NULL; p++)
            (void)json_array_append_new(models, row_json(p));
        (void)json_array_append_new(
            all, json_pack("{s:s, s:o}", "source", sources[i].name, "models", models));
    }
    return all;
}

sartor_status sr_report_mad(sartor_context *ctx, sr_study *study, json_t **data) {
    sr_job_counts c;
    const char *path = sr_study_path(study), *slash = strrchr(path, '/');
    char made[SR_REPORT_TIME];
    SR_TRY(sr_job_count(ctx, study, SR_KIND_MAD, sr_all_jobs, &c));
    SR_TRY(sr_mad_answer_all(ctx, study, data));
    json_t *head = json_pack("{s:s, s:s, s:s, s:s, s:O, s:{s:I, s:I, s:I, s:I}, s:o}", "purpose",
                             SR_PURPOSE_MAD, "title", slash != NULL ? slash + 1 : path, "made",
                             sr_report_time(made), "sartor", sartor_version(), "settings",
                             sr_study_settings(study), "state", "done", (json_int_t)c.done,
                             "running", (json_int_t)c.running, "failed", (json_int_t)c.failed,
                             "waiting", (json_int_t)c.waiting, "published", published_json());
    const bool good = head != NULL && json_object_update(*data, head) == 0;
    json_decref(head);
    if (good) return SARTOR_OK;
    json_decref(*data);
    *data = NULL;
    return sr_no_memory(ctx);
}
