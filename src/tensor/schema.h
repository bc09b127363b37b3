/* The parameter schema: every trained tensor by name, with named axes.
 *
 * One declaration answers how a tensor is initialised, counted, decayed, sliced (supernet), grown
 * and exported. Weights are stored [out, in]; tensors of feature groups that read the same input
 * are declared one after another and lie without a gap in the flat buffer, so that one product over
 * all of them is a view. */
#ifndef SR_TENSOR_SCHEMA_H
#define SR_TENSOR_SCHEMA_H

#include "base/context.h"
#include <stddef.h>
#include <stdint.h>

typedef enum sr_axis_kind {
    SR_AXIS_MODEL,    /* the residual stream */
    SR_AXIS_HEAD,     /* query heads */
    SR_AXIS_KV_HEAD,  /* key and value heads */
    SR_AXIS_KEY,      /* channels of a query or key in one head */
    SR_AXIS_VALUE,    /* channels of a value in one head */
    SR_AXIS_CHANNEL,  /* channels of a recurrence or a convolution */
    SR_AXIS_FF,       /* hidden channels of a memoryless unit */
    SR_AXIS_STATE,    /* states per channel of a recurrence */
    SR_AXIS_TAP,      /* taps of a short convolution, oldest first */
    SR_AXIS_RANK,     /* a low-rank bottleneck */
    SR_AXIS_FEATURE,  /* features of a position, or of a query or key */
    SR_AXIS_VOCAB,    /* tokens */
    SR_AXIS_POSITION, /* positions */
    SR_AXIS_MIX,      /* the bottleneck of a data-dependent token shift */
    SR_AXIS_EXPERT,   /* experts of a mixture */
    SR_AXIS_TILE,     /* channels of a projection that is repeated */
    SR_AXIS_PART,     /* parts that a projection is cut into */
    SR_AXIS_KINDS
} sr_axis_kind;

/* Its name in messages, files and options: "model", "head" ... NULL for another number. */
const char *sr_axis_name(sr_axis_kind kind);
/* The kind of a name, or -1. */
int sr_axis_find(const char *name);

/* What lies between the tensors that write an axis and those that read it; growth needs it
 * (reference: function-preserving expansions, rules R1 to R5). */
typedef enum sr_between {
    SR_BETWEEN_LINEAR,  /* nothing, or sums and shifts along other axes */
    SR_BETWEEN_ENTRY,   /* an entrywise map that keeps zero, with a slope there */
    SR_BETWEEN_BEND,    /* an entrywise map that keeps zero, without a slope there (ReLU) */
    SR_BETWEEN_OPEN,    /* an entrywise map, or a bias, that does not keep zero */
    SR_BETWEEN_ASLEEP,  /* an entrywise map that keeps zero, behind writers that start at zero */
    SR_BETWEEN_NORM,    /* a norm over the axis: by root mean square */
    SR_BETWEEN_CENTRED, /* a norm over the axis that takes away the mean first */
    SR_BETWEEN_PRODUCT, /* two producers multiply: q.k, B.C, gate * value */
} sr_between;

/* What a tensor does to an axis it has. */
typedef enum sr_axis_role {
    SR_WRITES,   /* a producer: its rows make the axis; also a bias that is added to it */
    SR_SILENCES, /* a producer that can keep a coordinate silent where no tensor reads the axis: one
                  * factor of a product (k of q.k) */
    SR_READS,    /* a consumer: its columns take the axis in; also older taps */
    SR_ALONG     /* one number per coordinate that multiplies or shapes: gains, decays, taps */
} sr_axis_role;

/* An axis of the model: one per scope (0: the whole model; 1 + i: LIV i) and kind. Parameters that
 * name the same axis must agree in size. */
typedef struct sr_axis {
    sr_axis_kind kind;
    sr_axis_role role;
    sr_between between;
    int64_t size;
} sr_axis;

typedef enum sr_init_kind {
    SR_INIT_NORMAL,       /* mean 0, sd a */
    SR_INIT_UNIFORM,      /* in [-a, a] */
    SR_INIT_CONSTANT,     /* a */
    SR_INIT_LOG_RANGE,    /* log(1), log(2), ... along the last axis: Mamba's A */
    SR_INIT_LOG_UNIFORM,  /* log of a uniform number in [a, b]: Mamba-2's A */
    SR_INIT_TIME_STEP,    /* softplus inverse of a log-uniform number in [a, b]: Mamba's dt bias */
    SR_INIT_LINEAR_RANGE, /* from a to b, evenly, over all entries */
    SR_INIT_FREQUENCIES,  /* a^(-i/n) for i = 0..n-1: RoPE's with base a, over n pairs */
    SR_INIT_SHARE,        /* 1 - (i/n)^a: shares of the past in RWKV's token shift */
    SR_INIT_RISE,         /* from a to b with (i/(n-1))^0.7: RWKV's decay */
    SR_INIT_ZIGZAG,       /* 0, a, -a, 0, a ...: RWKV's bonus */
    SR_INIT_POSITIONS     /* rows s = 0..n-1 of (s/(n-1), cos aw, -sin aw), w = 2 pi s/n: Hyena's */
} sr_init_kind;

typedef struct sr_init {
    sr_init_kind kind;
    double a, b;
} sr_init;

enum { SR_MAX_AXES = 4, SR_PARAM_NAME = 64 };

typedef struct sr_param {
    char name[SR_PARAM_NAME]; /* "liv.3.a.q.weight" */
    int scope;                /* 0: the whole model; 1 + i: LIV i */
    int axes;
    sr_axis axis[SR_MAX_AXES];
    bool vector;        /* one row, whatever its axes: a bias, a gain */
    int64_t rows, cols; /* as a matrix */
    int64_t offset;     /* of its first element in the flat buffers */
    sr_init init;
    bool decay;     /* weight decay applies (matrices that multiply, embeddings) */
    bool trained;   /* false: a stored constant; it has no gradient and is not counted */
    bool embedding; /* counts as embedding, not as backbone */
} sr_param;

typedef struct sr_schema {
    sr_param *param;
    int count, room;
    int64_t elements; /* of the flat buffers */
} sr_schema;

/* Adds one tensor behind the others; its number, or -1 with an error in the context (out of memory,
 * a size below 1, more than 2^40 elements). `rows` and `cols` follow from the axes: columns are the
 * last axis, with the axes before it where all of them read; a vector or a single axis is one row.
 */
int sr_schema_add(sartor_context *ctx, sr_schema *schema, const sr_param *param);
/* The number of a tensor by name, or -1. */
int sr_schema_find(const sr_schema *schema, const char *name);
void sr_schema_free(sr_schema *schema);

/* Elements of trained tensors: of the backbone, and of embeddings. */
int64_t sr_schema_backbone(const sr_schema *schema);
int64_t sr_schema_embedding(const sr_schema *schema);

/* Fills the flat buffer (elements, f32): a pure function of the schema's names and shapes and the
 * seed, so that a tensor starts the same whatever stands around it. */
void sr_schema_init(const sr_schema *schema, uint64_t seed, float *flat);

#endif
