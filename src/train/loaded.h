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

#endif
