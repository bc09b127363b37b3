/* sartor front: the architectures of a study that no other beats in every objective. */
#include "cli/answer.h"
#include "cli/options.h"

#include <sartor/search.h>

static int run(const sr_command *self, int argc, char **argv) {
    const char *study = NULL;
    bool json = false;
    const sr_option table[] = {
        SR_HEADING("Study"),
        SR_ARGUMENT("STUDY", &study, "the file of a study"),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "one line of JSON"),
        SR_END,
    };
    int code;
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    char *answer = NULL;
    sartor_status status = sartor_study_front(ctx, study, &answer);
    return sr_end_with_answer(ctx, status, answer, json, study, sr_print_front);
}

const sr_command sr_command_front = {
    .name = "front",
    .summary = "the best architectures of a study",
    .usage = "STUDY [--json]",
    .about = "Prints the front of a study: the finished trials that no other beats in every "
             "objective. It may run at any time, also while the search does. sartor show STUDY "
             "TRIAL tells more of one.",
    .examples = "sartor front books.db\n"
                "# the integers of the genomes, and all digits\n"
                "sartor front books.db --json\n",
    .run = run,
};
