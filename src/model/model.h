/* A model: genome and sizes, compiled to a parameter schema, with or without weights.
 *
 * tokens -> embedding -> units on the residual stream -> final RMSNorm -> unembedding. One builder
 * serves training, scoring and decoding; only the graph's options differ. */
#ifndef SR_MODEL_MODEL_H
#define SR_MODEL_MODEL_H

#include "genome/genome.h"
#include "graph/graph.h"
#include "liv/unit.h"
#include "model/head.h"

typedef struct sr_model {
    sr_genome genome; /* canonical */
    sr_sizes sizes;
    sr_schema schema;
    sr_unit *units;           /* genome.n */
    int embed, norm, unembed; /* parameters; unembed == embed when tied */
    sr_sequence_head head;    /* with SR_HEAD_SEQUENCE */
    float *params;            /* schema.elements, or NULL before sr_model_allocate() */
} sr_model;

/* Compiles; no weights yet. SARTOR_INVALID when the sizes do not fit the classes or are out of
 * range, SARTOR_MEMORY when the model is beyond all memory. */
sartor_status sr_model_create(sartor_context *ctx, const sr_genome *genome, const sr_sizes *sizes,
                              sr_model **model);
/* The same with sizes of its own for every unit (genome->n): of a model that has grown. Units that
 * share features must agree in the sizes that they have in common. */
sartor_status sr_model_create_sized(sartor_context *ctx, const sr_genome *genome,
                                    const sr_sizes *sizes, const sr_unit_sizes *units,
                                    sr_model **model);
/* SARTOR_INVALID when a size is out of the bounds within which sizes may be multiplied. */
sartor_status sr_sizes_check(sartor_context *ctx, const sr_sizes *sizes);
/* Whether a unit has other sizes than a new one of its class would have. */
bool sr_model_unit_grew(const sr_model *model, int unit);
void sr_model_destroy(sr_model **model);

/* Room for the weights, and their initial values. */
sartor_status sr_model_allocate(sartor_context *ctx, sr_model *model);
void sr_model_init(sr_model *model, uint64_t seed);

/* The sizes as text, one spelling: part of the architecture's `id`. */
enum { SR_SIZES_TEXT = 256 };
void sr_sizes_print(const sr_sizes *sizes, char text[SR_SIZES_TEXT]);

/* What a graph of the model is for. */
typedef enum sr_graph_purpose {
    SR_GRAPH_LOSS,   /* ids and targets in, one loss per token out */
    SR_GRAPH_SCORE,  /* likewise, the loss and the most likely token out (unembed_score) */
    SR_GRAPH_LOGITS, /* ids in, logits of every token out */
    SR_GRAPH_NEXT    /* ids in, logits of the last token of every sequence out */
} sr_graph_purpose;

typedef struct sr_model_graph {
    sr_graph *graph;
    sr_value ids, targets; /* targets: SR_GRAPH_LOSS and _SCORE; below 0 is not scored */
    sr_value out;          /* loss [rows, 1], scores [rows, 2] or logits [rows, vocab] */
} sr_model_graph;

/* Builds and plans one graph. `context` sizes the decode state (options->decode). SARTOR_INVALID
 * for SR_GRAPH_NEXT where the head is not that of a language model. */
sartor_status sr_model_build(sartor_context *ctx, sr_model *model, const sr_graph_options *options,
                             sr_graph_purpose purpose, int64_t context, sr_model_graph *out);
void sr_model_graph_destroy(sr_model_graph *graph);

/* The graph that computes all long filters for decoding: output k is filter k,
 * [filter_length, channels]. *graph is NULL where the model has none. `values`: room for
 * sr_unit_filters() entries. */
sartor_status sr_model_build_filters(sartor_context *ctx, sr_model *model, sr_numbers numbers,
                                     int threads, sr_graph **graph, sr_value *values);

#endif
