/* Live progress on standard error: one redrawn line on a terminal, now and then a plain line when
 * not. Lines of the log go around it. */
#ifndef SR_CLI_LIVE_H
#define SR_CLI_LIVE_H

#include <sartor/train.h>
#include <stdbool.h>

/* Standard error is a terminal on which lines can be drawn again. */
bool sr_can_redraw(void);
/* Columns of the terminal `descriptor`, 80 where it does not say; 0 where it is none. */
int sr_terminal_columns(int descriptor);

typedef enum sr_live_kind { SR_LIVE_TRAIN, SR_LIVE_EVAL } sr_live_kind;

typedef struct sr_live {
    sr_live_kind kind;
    bool quiet;
    bool terminal, drawn;
    double shown_at; /* seconds; 0: nothing shown yet */
    int64_t shown_step;
} sr_live;

void sr_live_start(sr_live *progress, sr_live_kind kind, bool quiet);
/* A sartor_progress_fn; `user` is the sr_live. */
void sr_live_show(void *user, const sartor_progress *state);
/* Ends the redrawn line, so that other output starts on a fresh one. */
void sr_live_end(sr_live *progress);
/* A sartor_log_fn; `user` is the sr_live or NULL. */
void sr_live_log(void *user, const char *line);

#endif
