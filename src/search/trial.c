/* Jobs that train: trials of the search, and finals.
 *
 * A job's files lie in STUDY.d/KIND/JOB/ATTEMPT/, a training run's folder (sartor_train()). An
 * attempt continues from the checkpoint of the one before; it takes a copy, so that a worker that
 * was only stopped and wakes up writes where nobody reads. */
#define _GNU_SOURCE
#include "search/jobs.h"

#include "base/file.h"
#include "model/cost.h"
#include "train/run.h"
#include "train/settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CURVE_POINTS = 64, MAX_LINE = 1024, COPY_LIMIT = 1 << 30 };
static const double checkpoint_seconds = 5;

/* ---- folders ---- */

char *sr_study_inside(const sr_study *study, const char *format, ...) {
    char *name = NULL, *path = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&name, format, args);
    va_end(args);
    if (n < 0) return NULL;
    if (asprintf(&path, "%s/%s", sr_study_folder(study), name) < 0) path = NULL;
    free(name);
    return path;
}

static char *attempt_folder(const sr_study *study, const char *kind, int64_t job, int attempt) {
    return sr_study_inside(study, "%s/%" PRId64 "/%d", kind, job, attempt);
}

char *sr_job_model_path(const sr_study *study, const char *kind, int64_t job, int attempt) {
    return sr_study_inside(study, "%s/%" PRId64 "/%d/model.safetensors", kind, job, attempt);
}

/* A link in its place is somebody else's folder. */
void sr_remove_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        if (fd >= 0) close(fd);
        return;
    }
    for (const struct dirent *e; (e = readdir(folder)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *inside = NULL;
        if (unlinkat(dirfd(folder), e->d_name, 0) == 0) continue;
        if (asprintf(&inside, "%s/%s", path, e->d_name) < 0) continue;
        sr_remove_folder(inside);
        free(inside);
    }
    closedir(folder);
    (void)rmdir(path);
}

/* A copy under another name; a missing file is none. */
static sartor_status copy_file(sartor_context *ctx, const char *from, const char *to,
                               bool *copied) {
    *copied = false;
    if (access(from, R_OK) != 0) return SARTOR_OK;
    char *data;
    size_t size;
    sr_file file;
    SR_TRY(sr_file_read(ctx, from, COPY_LIMIT, &data, &size));
    sartor_status status = sr_file_create(ctx, to, &file);
    if (status == SARTOR_OK) {
        (void)fwrite(data, 1, size, file.stream);
        status = sr_file_commit(ctx, &file);
    }
    free(data);
    *copied = status == SARTOR_OK;
    return status;
}

/* Files are replaced by renames only: a link keeps what it names. */
static sartor_status take(sartor_context *ctx, const char *from, const char *to, bool *taken) {
    *taken = link(from, to) == 0;
    return *taken || errno == ENOENT ? SARTOR_OK : copy_file(ctx, from, to, taken);
}

/* What an earlier attempt left, from the latest that left something. */
static sartor_status inherit(sartor_context *ctx, const sr_study *study, const sr_job *job,
                             const char *folder) {
    static const char *const files[] = {"checkpoint.safetensors", "state.safetensors",
                                        "model.safetensors"};
    bool any = false;
    for (int attempt = job->attempt - 1; attempt > 0 && !any; attempt--) {
        char *before = attempt_folder(study, job->kind, job->id, attempt);
        for (size_t i = 0; before != NULL && i < 4; i++) {
            char *from = NULL, *to = NULL;
            const char *name = i < 3 ? files[i] : "metrics.jsonl";
            bool taken = false;
            sartor_status status = SARTOR_OK;
            if (asprintf(&from, "%s/%s", before, name) < 0) from = NULL;
            if (asprintf(&to, "%s/%s", folder, name) < 0) to = NULL;
            if (from == NULL || to == NULL)
                status = sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
            else
                status = i < 3 ? take(ctx, from, to, &taken) : copy_file(ctx, from, to, &taken);
            any |= taken && i < 3;
            free(from);
            free(to);
            if (status != SARTOR_OK) {
                free(before);
                return status;
            }
        }
        free(before);
    }
    return SARTOR_OK;
}

static void forget_earlier(const sr_study *study, const sr_job *job) {
    for (int attempt = 1; attempt < job->attempt; attempt++) {
        char *before = attempt_folder(study, job->kind, job->id, attempt);
        if (before != NULL) sr_remove_folder(before);
        free(before);
    }
}

/* ---- curves ---- */

/* Validated steps and about CURVE_POINTS others: [step, tokens, loss, bpb]. */
static json_t *read_curve(const char *folder, int64_t steps) {
    char *path = NULL, line[MAX_LINE];
    json_t *curve = json_array();
    FILE *f = asprintf(&path, "%s/metrics.jsonl", folder) < 0 ? NULL : fopen(path, "r");
    int64_t every = steps / CURVE_POINTS + 1;
    while (curve != NULL && f != NULL && fgets(line, sizeof line, f) != NULL) {
        json_t *row = json_loads(line, 0, NULL);
        json_int_t step = json_integer_value(json_object_get(row, "step"));
        json_t *validation = json_object_get(row, "validation_bits_per_byte");
        if (step == 1 || step == steps || step % every == 0 || validation != NULL)
            (void)json_array_append_new(curve, json_pack("[I, O, O, O?]", step,
                                                         json_object_get(row, "tokens"),
                                                         json_object_get(row, "loss"), validation));
        json_decref(row);
    }
    if (f != NULL) fclose(f);
    free(path);
    return curve;
}

/* The last point carries the final measure, which reads more text than those on the way. */
static void end_curve(json_t *curve, const sartor_measure *measure) {
    size_t n = json_array_size(curve);
    if (n > 0)
        (void)json_array_set_new(json_array_get(curve, n - 1), 3,
                                 json_real(measure->bits_per_byte));
}

static double number_or_nan(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

sartor_status sr_curve_store(sartor_context *ctx, sr_study *study, int64_t job,
                             const json_t *curve) {
    size_t i;
    const json_t *p;
    json_array_foreach(curve, i, p) SR_TRY(
        sr_curve_add(ctx, study, job, json_integer_value(json_array_get(p, 0)),
                     json_integer_value(json_array_get(p, 1)), number_or_nan(json_array_get(p, 2)),
                     number_or_nan(json_array_get(p, 3))));
    return SARTOR_OK;
}

/* ---- training ---- */

static void publish(void *user, int64_t step, int64_t steps, double loss) {
    sr_worker_progress(user, step, steps, loss);
}

/* The engine would say so too, but in terms of the machine; the study's limit is a setting. */
static sartor_status check_memory(sartor_context *ctx, const sr_search_settings *s,
                                  const char *genome) {
    int64_t bytes = 0;
    sr_model *model = NULL;
    sr_genome *parsed = malloc(sizeof *parsed);
    if (parsed == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    sartor_status status = sr_genome_parse(ctx, genome, strlen(genome), parsed);
    if (status == SARTOR_OK) status = sr_model_create(ctx, parsed, &s->sizes, &model);
    if (status == SARTOR_OK)
        status = sr_model_train_bytes(ctx, model, s->batch, s->sizes.context,
                                      sr_numbers_from(s->precision), s->threads, &bytes);
    sr_model_destroy(&model);
    free(parsed);
    if (status == SARTOR_OK && s->memory_limit > 0 && bytes > s->memory_limit)
        status = sr_fail(ctx, SARTOR_INVALID,
                         "training needs %" PRId64 " MiB, the study allows %" PRId64
                         " MiB (its setting memory)",
                         bytes >> 20, s->memory_limit >> 20);
    return status;
}

sartor_status sr_train_job(sartor_context *ctx, sr_worker *worker, sr_search *search,
                           const sr_job *job, const sr_training *training,
                           sartor_measure *measure) {
    const sr_search_settings *s = &search->settings;
    sr_study *study = sr_worker_study(worker);
    SR_TRY(check_memory(ctx, s, training->genome));
    SR_TRY(sr_search_text(ctx, study, search, SR_TRAIN | SR_VAL));
    char *folder = attempt_folder(study, job->kind, job->id, job->attempt);
    if (folder == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    sartor_train_options o;
    sartor_train_defaults(&o);
    o.arch = training->genome;
    o.sizes = (sartor_sizes){.livs = s->livs,
                             .width = s->sizes.width,
                             .head_dim = s->sizes.head_dim,
                             .window = s->sizes.window,
                             .context = s->sizes.context,
                             .vocab = s->sizes.vocab,
                             .tie_embeddings = s->sizes.tied};
    o.out = folder;
    o.batch = s->batch;
    o.tokens = training->tokens;
    o.learning_rate = s->learning_rate;
    o.precision = s->precision;
    o.threads = s->threads;
    o.seed = training->seed;
    sr_run_limits limits = {.validation_tokens = s->validation_tokens,
                            .checkpoint_seconds = checkpoint_seconds,
                            .before_step = publish,
                            .user = worker};
    sartor_status status = sr_make_folder(ctx, folder);
    if (status == SARTOR_OK) status = inherit(ctx, study, job, folder);
    if (status == SARTOR_OK) status = sr_run_train(ctx, &o, &search->corpus, &limits, measure);
    if (status == SARTOR_OK) {
        int64_t each = o.batch * o.sizes.context;
        json_decref(search->curve);
        search->curve = read_curve(folder, (training->tokens - 1) / each + 1);
        end_curve(search->curve, measure);
        forget_earlier(study, job);
        char *state = NULL;
        if (asprintf(&state, "%s/state.safetensors", folder) >= 0) (void)unlink(state);
        free(state);
    }
    free(folder);
    return status;
}
