/* What a grown file remembers of the model that it grew from, so that growth can be undone.
 *
 * Metadata "sartor.growth": the architecture before, where each LIV came from, the record of the
 * run and the note of an earlier growth as they were, and a hash of the weights as growth left
 * them: one step of training later there is no way back. Files that training writes have no such
 * note. */
#ifndef SR_TRAIN_GROWTH_NOTE_H
#define SR_TRAIN_GROWTH_NOTE_H

#include "grow/growth.h"
#include "tensor/safetensors.h"
#include <jansson.h>

extern const char sr_growth_note_key[];

/* The note of a file with these weights; `record` and `earlier` may be NULL. Release with free();
 * NULL when memory is exhausted. */
char *sr_growth_note_make(const sr_growth *growth, const float *weights, const char *record,
                          const char *earlier);

/* What is needed to go back. */
typedef struct sr_growth_undo {
    sr_model *from;    /* without weights */
    sr_growth *growth; /* from it into the model of the file */
    json_t *note;
    const char *record; /* of `note`; NULL: none */
    char *earlier;      /* the note before; NULL: none */
} sr_growth_undo;

/* Of an open file and its model, which has weights. SARTOR_INVALID when it did not grow,
 * SARTOR_MISMATCH when it was changed since, SARTOR_FORMAT. */
sartor_status sr_growth_note_read(sartor_context *ctx, const sr_st_reader *reader,
                                  const sr_model *model, sr_growth_undo *undo);
void sr_growth_undo_free(sr_growth_undo *undo);

#endif
