/* What a search begins with: a tokenizer, and text where something reads it. */
#include "search/settings.h"

#include <string.h>

bool sartor_search_reads_text(const sartor_search_options *o) {
    for (const char *at = o->objectives; at != NULL;) {
        const size_t n = strcspn(at, ",");
        if (sr_objective_find(at, n) == SR_BPB) return true;
        at = at[n] == ',' ? at + n + 1 : NULL;
    }
    for (int i = 0; i < o->n_limits; i++)
        if (sr_objective_find(o->limits[i], strcspn(o->limits[i], "=")) == SR_BPB) return true;
    return false;
}

sartor_status sr_search_input_open(sartor_context *ctx, const sartor_search_options *o,
                                   sr_tokenizer **tokenizer, sr_source **source) {
    const sartor_text *text = &o->text;
    const bool named = text->n_paths > 0 || text->validation != NULL || text->test != NULL ||
                       text->doc_separator != NULL;
    *source = NULL;
    SR_TRY(o->tokenizer != NULL ? sr_tokenizer_load(ctx, o->tokenizer, tokenizer)
                                : sr_tokenizer_bytes(ctx, tokenizer));
    const bool read = sartor_search_reads_text(o);
    if (!read && !named) return SARTOR_OK;
    SR_TRY(sr_text_open(ctx, text, false, source));
    return read ? sr_source_require(ctx, *source, SR_TRAIN | SR_VAL) : SARTOR_OK;
}
