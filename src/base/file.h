/* Files: bounded reads, memory maps, and writes that are all or nothing. */
#ifndef SR_BASE_FILE_H
#define SR_BASE_FILE_H

#include "base/context.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The whole file as bytes with a 0 after the last one; refused above `limit` bytes. Release with
 * free(). */
sartor_status sr_file_read(sartor_context *ctx, const char *path, size_t limit, char **data,
                           size_t *size);

/* A read-only memory map. An empty file gives data != NULL and size 0. */
typedef struct sr_map {
    const unsigned char *data;
    size_t size;
} sr_map;
sartor_status sr_map_open(sartor_context *ctx, const char *path, sr_map *map);
void sr_map_close(sr_map *map);

/* Writing under a temporary name beside the target; sr_file_commit() syncs and renames, so that
 * `path` is either the old file or the complete new one, whatever is killed when. Two processes may
 * write the same path at once: the last rename wins. */
typedef struct sr_file {
    FILE *stream; /* write here; errors are found by sr_file_commit() */
    char *path, *temporary;
} sr_file;
sartor_status sr_file_create(sartor_context *ctx, const char *path, sr_file *file);
sartor_status sr_file_commit(sartor_context *ctx, sr_file *file);
/* Drops the temporary file; harmless after a commit. */
void sr_file_abandon(sr_file *file);

/* mkdir -p. */
sartor_status sr_make_folder(sartor_context *ctx, const char *path);

#endif
