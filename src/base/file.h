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

/* Writing a file that has no name, or a temporary one beside the target where the file system knows
 * no such files; sr_file_commit() syncs it and puts it in its place, so that `path` is either the
 * old file or the complete new one, whatever is killed when. What has no name goes with its
 * process. Two processes may write the same path at once: the last one wins. */
typedef struct sr_file {
    FILE *stream; /* write here; errors are found by sr_file_commit() */
    char *path;
    char *temporary; /* NULL: no name */
} sr_file;
sartor_status sr_file_create(sartor_context *ctx, const char *path, sr_file *file);
/* What is written so far, which must have been flushed. */
sartor_status sr_file_map(sartor_context *ctx, const sr_file *file, sr_map *map);
sartor_status sr_file_commit(sartor_context *ctx, sr_file *file);
/* Drops what was written; harmless after a commit. */
void sr_file_abandon(sr_file *file);

/* mkdir -p. */
sartor_status sr_make_folder(sartor_context *ctx, const char *path);

#endif
