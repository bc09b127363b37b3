/* Live progress of a study on standard error: on a terminal a block of a few lines that is drawn
 * again (one line where it is narrow); elsewhere a plain line for each finished generation and at
 * most one a minute between. Lines of the log go around it. */
#ifndef SR_CLI_STUDY_LIVE_H
#define SR_CLI_STUDY_LIVE_H

#include <sartor/search.h>
#include <stdbool.h>

typedef struct sr_study_live {
    bool quiet, terminal;
    bool finals;                  /* the trials are done, other jobs are left */
    int rows;                     /* of the block on the terminal; 0: none is drawn */
    double shown_at;              /* seconds; 0: nothing shown yet */
    int finished;                 /* generations, as last told; -1: not yet */
    double volume, volume_before; /* hypervolume of the last generation and the one before; NaN */
} sr_study_live;

/* The start of a command that works on a study: a context whose signals interrupt it and whose log
 * goes around the progress, and the three options that the library shows its progress by. NULL
 * after a message. */
sartor_context *sr_study_live_open(sr_study_live *live, bool quiet, const char **program,
                                   sartor_study_progress_fn *progress, void **progress_user);
/* Leaves the block as it is; other output starts on a fresh line. */
void sr_study_live_end(sr_study_live *live);

#endif
