/* The files that a path names: itself, or for a folder those in it, at any depth. */
#ifndef SR_DATA_WALK_H
#define SR_DATA_WALK_H

#include "base/context.h"
#include <stddef.h>
#include <stdint.h>

typedef struct sr_file_list {
    char **paths;
    size_t count, room;
    uint64_t hidden, other; /* skipped: names with a leading dot; links to folders, devices ... */
} sr_file_list;

/* Appends the regular files under `path` in byte order of their relative paths. Links to files are
 * followed, links to folders are not. *is_folder tells what `path` is. SARTOR_IO when something
 * cannot be read. */
sartor_status sr_file_list_add(sartor_context *ctx, sr_file_list *list, const char *path,
                               bool *is_folder);
void sr_file_list_free(sr_file_list *list);

#endif
