#define _GNU_SOURCE
#include "study/local.h"

#include "op/machine.h"
#include "study/supervisor.h"
#include "train/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FACT_MACHINE "machine" /* sr_machine_print() of the creator */
#define FACT_LEASE   "lease"

/* ---- facts ---- */

sartor_status sr_local_facts_put(sartor_context *ctx, sr_study *study, double lease) {
    char *stored, text[SR_MACHINE_TEXT > 40 ? SR_MACHINE_TEXT : 40];
    snprintf(text, sizeof text, "%.17g", lease);
    SR_TRY(sr_study_put(ctx, study, FACT_LEASE, text));
    SR_TRY(sr_study_get(ctx, study, FACT_MACHINE, &stored));
    bool there = stored != NULL;
    free(stored);
    sr_machine_print(text);
    return there ? SARTOR_OK : sr_study_put(ctx, study, FACT_MACHINE, text);
}

sartor_status sr_machine_check(sartor_context *ctx, sr_study *study) {
    char *stored, machine[SR_MACHINE_TEXT];
    sr_machine_print(machine);
    SR_TRY(sr_study_get(ctx, study, FACT_MACHINE, &stored));
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

int sr_local_workers(int asked, int threads) {
    if (asked > 0) return asked;
    return sr_cores() / threads > 0 ? sr_cores() / threads : 1;
}

sartor_status sr_local_supervise(sartor_context *ctx, const sr_local_options *o) {
    char *plain = NULL;
    /* A name that begins with "-" would be taken for an option. */
    if (*o->study == '-' && asprintf(&plain, "./%s", o->study) < 0) return sr_no_memory(ctx);
    char *own = o->program == NULL ? own_program() : NULL;
    const char *command[10];
    int n = 0;
    command[n++] = o->program != NULL ? o->program : own;
    command[n++] = "work";
    command[n++] = plain != NULL ? plain : o->study;
    if (o->mixed) command[n++] = "--mixed";
    if (o->jobs_only) command[n++] = "--jobs-only";
    if (o->jobs != NULL) {
        command[n++] = "--jobs";
        command[n++] = o->jobs;
    }
    command[n] = NULL;
    sr_supervisor_options options = {.study = o->study,
                                     .command = command,
                                     .workers = o->workers,
                                     .poll = o->poll,
                                     .user = o->poll_user};
    sartor_status status = command[0] != NULL
                               ? sr_supervise(ctx, &options)
                               : sr_fail(ctx, SARTOR_IO, "the sartor program was not found");
    free(plain);
    free(own);
    gather(o->study);
    return status;
}

sartor_status sr_local_work(sartor_context *ctx, sr_study *study, const sr_study_purpose *purpose,
                            const char *name, sr_job_set only, void *user) {
    char machine[SR_MACHINE_TEXT], *lease;
    sr_machine_print(machine);
    SR_TRY(sr_study_get(ctx, study, FACT_LEASE, &lease));
    sr_worker_options options = {.study = sr_study_path(study),
                                 .name = name,
                                 .machine = machine,
                                 .lease = lease != NULL ? strtod(lease, NULL) : 60,
                                 .only = only,
                                 .kinds = purpose->kinds,
                                 .n_kinds = purpose->n_kinds,
                                 .advance = only.spans == NULL ? purpose->advance : NULL,
                                 .user = user};
    free(lease);
    return sr_worker_run(ctx, &options);
}
