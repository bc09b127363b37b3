/* The folder of a run: one process at a time, and nothing left lying from killed ones. */
#ifndef SR_TRAIN_FOLDER_H
#define SR_TRAIN_FOLDER_H

#include "base/context.h"

typedef struct sr_run_folder {
    char *path, *checkpoint, *model, *state, *metrics;
    int lock; /* a file descriptor, -1: none */
} sr_run_folder;

/* Makes the folder if it is missing, locks it against other processes (SARTOR_IO when one trains
 * there) and removes temporary files of killed runs. */
sartor_status sr_run_folder_open(sartor_context *ctx, const char *path, sr_run_folder *folder);
void sr_run_folder_close(sr_run_folder *folder);

#endif
