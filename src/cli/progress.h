/* Live progress on standard error: one redrawn line on a terminal, now and then a plain line when
 * not. Lines of the log go around it. */
#ifndef SR_CLI_PROGRESS_H
#define SR_CLI_PROGRESS_H

#include <sartor/train.h>
#include <stdbool.h>

typedef enum sr_progress_kind { SR_PROGRESS_TRAIN, SR_PROGRESS_EVAL } sr_progress_kind;

typedef struct sr_progress {
    sr_progress_kind kind;
    bool quiet;
    bool terminal, drawn;
    double shown_at; /* seconds; 0: nothing shown yet */
    int64_t shown_step;
} sr_progress;

void sr_progress_start(sr_progress *progress, sr_progress_kind kind, bool quiet);
/* A sartor_progress_fn; `user` is the sr_progress. */
void sr_progress_show(void *user, const sartor_progress *state);
/* Ends the redrawn line, so that other output starts on a fresh one. */
void sr_progress_end(sr_progress *progress);
/* A sartor_log_fn; `user` is the sr_progress or NULL. */
void sr_progress_log(void *user, const char *line);

#endif
