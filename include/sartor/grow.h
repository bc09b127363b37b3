/* Growing a trained model without changing what it computes.
 *
 * Every size of a model can be made larger, LIVs can be added, and the larger model computes what
 * the smaller one did: new weights are free on one side and zero on the other, so that they are
 * silent at first and learn from the first step on (Gesmundo & Maile 2023, arXiv 2308.06103). */
#ifndef SARTOR_GROW_H
#define SARTOR_GROW_H

#include <sartor/context.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thing to grow: a size ("width", "ff", "heads", "kv-heads", "key", "value", "state", "taps",
 * "channels", "rank", "features", "mix") with its new value ("256") or what is added ("+2"); "at"
 * with the LIVs that grow ("1,3-5,SA-3"; all that have the axis); "livs" with those to add
 * ("SA-3,GMemless@end"); "to" with an architecture that has the model as a part; "rotation" with
 * what becomes of rotated keys ("auto", "spread", "extend", "none"); "new-livs" with what added
 * LIVs are at first: "silent", or "stacked" on copies of old ones, which changes the function. */
typedef struct sartor_grow_item {
    const char *name, *value;
} sartor_grow_item;

typedef struct sartor_grow_options {
    const char *model; /* a model file or a folder that holds one; a checkpoint grows with its
                        * optimiser's state */
    const char *out;   /* file to write; may be NULL with dry_run */
    const sartor_grow_item *items;
    int n_items;
    bool approximate; /* also what changes the function */
    bool undo;        /* instead: the model as it was before it grew last */
    bool dry_run;     /* plan and compare, write nothing */
    /* How what is new trains on from a checkpoint, as in sartor_train_options. */
    double new_rate;
    int64_t new_warmup;
    bool freeze_old;
    uint64_t seed; /* of new weights, and of the tokens that models are compared on */
    int threads;   /* 0: every core */
} sartor_grow_options;
void sartor_grow_defaults(sartor_grow_options *options);

/* One tensor that has new entries. */
typedef struct sartor_grow_change {
    char name[64];
    int64_t rows_before, columns_before; /* 0: all of it is new */
    int64_t rows, columns;
    int64_t fresh, zero; /* new entries, and how many of them are zero */
} sartor_grow_change;

/* Release with sartor_grow_release(). */
typedef struct sartor_grow_result {
    double max_abs_logit_difference, largest_logit;
    bool exact; /* by rule, and the logits agree as far as f32 goes */
    int64_t params_before, params_after, new_entries;
    double flops_before, flops_after; /* forward, per token */
    bool optimiser;                   /* its state grew too */
    sartor_grow_change *changes;
    int n_changes;
} sartor_grow_result;
void sartor_grow_release(sartor_grow_result *result);

/* Writes nothing unless all is well: SARTOR_INVALID for what cannot grow, SARTOR_MISMATCH where the
 * models' logits differ by more than 1e-5 (1 + largest logit) although they should not, and for an
 * undo after training. The input file is never touched. */
sartor_status sartor_grow(sartor_context *context, const sartor_grow_options *options,
                          sartor_grow_result *result);

#ifdef __cplusplus
}
#endif
#endif
