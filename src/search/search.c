/* sartor_search() and sartor_work(): making a study, and the processes that work on it. */
#define _GNU_SOURCE
#include "search/answers.h"
#include "search/progress.h"
#include "search/timing.h"

#include "base/file.h"
#include "base/memory.h"
#include "op/machine.h"
#include "study/sql.h"
#include "study/supervisor.h"
#include "train/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

sartor_status sr_search_open(sartor_context *ctx, const sr_study *study, sr_search *s) {
    *s = (sr_search){0};
    if (sr_search_settings_read(ctx, sr_study_settings(study), &s->settings) != SARTOR_OK)
        return sr_fail_in(ctx, SARTOR_FORMAT, "%s", sr_study_path(study));
    s->space = sr_star_space(&s->settings.star);
    s->evolution = sr_evolution_defaults();
    s->evolution.space = &s->space;
    s->evolution.objectives = s->settings.n_objectives;
    s->evolution.population = s->settings.population;
    s->evolution.survival = s->settings.survival;
    s->evolution.seed = s->settings.seed;
    return SARTOR_OK;
}

void sr_search_close(sr_search *s) {
    sr_corpus_close(&s->corpus);
    json_decref(s->curve);
    *s = (sr_search){0};
}

/* ---- the text ---- */

/* Paths that mean the same from any folder; a cache need not be there yet. */
static json_t *absolute(const char *path) {
    if (path == NULL) return json_null();
    char *full = realpath(path, NULL);
    char *here = full == NULL && *path != '/' ? realpath(".", NULL) : NULL;
    if (here != NULL && asprintf(&full, "%s/%s", here, path) < 0) full = NULL;
    json_t *text = json_string(full != NULL ? full : path);
    free(here);
    free(full);
    return text;
}

static char *text_fact(const sartor_search_options *o) {
    json_t *paths = json_array();
    bool bad = paths == NULL;
    for (int i = 0; i < o->text.n_paths; i++)
        if (json_array_append_new(paths, absolute(o->text.paths[i])) != 0) bad = true;
    json_t *root = json_pack("{s:o, s:o, s:o, s:s?, s:o, s:o}", "data", paths, "validation",
                             absolute(o->text.validation), "test", absolute(o->text.test),
                             "separator", o->text.doc_separator, "cache", absolute(o->text.cache),
                             "tokenizer", absolute(o->tokenizer));
    char *text = root != NULL && !bad ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static sartor_status data_changed(sartor_context *ctx, const sr_study *study, const char *what) {
    return sr_fail(ctx, SARTOR_MISMATCH, "%s: the %s has changed since the study was made",
                   sr_study_path(study), what);
}

static sartor_status same(sartor_context *ctx, const sr_study *study, const char *setting,
                          const char *what, sr_hash identity) {
    char text[SR_HASH_TEXT];
    sr_hash_text(identity, text);
    const char *stored = json_string_value(json_object_get(sr_study_settings(study), setting));
    return stored != NULL && strcmp(stored, text) == 0 ? SARTOR_OK : data_changed(ctx, study, what);
}

static sartor_status read_text(sartor_context *ctx, const sr_study *study, sr_search *s,
                               const json_t *fact, sr_split parts) {
    const json_t *data = json_object_get(fact, "data");
    const size_t n = json_array_size(data);
    const char **paths = calloc(n > 0 ? n : 1, sizeof *paths);
    if (paths == NULL) return sr_no_memory(ctx);
    for (size_t i = 0; i < n; i++) {
        const char *path = json_string_value(json_array_get(data, i));
        paths[i] = path != NULL ? path : "";
    }
    sartor_text text = {.paths = paths,
                        .n_paths = (int)n,
                        .validation = json_string_value(json_object_get(fact, "validation")),
                        .test = json_string_value(json_object_get(fact, "test")),
                        .doc_separator = json_string_value(json_object_get(fact, "separator")),
                        .cache = json_string_value(json_object_get(fact, "cache"))};
    sartor_status status = SARTOR_OK;
    if (s->corpus.tokenizer == NULL) {
        status =
            sr_corpus_begin(ctx, json_string_value(json_object_get(fact, "tokenizer")), &s->corpus);
        if (status == SARTOR_OK)
            status = same(ctx, study, "tokenizer", "tokenizer",
                          sr_tokenizer_identity(s->corpus.tokenizer));
    }
    if (status == SARTOR_OK) status = sr_corpus_read(ctx, &s->corpus, &text, parts);
    free(paths);
    if (status == SARTOR_OK && (parts & SR_TRAIN))
        status = same(ctx, study, "data", "training text", s->corpus.train.identity);
    if (status == SARTOR_OK && (parts & SR_VAL))
        status = same(ctx, study, "validation", "validation text", s->corpus.validation.identity);
    if (status == SARTOR_OK && (parts & SR_TEST))
        status = same(ctx, study, "test", "test text", s->corpus.test.identity);
    return status;
}

sartor_status sr_search_text(sartor_context *ctx, sr_study *study, sr_search *s, sr_split parts) {
    const sr_split missing = (sr_split)(parts & ~s->corpus_parts);
    if (missing == 0) return SARTOR_OK;
    char *text;
    SR_TRY(sr_study_get(ctx, study, SR_FACT_TEXT, &text));
    json_t *fact = text != NULL ? json_loads(text, 0, NULL) : NULL;
    free(text);
    sartor_status status = read_text(ctx, study, s, fact, missing);
    json_decref(fact);
    if (status == SARTOR_OK) s->corpus_parts |= (int)missing;
    /* A text that is gone is nobody's fault but the surroundings': no trial fails for it. */
    return status == SARTOR_OK || status == SARTOR_INTERRUPTED ? status
                                                               : sr_fail_in(ctx, SARTOR_IO, "data");
}

/* ---- the machine ---- */

static sartor_status check_machine(sartor_context *ctx, sr_study *study) {
    char *stored, machine[SR_MACHINE_TEXT];
    sr_machine_print(machine);
    SR_TRY(sr_study_get(ctx, study, SR_FACT_MACHINE, &stored));
    bool equal = stored == NULL || strcmp(stored, machine) == 0;
    sartor_status status =
        equal ? SARTOR_OK
              : sr_fail(ctx, SARTOR_MISMATCH,
                        "%s: was made with %s, this machine has %s, which computes other last "
                        "digits; sartor work --mixed works on it all the same",
                        sr_study_path(study), stored, machine);
    free(stored);
    return status;
}

/* ---- processes ---- */

/* The path of this program, in case the caller does not name one. */
static char *own_program(void) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return NULL;
    path[n] = '\0';
    return strdup(path);
}

/* The last to close a study that it may write folds the write-ahead log into the file, so that the
 * study is one file again. What goes wrong here is nobody's failure. */
static void gather(const char *path) {
    sr_study *study = NULL;
    sartor_context *ctx = sartor_context_create();
    if (ctx != NULL && sr_study_open(ctx, path, SR_STUDY_WRITE, &study) == SARTOR_OK)
        sr_study_close(&study);
    sartor_context_destroy(&ctx);
}

sartor_status sr_search_supervise(sartor_context *ctx, const char *path, const char *program,
                                  int workers, bool mixed, bool jobs_only,
                                  sartor_study_progress_fn progress, void *user) {
    char *plain = NULL;
    /* A name that begins with "-" would be taken for an option. */
    if (*path == '-' && asprintf(&plain, "./%s", path) < 0) return sr_no_memory(ctx);
    char *own = program == NULL ? own_program() : NULL;
    const char *command[8];
    int n = 0;
    command[n++] = program != NULL ? program : own;
    command[n++] = "work";
    command[n++] = plain != NULL ? plain : path;
    if (mixed) command[n++] = "--mixed";
    if (jobs_only) command[n++] = "--jobs-only";
    command[n] = NULL;
    sr_progress_watch watch = {.ctx = ctx, .call = progress, .user = user, .workers = workers};
    sr_supervisor_options options = {.study = path,
                                     .command = command,
                                     .workers = workers,
                                     .poll = progress != NULL ? sr_progress_poll : NULL,
                                     .user = &watch};
    sartor_status status = command[0] != NULL
                               ? sr_supervise(ctx, &options)
                               : sr_fail(ctx, SARTOR_IO, "the sartor program was not found");
    sr_progress_end(&watch);
    free(plain);
    free(own);
    gather(path);
    return status;
}

static sartor_status work_here(sartor_context *ctx, const sartor_work_options *o, sr_study *study,
                               sr_search *search) {
    char machine[SR_MACHINE_TEXT], *lease;
    sr_machine_print(machine);
    SR_TRY(sr_study_get(ctx, study, SR_FACT_LEASE, &lease));
    sr_worker_options options = {.study = o->study,
                                 .name = o->worker_name,
                                 .machine = machine,
                                 .lease = lease != NULL ? strtod(lease, NULL) : 60,
                                 .kinds = sr_search_kinds,
                                 .n_kinds = SR_SEARCH_KINDS,
                                 .advance = sr_search_advance,
                                 .user = search};
    free(lease);
    return sr_worker_run(ctx, &options);
}

sartor_status sartor_work(sartor_context *ctx, const sartor_work_options *o) {
    sr_study *study = NULL;
    static const int one = 1;
    if (o->study == NULL) return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    SR_TRY(sr_study_open(ctx, o->study, SR_STUDY_WRITE, &study));
    sr_search *search = calloc(1, sizeof *search);
    sartor_status status = search != NULL ? sr_search_open(ctx, study, search) : sr_no_memory(ctx);
    if (status == SARTOR_OK && !o->mixed) status = check_machine(ctx, study);
    if (status == SARTOR_OK) {
        search->jobs_only = o->jobs_only;
        if (o->worker_name != NULL) {
            status = work_here(ctx, o, study, search);
        } else {
            sr_study_close(&study);
            status =
                sr_search_supervise(ctx, o->study, o->program, o->workers > 0 ? o->workers : one,
                                    o->mixed, o->jobs_only, o->progress, o->progress_user);
        }
    }
    if (search != NULL) sr_search_close(search);
    free(search);
    sr_study_close(&study);
    return status;
}

/* ---- making a study ---- */

typedef struct making {
    sartor_context *ctx;
    const sartor_search_options *options;
    sr_tokenizer *tokenizer;
    sr_source *source;
    json_t *settings;
    char excluded[SR_EXCLUDED_TEXT];
    sr_study *study;
    bool created;
} making;

/* A limit that was chosen when the study was made stays. */
static sartor_status keep_memory_limit(making *m) {
    const sartor_search_options *o = m->options;
    sr_study *study;
    if (o->memory_limit > 0 || access(o->study, F_OK) != 0) return SARTOR_OK;
    SR_TRY(sr_study_open(m->ctx, o->study, SR_STUDY_READ, &study));
    json_t *stored = json_object_get(sr_study_settings(study), "memory");
    if (stored != NULL) (void)json_object_set(m->settings, "memory", stored);
    sr_study_close(&study);
    return SARTOR_OK;
}

static sartor_status make_settings(making *m) {
    sartor_context *ctx = m->ctx;
    const sartor_search_options *o = m->options;
    if (o->study == NULL || *o->study == '\0')
        return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    SR_TRY(o->tokenizer != NULL ? sr_tokenizer_load(ctx, o->tokenizer, &m->tokenizer)
                                : sr_tokenizer_bytes(ctx, &m->tokenizer));
    SR_TRY(sr_text_open(ctx, &o->text, false, &m->source));
    SR_TRY(sr_source_require(ctx, m->source, SR_TRAIN | SR_VAL));
    SR_TRY(sr_search_settings_make(ctx, o, m->tokenizer, m->source, m->excluded, &m->settings));
    return keep_memory_limit(m);
}

/* Tokens once, before workers would all make them. */
static sartor_status make_tokens(making *m) {
    const sr_split parts[] = {SR_TRAIN, SR_VAL};
    for (size_t i = 0; i < 2; i++) {
        sr_tokens tokens = {0};
        SR_TRY(
            sr_text_tokens(m->ctx, &m->options->text, m->source, m->tokenizer, parts[i], &tokens));
        sr_tokens_close(&tokens);
    }
    return SARTOR_OK;
}

static sartor_status put_number(sartor_context *ctx, sr_study *study, const char *name, double x) {
    char text[40];
    snprintf(text, sizeof text, "%.17g", x);
    return sr_study_put(ctx, study, name, text);
}

static sartor_status put_timing(making *m) {
    char *stored;
    SR_TRY(sr_study_get(m->ctx, m->study, SR_FACT_TIMING, &stored));
    bool there = stored != NULL;
    free(stored);
    sr_search_settings *s = malloc(sizeof *s);
    if (s == NULL) return sr_no_memory(m->ctx);
    sr_timing timing;
    sartor_status status = sr_search_settings_read(m->ctx, m->settings, s);
    bool needed = status == SARTOR_OK && !there && sr_search_needs(s, SR_TRAINED);
    if (needed) status = sr_timing_measure(m->ctx, s, &timing);
    free(s);
    if (status != SARTOR_OK || !needed) return status;
    json_t *json = sr_timing_json(&timing);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    status = text != NULL ? sr_study_begin(m->ctx, m->study) : sr_no_memory(m->ctx);
    if (status == SARTOR_OK) {
        status = sr_study_put(m->ctx, m->study, SR_FACT_TIMING, text);
        if (status == SARTOR_OK) status = sr_study_commit(m->ctx, m->study);
        if (status != SARTOR_OK) sr_study_rollback(m->study);
    }
    free(text);
    return status;
}

static sartor_status put_facts(making *m) {
    static const char *const policies[] = {"front", "parents", "all"};
    sartor_context *ctx = m->ctx;
    const sartor_search_options *o = m->options;
    char *stored, machine[SR_MACHINE_TEXT];
    SR_TRY(sr_study_get(ctx, m->study, SR_FACT_GENERATIONS, &stored));
    long before = stored != NULL ? strtol(stored, NULL, 10) : 0;
    free(stored);
    if (o->generations > before)
        SR_TRY(put_number(ctx, m->study, SR_FACT_GENERATIONS, o->generations));
    char *text = text_fact(o);
    sartor_status status =
        text != NULL
            ? sr_study_put(ctx, m->study, SR_FACT_TEXT, text)
            : sr_fail(ctx, SARTOR_INVALID, "%s: a path or the separator is not in UTF-8", o->study);
    free(text);
    SR_TRY(status);
    unsigned keep = (unsigned)o->keep;
    SR_TRY(sr_study_put(ctx, m->study, SR_FACT_KEEP, policies[keep < 3 ? keep : 0]));
    SR_TRY(put_number(ctx, m->study, SR_FACT_LEASE, o->lease));
    sr_machine_print(machine);
    return before > 0 ? SARTOR_OK : sr_study_put(ctx, m->study, SR_FACT_MACHINE, machine);
}

static sartor_status make_study(making *m) {
    sartor_context *ctx = m->ctx;
    SR_TRY(make_settings(m));
    if (m->excluded[0] != '\0') sr_log(ctx, "%s", m->excluded);
    SR_TRY(sr_study_create(ctx, m->options->study, m->settings, &m->study, &m->created));
    if (!m->created) SR_TRY(check_machine(ctx, m->study));
    SR_TRY(sr_study_begin(ctx, m->study));
    sartor_status status = put_facts(m);
    if (status == SARTOR_OK) status = sr_study_commit(ctx, m->study);
    if (status != SARTOR_OK) sr_study_rollback(m->study);
    SR_TRY(status);
    SR_TRY(make_tokens(m));
    return put_timing(m);
}

static void release(making *m) {
    sr_study_close(&m->study);
    json_decref(m->settings);
    sr_source_close(&m->source);
    sr_tokenizer_free(&m->tokenizer);
}

/* Whether nothing is left to do: no worker is started for a look. */
static sartor_status is_complete(making *m, bool *complete) {
    sr_job_counts c;
    sr_query rows;
    char *exhausted;
    SR_TRY(sr_job_count(m->ctx, m->study, NULL, &c));
    SR_TRY(sr_study_get(m->ctx, m->study, SR_FACT_EXHAUSTED, &exhausted));
    int64_t ended = 0, total = 0;
    SR_TRY(sr_sql(m->ctx, m->study, &rows,
                  "SELECT (SELECT coalesce(max(number) + 1, 0) FROM generation),"
                  " (SELECT CAST(value AS REAL) FROM fact WHERE name = '" SR_FACT_GENERATIONS "')",
                  ""));
    if (sr_next(&rows)) {
        ended = sr_int(&rows, 0);
        total = (int64_t)sr_real(&rows, 1);
    }
    *complete = c.waiting + c.running == 0 && (ended >= total || exhausted != NULL);
    free(exhausted);
    return sr_done(&rows);
}

static sartor_status tell_disk(making *m) {
    int64_t bytes = 0;
    sr_search_settings *s = malloc(sizeof *s);
    if (s == NULL) return sr_no_memory(m->ctx);
    sartor_status status = sr_search_settings_read(m->ctx, m->settings, s);
    if (status == SARTOR_OK) status = sr_plan_disk(m->ctx, m->options, s, &bytes);
    free(s);
    if (status == SARTOR_OK && bytes > 0)
        sr_log(m->ctx, "weights and checkpoints will take up to about %" PRId64 " MiB in %s",
               (bytes >> 20) + 1, sr_study_folder(m->study));
    return status;
}

int sr_search_workers(int asked, int threads) {
    if (asked > 0) return asked;
    return sr_cores() / threads > 0 ? sr_cores() / threads : 1;
}

sartor_status sartor_search(sartor_context *ctx, const sartor_search_options *o) {
    making m = {.ctx = ctx, .options = o};
    bool complete = false;
    sartor_status status = make_study(&m);
    if (status == SARTOR_OK) status = is_complete(&m, &complete);
    if (status == SARTOR_OK && !complete) status = tell_disk(&m);
    release(&m);
    if (status != SARTOR_OK || complete) return status;
    return sr_search_supervise(ctx, o->study, o->program, sr_search_workers(o->workers, o->threads),
                               false, false, o->progress, o->progress_user);
}
