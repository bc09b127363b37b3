/* The public handle: a model with weights and its tokenizer. */
#ifndef SR_TRAIN_LOADED_H
#define SR_TRAIN_LOADED_H

#include "data/tokenizer.h"
#include "model/model.h"
#include <sartor/model.h>

struct sartor_model {
    sr_model *model;
    sr_tokenizer *tokenizer;
};

/* The file that a path means: itself, or the model in a folder. Release with free(). */
sartor_status sr_model_path(sartor_context *ctx, const char *path, char **file);

#endif
