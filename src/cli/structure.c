#include "cli/structure.h"

#include "base/memory.h"
#include "cli/output.h"
#include "grow/request.h"
#include "train/compile.h"
#include "train/settings.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* All that tells two LIVs apart: distances to what they share, not places, so that the copies of a
 * pattern are equal. */
typedef struct sr_trait {
    int liv_class, source[SR_FEATURES], owner[SR_FEATURES], rest;
    int64_t parameters;
} sr_trait;

typedef struct sr_drawing {
    const sr_model *model;
    const sr_trait *trait;
} sr_drawing;

enum { NAME_COLUMN = 11, PARAMETER_COLUMN = 42, READS_NOTHING = -1 };

static bool same(const sr_trait *a, const sr_trait *b) {
    if (a->liv_class != b->liv_class || a->rest != b->rest || a->parameters != b->parameters)
        return false;
    for (int f = 0; f < SR_FEATURES; f++)
        if (a->source[f] != b->source[f] || a->owner[f] != b->owner[f]) return false;
    return true;
}

/* How many times in a row the `period` LIVs at `at` stand there, within `end`. */
static int repeats_of(const sr_trait *t, int at, int end, int period) {
    int n = period;
    while (at + n < end && same(&t[at + n], &t[at + n - period])) n++;
    return n / period;
}

/* A negative number of parameters prints nothing. */
static void line(int depth, const char *where, const char *name, int64_t parameters,
                 const char *notes) {
    char grouped[SR_NUMBER_TEXT];
    int indent = 2 * depth, width = PARAMETER_COLUMN - NAME_COLUMN - 15 - indent;
    printf("  %-*s%*s", NAME_COLUMN - 2, depth == 0 ? where : "", indent, "");
    if (parameters < 0)
        printf("%s", name);
    else
        printf("%-*s %14s", width > 0 ? width : 0, name, sr_grouped(parameters, grouped));
    printf("%s%s\n", *notes != '\0' ? "  " : "", notes);
}

__attribute__((format(printf, 3, 4))) static void note(char *text, size_t room, const char *format,
                                                       ...) {
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    if (used > 0) used += (size_t)snprintf(text + used, room - used, ", ");
    if (used < room) vsnprintf(text + used, room - used, format, args);
    va_end(args);
}

/* "K from the LIV 2 above, weights of V from the LIV 4 above". */
static void sharing_notes(const sr_trait *t, const sr_class *c, char *text, size_t room) {
    text[0] = '\0';
    for (int f = 0; f < sr_family_features(c->family); f++) {
        const char *name = sr_family_feature_name(c->family, f);
        if (f + 1 < sr_family_features(c->family) && t->source[f] > 0 &&
            t->source[f] == t->source[f + 1]) {
            note(text, room, "reads %s and %s of the LIV %d above", name,
                 sr_family_feature_name(c->family, f + 1), t->source[f]);
            break;
        }
        if (t->source[f] > 0)
            note(text, room, "reads %s of the LIV %d above", name, t->source[f]);
        else if (t->owner[f] > 0 && t->owner[f] != t->rest)
            note(text, room, "weights of %s from the LIV %d above", name, t->owner[f]);
    }
    if (t->rest > 0) note(text, room, "featurizer weights of the LIV %d above", t->rest);
    if (text[0] == '\0') snprintf(text, room, "%s", c->summary);
}

/* A unit that has grown: "ff 512", "heads 6, kv-heads 6, key 16, value 16". */
static void size_notes(const sr_model *m, int liv, char *text, size_t room) {
    const int64_t *size = m->units[liv].size.axis;
    if (!sr_model_unit_grew(m, liv)) return;
    text[0] = '\0';
    for (int k = 0; k < SR_AXIS_KINDS; k++)
        if (size[k] > 0)
            note(text, room, "%s %lld", sr_growth_size_name((sr_axis_kind)k), (long long)size[k]);
}

/* As in sr_genome_names(): at each place the repeat that saves most lines, then inside its block.
 */
static void draw(const sr_drawing *d, int at, int end, int depth) {
    while (at < end) {
        int best = 1, count = 1, saved = 0;
        for (int period = 1; period <= (end - at) / 2; period++) {
            int n = repeats_of(d->trait, at, end, period);
            if ((n - 1) * period > saved) {
                best = period;
                count = n;
                saved = (n - 1) * period;
            }
        }
        char where[32], text[160];
        if (count > 1) {
            snprintf(where, sizeof where, "%d-%d", at + 1, at + best * count);
            snprintf(text, sizeof text, "%d times", count);
            line(depth, where, text, -1, "");
            draw(d, at, at + best, depth + 1);
        } else {
            const sr_trait *t = &d->trait[at];
            const sr_class *c = sr_class_get(t->liv_class);
            snprintf(where, sizeof where, "%d", at + 1);
            sharing_notes(t, c, text, sizeof text);
            size_notes(d->model, at, text, sizeof text);
            line(depth, where, c->name, t->parameters, text);
        }
        at += best * count;
    }
}

/* 0 for itself, else how far above. */
static int distance(int i, int other) { return other < 0 ? READS_NOTHING : i - other; }

static void fill_traits(const sr_model *m, const sr_sharing *sharing, sr_trait *traits) {
    for (int i = 0; i < m->genome.n; i++) {
        const sr_liv_sharing *s = &sharing->liv[i];
        traits[i].liv_class = m->genome.liv[i].liv_class;
        traits[i].rest = distance(i, s->rest_owner);
        for (int f = 0; f < SR_FEATURES; f++) {
            traits[i].source[f] = distance(i, s->feature_source[f]);
            traits[i].owner[f] = distance(i, s->weight_owner[f]);
        }
    }
    for (int p = 0; p < m->schema.count; p++) {
        const sr_param *param = &m->schema.param[p];
        if (param->trained && param->scope >= 1 && param->scope <= m->genome.n)
            traits[param->scope - 1].parameters += param->rows * param->cols;
    }
}

static sartor_status print_model(sartor_context *ctx, const sr_model *m) {
    sr_sharing *sharing = NULL;
    sr_trait *traits = NULL;
    sartor_status status = sr_alloc(ctx, 1, sizeof *sharing, "the drawing", (void **)&sharing);
    if (status == SARTOR_OK)
        status =
            sr_alloc(ctx, (size_t)m->genome.n, sizeof *traits, "the drawing", (void **)&traits);
    if (status == SARTOR_OK) {
        sr_genome_resolve(&m->genome, sharing);
        fill_traits(m, sharing, traits);
        int64_t embedding = m->sizes.vocab * m->sizes.width;
        printf("  %-*s%-*s %14s\n", NAME_COLUMN - 2, "LIV", PARAMETER_COLUMN - NAME_COLUMN - 15,
               "class", "parameters");
        line(0, "", "embedding", embedding, "");
        draw(&(sr_drawing){m, traits}, 0, m->genome.n, 0);
        line(0, "", "norm", m->sizes.width, "");
        line(0, "", "unembedding", m->sizes.tied ? 0 : embedding,
             m->sizes.tied ? "tied: the embedding again" : "");
    }
    free(sharing);
    free(traits);
    return status;
}

/* The drawing is made from the schema: the architecture is compiled. */
sartor_status sr_print_structure(sartor_context *ctx, const char *arch, const sartor_sizes *s) {
    const sr_sizes sizes = sr_sizes_from(s, s->vocab);
    sr_model *model = NULL;
    SR_TRY(sr_compile_named(ctx, arch, s->livs, &sizes, &model));
    sartor_status status = print_model(ctx, model);
    sr_model_destroy(&model);
    return status;
}
