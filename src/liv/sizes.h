/* The sizes of a model: everything besides the genome that shapes it. */
#ifndef SR_LIV_SIZES_H
#define SR_LIV_SIZES_H

#include "tensor/schema.h"
#include <stdbool.h>
#include <stdint.h>

/* What is made of the last residual stream. */
typedef enum sr_head {
    SR_HEAD_LANGUAGE, /* of every token: logits of the next one */
    SR_HEAD_SEQUENCE  /* of the last token alone: logits of a whole sequence (model/head.h) */
} sr_head;

typedef struct sr_sizes {
    int64_t width;         /* channels of the residual stream */
    int64_t head_dim;      /* channels of a head; width is a multiple */
    int64_t window;        /* positions that banded classes see */
    int64_t vocab;         /* tokens */
    int64_t context;       /* longest sequence that training and evaluation cut */
    int64_t filter_length; /* of long convolutions; also the period of their positions */
    bool tied;             /* the embedding is the unembedding too */
    sr_head head;
    int64_t divisor; /* of the squares in the norms of a stream that has grown; 0: width */
} sr_sizes;

/* The sizes of one unit. Those of a new unit follow from its class and the model's sizes
 * (sr_unit_sizes_default()); growth enlarges them one by one, and keeps the constants that were
 * computed from a size. */
typedef struct sr_unit_sizes {
    int64_t axis[SR_AXIS_KINDS]; /* 0: the unit has no such axis of its own */
    int64_t scale;               /* channels whose root divides q.k; 0: nothing does */
    int64_t divisor;             /* of the squares in the unit's own norm; 0: it has none */
    int64_t pairs; /* of a rotation table of its own; 0: the model's for this many channels */
} sr_unit_sizes;

/* Bounds that keep every product of sizes inside 64 bits. */
enum { SR_MAX_WIDTH = 1 << 16, SR_MAX_VOCAB = 1 << 24, SR_MAX_CONTEXT = 1 << 24 };

/* Hidden channels of GMemless: 8/3 of the width, rounded up to 16. */
static inline int64_t sr_ff_width(int64_t width) { return ((8 * width + 2) / 3 + 15) / 16 * 16; }
/* Hidden channels of MLP. */
static inline int64_t sr_mlp_width(int64_t width) { return 4 * width; }
/* Rank of Mamba's time step. */
static inline int64_t sr_dt_rank(int64_t width) { return (width + 15) / 16; }

/* Channels of a head (group) of a unit whose heads carry matrices. */
static inline int64_t sr_state_head_dim(const sr_sizes *s) { return 2 * s->head_dim; }
/* States of Mamba-2: with its expansion as many numbers as the heads above carry. */
static inline int64_t sr_mamba2_states(const sr_sizes *s) { return s->head_dim; }

enum {
    SR_MAMBA2_EXPAND = 2,  /* channels per channel of the residual stream */
    SR_GLA_RANK = 16,      /* of the decay's projection */
    SR_GLA_NORMALISER = 16 /* a decay is a sigmoid to the power of 1 over this */
};

enum {
    SR_SHORT_TAPS = 3, /* GConv-1 and SA-2 */
    SR_SCAN_TAPS = 4,  /* the convolution in front of a recurrence */
    SR_FILTER_BANDS = 8,
    SR_FILTER_FEATURES = 1 + 2 * SR_FILTER_BANDS,
    SR_FILTER_WIDTH = 16,
    SR_FILTER_INNER = 2
};
/* The Hyena units of the MAD benchmark: the first has channels a multiple of the width, the second
 * projects to a fraction of the channels that it uses. */
enum {
    SR_HYENA_INNER = 4,
    SR_HYENA_FEATURES = 3,
    SR_HYENA_FILTER_WIDTH = 4,
    SR_MH_HYENA_TILES = 4,
    SR_MH_HYENA_FILTER_WIDTH = 2,
    SR_HYENA_EXPERTS_FILTER_WIDTH = 16
};
enum {
    SR_EXPERTS = 8, /* of a mixture; the width is a multiple */
    SR_ACTIVE_EXPERTS = 2
};
/* RWKV-6 (Peng et al. 2024): ranks of the data-dependent token shift and decay; the channel mixer's
 * hidden channels as a multiple of the width. */
enum { SR_RWKV_MIX_RANK = 32, SR_RWKV_DECAY_RANK = 64, SR_RWKV_EXPAND = 4 };
#define SR_NORM_EPSILON   1e-5
#define SR_LINEAR_EPSILON 1e-12 /* added to the normaliser of LinAttn */
#define SR_UNIT_EPSILON   1e-6  /* of keys and queries of length one, beside their squared length */
#define SR_RWKV_EPSILON   (64 * SR_NORM_EPSILON) /* of RWKV's norm over heads */
#define SR_ROPE_BASE      10000.0

#endif
