#define _GNU_SOURCE
#include "data/walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 128 };

static sartor_status unreadable(sartor_context *ctx, const char *path) {
    return sr_fail(ctx, SARTOR_IO, "%s: cannot read: %s", path, strerror(errno));
}

/* Takes ownership of `path`. */
static sartor_status append(sartor_context *ctx, sr_file_list *list, char *path) {
    if (list->count == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : 64;
        char **bigger = room <= UINT32_MAX ? realloc(list->paths, room * sizeof *bigger) : NULL;
        if (bigger == NULL) {
            free(path);
            return sr_fail(ctx, SARTOR_MEMORY, "not enough memory for the list of %zu files",
                           list->count);
        }
        list->paths = bigger;
        list->room = room;
    }
    list->paths[list->count++] = path;
    return SARTOR_OK;
}

static sartor_status walk(sartor_context *ctx, sr_file_list *list, const char *folder, int depth) {
    if (depth > MAX_DEPTH) return sr_fail(ctx, SARTOR_IO, "%s: folders nested too deep", folder);
    DIR *dir = opendir(folder);
    if (dir == NULL) return unreadable(ctx, folder);
    sartor_status status = SARTOR_OK;
    while (status == SARTOR_OK) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0) status = unreadable(ctx, folder);
            break;
        }
        const char *name = entry->d_name;
        if (name[0] == '.') {
            list->hidden += strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
            continue;
        }
        size_t n = strlen(folder);
        char *path = NULL;
        if (asprintf(&path, "%s%s%s", folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name) < 0) {
            status = sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", folder);
            break;
        }
        struct stat link, target;
        if (lstat(path, &link) != 0 || (stat(path, &target) != 0 && !S_ISLNK(link.st_mode))) {
            status = unreadable(ctx, path);
        } else if (S_ISDIR(link.st_mode)) {
            status = walk(ctx, list, path, depth + 1);
        } else if (stat(path, &target) == 0 && S_ISREG(target.st_mode)) {
            status = append(ctx, list, path);
            path = NULL;
        } else {
            list->other++;
        }
        free(path);
    }
    closedir(dir);
    return status;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

sartor_status sr_file_list_add(sartor_context *ctx, sr_file_list *list, const char *path,
                               bool *is_folder) {
    struct stat st;
    *is_folder = false;
    if (stat(path, &st) != 0) return unreadable(ctx, path);
    *is_folder = S_ISDIR(st.st_mode);
    if (*is_folder) {
        size_t first = list->count;
        SR_TRY(walk(ctx, list, path, 0));
        if (list->count > first)
            qsort(list->paths + first, list->count - first, sizeof *list->paths, by_bytes);
        return SARTOR_OK;
    }
    char *copy = strdup(path);
    if (copy == NULL) return sr_fail(ctx, SARTOR_MEMORY, "%s: not enough memory", path);
    return append(ctx, list, copy);
}

void sr_file_list_free(sr_file_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->paths[i]);
    free(list->paths);
    *list = (sr_file_list){0};
}
