/* Backbone genomes: which LIV classes stand on each other and what they share.
 *
 * A genome is five integers per LIV in order of depth (STAR, arXiv 2411.17800, section on the
 * backbone genome): class, featurizer-sharing label and strategy, feature-group-sharing label and
 * strategy. Sizes (width, heads, window, vocabulary) are never in it. Messages count LIVs from 1,
 * arrays and parameter names from 0.
 *
 * Sharing. Labels only name groups; what happens follows from them (sr_genome_resolve()):
 * - featurizer sharing: LIVs of one class, one label and strategy 2 use one set of weights for
 *   everything that makes features (all weights but the output projection and the norm); each
 *   applies them to its own input. Differential LIVs share branch by branch.
 * - feature-group sharing: LIVs of one family, one label and one feature shape whose strategies
 *   name the feature: the first by depth computes it, the others read it and have no weights for
 * it. Every family makes some feature that no strategy shares (q; x, dt and gate; v and kernel;
 * value), so two members of a featurizer group always have a weight in common, whatever they read.
 */
#ifndef SR_GENOME_GENOME_H
#define SR_GENOME_GENOME_H

#include "base/context.h"
#include "base/hash.h"
#include "liv/class.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SR_MAX_LIVS = 1024,
    SR_MAX_LABEL = 1024,
    SR_GENES = 5,    /* integers per LIV */
    SR_FEATURES = 2, /* most features that a family shares (sr_family_features()) */
    SR_GENOME_TEXT = SR_MAX_LIVS * 24, /* room for a genome or its names as text */
    SR_DEFAULT_LIVS = 12               /* of a preset when no count is given */
};

typedef struct sr_gene {
    int liv_class;           /* 1..sr_class_count() */
    int featurizer_label;    /* 1..SR_MAX_LABEL, per class */
    int featurizer_strategy; /* 1 no weights shared, 2 all */
    int group_label;         /* 1..SR_MAX_LABEL, per family */
    int group_strategy;      /* 1 + the sum of 1 << f over the shared features f of the family */
} sr_gene;

/* A value: copy it by assignment (20 KB). */
typedef struct sr_genome {
    int n; /* LIVs, 1..SR_MAX_LIVS */
    sr_gene liv[SR_MAX_LIVS];
} sr_genome;

/* ---- text ---- */

/* What a person types as ARCH: a preset, a genome (`2.1.2.1.1-3.1.1.1.2`, `21211-31112`), a names
 * list (`(SA-3 GMemless GConv-1 GMemless)x3`, with op:1.2.1.1.3 for a code), or a file that holds
 * one of these or a JSON object with a "genome". Fitted to `livs` LIVs; 0 leaves a genome as long
 * as it is and gives a preset SR_DEFAULT_LIVS. SARTOR_INVALID (SARTOR_IO, SARTOR_FORMAT for a file)
 * with one line that says where. */
sartor_status sr_arch_parse(sartor_context *ctx, const char *arch, int livs, sr_genome *out);

/* A genome or a names list of `n` bytes (need not end in 0): no presets, no files. The result is
 * valid in the whole catalogue and exactly as written, not canonical. */
sartor_status sr_genome_parse(sartor_context *ctx, const char *text, size_t n, sr_genome *out);

/* The "genome" string of a JSON object; release with free(). */
sartor_status sr_genome_of_json(sartor_context *ctx, const char *text, size_t n, char **genome);

/* As integers with dots; sr_genome_parse() reads it back. The genome must be valid. */
void sr_genome_print(const sr_genome *genome, char text[SR_GENOME_TEXT]);
/* As class names with repeats collapsed; sr_genome_parse() gives the classes back, not the sharing.
 */
void sr_genome_names(const sr_genome *genome, char text[SR_GENOME_TEXT]);

/* ---- sharing, resolved ---- */

/* Of one LIV i. Features f are those of its family, in sr_family_feature_name() order; entries of
 * features that the family lacks are i, 0 and -1. */
typedef struct sr_liv_sharing {
    int feature_source[SR_FEATURES];  /* the LIV that computes feature f: i or an earlier one */
    int feature_readers[SR_FEATURES]; /* how many later LIVs read feature f of this LIV */
    /* The LIV that owns the weights which make feature f: i, an earlier one, or -1 where this LIV
     * reads the feature and needs none. */
    int weight_owner[SR_FEATURES];
    /* The same for the other weights but the output projection and the norm (q ...): the first
     * member of the featurizer-sharing group, or i. */
    int rest_owner;
} sr_liv_sharing;

typedef struct sr_sharing {
    int n;
    sr_liv_sharing liv[SR_MAX_LIVS];
} sr_sharing;

/* The genome must be valid. Depends only on the genome's canonical form. */
void sr_genome_resolve(const sr_genome *genome, sr_sharing *sharing);

/* ---- validity, canonical form, identity ---- */

/* A set of class numbers that a search may use. */
enum { SR_POOL_CLASSES = 256 };
typedef struct sr_pool {
    bool has[SR_POOL_CLASSES]; /* by class number */
} sr_pool;
sr_pool sr_pool_paper(void); /* 1..17 */
sr_pool sr_pool_all(void);

/* SARTOR_INVALID with the first fault; `pool` NULL means the whole catalogue. */
sartor_status sr_genome_check(sartor_context *ctx, const sr_genome *genome, const sr_pool *pool);

/* One spelling for all genomes with the same classes and the same sharing: labels of units that
 * share nothing are 1 and their strategies 1; strategies name only what is really shared; groups
 * are numbered by first appearance, per class (featurizer) and per family (feature groups). The
 * genome must be valid and stays so. */
void sr_genome_canonical(sr_genome *genome);

/* Number by number. */
bool sr_genome_equal(const sr_genome *a, const sr_genome *b);

/* `genome_id`: the hash of the canonical genome's text. */
void sr_genome_id(const sr_genome *genome, char id[SR_HASH_TEXT]);
/* `id`: the hash of the format version, the canonical genome and `sizes`, a text in which the
 * caller writes every size that shapes the model. */
void sr_arch_id(const sr_genome *genome, const char *sizes, char id[SR_HASH_TEXT]);

/* What repair changed, in integers of the genome. */
typedef struct sr_repairs {
    int classes;    /* moved to the nearest class of the pool */
    int labels;     /* brought into 1..SR_MAX_LABEL */
    int strategies; /* illegal for the family: drawn anew from the legal ones */
    int dissolved;  /* strategies cut back because nothing was shared */
} sr_repairs;

/* Makes any integers a valid canonical genome: classes, labels, strategies, then lone members of
 * groups. A pure function of its arguments; a valid genome only becomes canonical. SARTOR_INVALID
 * when `n` is out of range or the pool is empty. */
sartor_status sr_genome_repair(sartor_context *ctx, sr_genome *genome, const sr_pool *pool,
                               uint64_t seed, sr_repairs *repairs);

/* ---- length and presets ---- */

/* Repeats or cuts to `livs` LIVs. Every copy gets labels of its own, so that nothing is shared
 * across copies; a genome whose length changes becomes canonical. The genome must be valid. */
sartor_status sr_genome_fit(sartor_context *ctx, sr_genome *genome, int livs);

typedef struct sr_preset {
    const char *name, *names; /* names: the pattern, as a names list */
    const char *summary;
} sr_preset;
int sr_preset_count(void);
const sr_preset *sr_preset_get(int index); /* NULL out of range */
const sr_preset *sr_preset_find(const char *name);

#endif
