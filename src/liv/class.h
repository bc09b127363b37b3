/* The table of LIV classes: every unit that a genome can name.
 *
 * A class is a number, a name and a five-integer operator code (STAR, arXiv 2411.17800, section on
 * the operator genome); the code is compiled by the builders of liv/, so a row adds no code.
 * Numbers are append-only: 1..17 are the paper's, later rows take the next numbers. */
#ifndef SR_LIV_CLASS_H
#define SR_LIV_CLASS_H

#include "base/context.h"
#include <stdbool.h>

/* Units of one family have the same feature groups and may share them. */
typedef enum sr_family {
    SR_FAMILY_SA = 1,       /* attention: q, k, v */
    SR_FAMILY_REC = 2,      /* recurrence: x, B, C, dt, gate */
    SR_FAMILY_GCONV = 3,    /* gated convolution: B, C, v, kernel */
    SR_FAMILY_GMEMLESS = 4, /* memoryless: gate, value */
    SR_FAMILY_MLP = 5,      /* memoryless without a gate */
    SR_FAMILY_MOE = 6,      /* mixture of memoryless experts: gate, value, router */
    SR_FAMILY_LINEAR = 7,   /* linear attention with a matrix state: q, k, v, decay, gate */
    SR_FAMILY_DELTA = 8,    /* gated delta rule: q, k, v, gates */
    SR_FAMILY_RWKV = 9,     /* RWKV's time mixer: r, k, v, decay, gate */
    SR_FAMILY_RWKV_CM = 10, /* RWKV's channel mixer: receptance, key */
    SR_FAMILY_HYENA = 11    /* Hyena of the MAD benchmark; shares no single feature */
} sr_family;
enum { SR_FAMILIES = 16 }; /* larger than all of them */

/* The five integers, each from 1. */
typedef struct sr_code {
    int featurizer;     /* 1..9; from 10: of units that are taken whole from one publication */
    int token_mixing;   /* 1 diagonal, 2 low rank, 3 scaled Toeplitz, 4 semi-separable */
    int sparsity;       /* 1 none, 2 banded; of experts: only the active ones */
    int nonlinearity;   /* 1 none, 2 softmax, 3 ReLU, 4 swish, 5 GELU, 6 ReLU squared (op/attr.h) */
    int channel_mixing; /* 1 diagonal, 2 dense, 3 grouped */
} sr_code;

typedef struct sr_class {
    int number; /* 1.. */
    const char *name;
    sr_code code;
    bool differential; /* y = LIV_a(x) - LIV_b(x) */
    sr_family family;
    const char *summary;
} sr_class;

/* The classes by number; class numbers are 1..sr_class_count(). NULL for any other number. */
int sr_class_count(void);
const sr_class *sr_class_get(int number);
enum { SR_PAPER_CLASSES = 17 };

/* By name (case matters), or NULL. */
const sr_class *sr_class_find(const char *name);
/* "; did you mean Mamba?" where the name of a class differs in case alone, or "". */
enum { SR_CLASS_HINT = 80 };
const char *sr_class_hint(const char *name, char text[SR_CLASS_HINT]);
/* The plain (not differential) class of a code, or NULL with the reason in the context. */
const sr_class *sr_class_of_code(sartor_context *ctx, sr_code code);
/* SARTOR_INVALID with the reason when the builders cannot compose the code. */
sartor_status sr_code_check(sartor_context *ctx, sr_code code);

/* Feature groups that a family can share, in the order of the strategy bits: gene 5 is 1 + the sum
 * of 1 << i over the shared ones (SA: K, V; Rec: B, C; GConv: B, C; GMemless: gate). */
int sr_family_features(sr_family family);                        /* how many: 2, 2, 2, 1 */
const char *sr_family_feature_name(sr_family family, int index); /* "K" ... */
const char *sr_family_name(sr_family family);

/* Two units can share feature `index` when these are equal (and nonzero): same family, same tensor
 * shape, plain with plain, differential with differential. Weights are shared within one class. */
int sr_class_feature_shape(const sr_class *class_, int index);

/* Key and value heads are 1/repeat of the query heads (1 for all but grouped-query attention). */
int sr_code_kv_repeat(sr_code code);
/* States per channel of a recurrence, 0 for other families, and its channels as a multiple of the
 * width, 1 for other families. */
int sr_code_states(sr_code code);
int sr_code_expand(sr_code code);
/* Whether the projections of an attention unit have biases. */
bool sr_code_biases(sr_code code);

#endif
