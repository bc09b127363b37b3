/* Which classes of a pool the sizes allow: those of which one LIV compiles. */
#include "search/objectives.h"

#include "base/memory.h"
#include "model/model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASON = 256 };
typedef struct reason {
    char text[REASON]; /* "" where the class fits */
} reason;

/* The engine's message without the place and the class, so that equal reasons read alike. */
static void take_reason(const sartor_context *ctx, const char *name, reason *out) {
    static const char place[] = "LIV 1: ";
    const char *message = sartor_error(ctx);
    if (strncmp(message, place, sizeof place - 1) == 0) message += sizeof place - 1;
    if (strncmp(message, name, strlen(name)) == 0) {
        message += strlen(name);
        message += strspn(message, ": ");
    }
    snprintf(out->text, sizeof out->text, "%.*s", REASON - 1, message);
}

static sartor_status compile(sartor_context *ctx, sr_genome *genome, int c, const sr_sizes *sizes) {
    genome->n = 1;
    genome->liv[0] = (sr_gene){c, 1, 1, 1, 1};
    sr_model *model;
    sartor_status status = sr_model_create(ctx, genome, sizes, &model);
    sr_model_destroy(&model);
    return status;
}

/* Appends to a text of `room` bytes; one that does not fit ends in "...". */
static void append(char *text, size_t room, const char *more) {
    size_t n = strlen(text), length = strlen(more);
    if (n + length < room) {
        memcpy(text + n, more, length + 1);
        return;
    }
    memcpy(text + n, more, room - 1 - n);
    memcpy(text + room - 4, "...", 4);
}

/* "without SA-3, SA-4 (reason); Rec-1 (other reason)" */
static void tell(reason *reasons, char why[SR_EXCLUDED_TEXT]) {
    for (int c = 1; c <= sr_class_count() && c < SR_POOL_CLASSES; c++) {
        if (reasons[c].text[0] == '\0') continue;
        const reason this = reasons[c];
        append(why, SR_EXCLUDED_TEXT, why[0] == '\0' ? "without " : "; ");
        for (int k = c; k <= sr_class_count() && k < SR_POOL_CLASSES; k++) {
            if (strcmp(reasons[k].text, this.text) != 0) continue;
            if (k > c) append(why, SR_EXCLUDED_TEXT, ", ");
            append(why, SR_EXCLUDED_TEXT, sr_class_get(k)->name);
            reasons[k].text[0] = '\0';
        }
        append(why, SR_EXCLUDED_TEXT, " (");
        append(why, SR_EXCLUDED_TEXT, this.text);
        append(why, SR_EXCLUDED_TEXT, ")");
    }
}

sartor_status sr_pool_fit(sartor_context *ctx, sr_pool *pool, const sr_sizes *sizes,
                          char why[SR_EXCLUDED_TEXT]) {
    why[0] = '\0';
    sr_genome *genome;
    reason *reasons = NULL;
    SR_TRY(sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome));
    sartor_status status =
        sr_alloc(ctx, SR_POOL_CLASSES, sizeof *reasons, "a pool", (void **)&reasons);
    int left = 0, first = 0; /* first: the first class that does not fit */
    for (int c = 1; c <= sr_class_count() && c < SR_POOL_CLASSES && status == SARTOR_OK; c++) {
        if (!pool->has[c]) continue;
        status = compile(ctx, genome, c, sizes);
        left += status == SARTOR_OK;
        if (status != SARTOR_INVALID) continue;
        take_reason(ctx, sr_class_get(c)->name, &reasons[c]);
        pool->has[c] = false;
        first = first == 0 ? c : first;
        status = SARTOR_OK;
    }
    if (status == SARTOR_OK && left == 0 && first == 0)
        status = sr_fail(ctx, SARTOR_INVALID, "the pool has no class");
    else if (status == SARTOR_OK && left == 0)
        status = sr_fail(ctx, SARTOR_INVALID, "no class of the pool fits the sizes (%s: %s)",
                         sr_class_get(first)->name, reasons[first].text);
    if (reasons != NULL) tell(reasons, why);
    free(reasons);
    free(genome);
    return status;
}
