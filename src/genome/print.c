/* Genomes as text: the integers, and class names with repeats collapsed. */
#include "genome/genome.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct sr_text {
    char *data;
    size_t used; /* always below SR_GENOME_TEXT */
} sr_text;

__attribute__((format(printf, 2, 3))) static void put(sr_text *out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t room = SR_GENOME_TEXT - out->used;
    int n = vsnprintf(out->data + out->used, room, format, args);
    va_end(args);
    if (n > 0) out->used += (size_t)n < room ? (size_t)n : room - 1;
}

void sr_genome_print(const sr_genome *genome, char text[SR_GENOME_TEXT]) {
    sr_text out = {text, 0};
    text[0] = '\0';
    for (int i = 0; i < genome->n; i++) {
        const sr_gene *g = &genome->liv[i];
        put(&out, "%s%d.%d.%d.%d.%d", i > 0 ? "-" : "", g->liv_class, g->featurizer_label,
            g->featurizer_strategy, g->group_label, g->group_strategy);
    }
}

/* How many times in a row the block of `period` LIVs at `at` stands there, within `end`. */
static int repeats_of(const sr_genome *g, int at, int end, int period) {
    int same = period;
    while (at + same < end && g->liv[at + same].liv_class == g->liv[at + same - period].liv_class)
        same++;
    return same / period;
}

/* Writes LIVs at..end: at each place the repeat that saves most names (the shortest block among
 * equals), then the same inside its block. A block is at most half of what holds it, which bounds
 * the depth. */
static void put_names(sr_text *out, const sr_genome *g, int at, int end) {
    for (int first = at; at < end;) {
        int best = 1, count = 1, saved = 1; /* one name saved is not worth the parentheses */
        for (int period = 1; period <= (end - at) / 2; period++) {
            int n = repeats_of(g, at, end, period);
            if ((n - 1) * period > saved) {
                best = period;
                count = n;
                saved = (n - 1) * period;
            }
        }
        if (at > first) put(out, " ");
        if (count > 1) {
            put(out, "(");
            put_names(out, g, at, at + best);
            put(out, ")x%d", count);
        } else {
            put(out, "%s", sr_class_get(g->liv[at].liv_class)->name);
        }
        at += best * count;
    }
}

void sr_genome_names(const sr_genome *genome, char text[SR_GENOME_TEXT]) {
    sr_text out = {text, 0};
    text[0] = '\0';
    put_names(&out, genome, 0, genome->n);
}
