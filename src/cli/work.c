/* sartor work: joins a study with workers of this machine. */
#include "cli/options.h"
#include "cli/study_live.h"

#include <stdio.h>

/* One worker tells nothing but its errors: who started it reads the study. */
static int work(sartor_work_options *o, bool quiet) {
    bool supervises = o->worker_name == NULL;
    sr_study_live live;
    sartor_context *ctx =
        sr_study_live_open(&live, quiet, &o->program, &o->progress, &o->progress_user);
    if (ctx == NULL) return SR_EXIT_FAILURE;
    if (!supervises) {
        sartor_set_log(ctx, NULL, NULL);
        o->progress = NULL;
    }
    sartor_status status = sartor_work(ctx, o);
    sr_study_live_end(&live);
    int code = SR_EXIT_OK;
    if (status != SARTOR_OK) {
        code = sr_report_failure(ctx, status);
    } else if (supervises) {
        printf("%s: nothing is left to do\n", o->study);
        code = sr_finish_output();
    }
    sr_context_close(&ctx);
    return code;
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_work_options o = {.study = NULL};
    int64_t workers = 1;
    bool quiet = false;
    const sr_option table[] = {
        SR_HEADING("Study"),
        SR_ARGUMENT("STUDY", &o.study, "the file of a study"),
        SR_HEADING("Workers"),
        SR_INT("workers", "W", &workers, "processes to work with", 1, 1024),
        SR_FLAG("mixed", &o.mixed,
                "work although this machine's instruction set or libraries differ from the "
                "study's: results then depend on who trained what"),
        SR_FLAG("jobs-only", &o.jobs_only,
                "finish the jobs that are open, and propose no new architectures"),
        SR_TEXT("jobs", "LIST", &o.jobs,
                "do these jobs and no others: numbers and spans of them, 12-40,52"),
        SR_TEXT("worker-name", "NAME", &o.worker_name,
                "run as one worker of this name, without a supervisor: for schedulers such as "
                "Slurm"),
        SR_HEADING("Output"),
        SR_FLAG("quiet", &quiet, "no progress"),
        SR_END,
    };
    int code;
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    o.workers = (int)workers;
    return work(&o, quiet);
}

const sr_command sr_command_work = {
    .name = "work",
    .summary = "train trials of a study beside its other workers",
    .usage = "STUDY [--workers W] [options]",
    .about =
        "Joins a study that sartor search made and works until nothing is left to do. Workers may "
        "come and go at any time: a trial whose worker died or fell silent is continued by another "
        "from its last checkpoint. Ctrl-C, SIGTERM and SIGHUP give the trial back at once.",
    .examples = "# two more workers, in another terminal\n"
                "sartor work books.db --workers 2\n"
                "# one worker as a task of a scheduler\n"
                "sartor work books.db --worker-name node7-3\n",
    .run = run,
};
