/* Presets, and fitting a genome to a number of LIVs. */
#include "genome/genome.h"

#include <string.h>

static const sr_preset presets[] = {
    {"transformer++", "SA-1 GMemless", "softmax attention and SwiGLU, RoPE, pre-norm"},
    {"striped-mamba", "(Rec-1 GMemless)x3 SA-1 GMemless (Rec-1 GMemless)x2",
     "Mamba and SwiGLU, attention as mixer 4 of every 6"},
    {"lfm2",
     "((GConv-1 GMemless)x2 SA-3 GMemless)x3 (GConv-1 GMemless SA-3 GMemless)x3 GConv-1 GMemless",
     "LFM2's block pattern: 10 short convolutions, 6 grouped-query attentions"},
    {"hyena", "GConv-2 GMemless", "gated long convolution and SwiGLU"},
};

int sr_preset_count(void) { return (int)(sizeof presets / sizeof *presets); }

const sr_preset *sr_preset_get(int index) {
    return index >= 0 && index < sr_preset_count() ? &presets[index] : NULL;
}

const sr_preset *sr_preset_find(const char *name) {
    for (int i = 0; i < sr_preset_count(); i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}

/* Copies are made from the canonical form, whose labels are at most n/2 and stand at 1 where
 * nothing is shared. A copy's labels are moved past those of the copies before it; labels that mean
 * nothing move along and fall back to 1 in the end. Copies times labels is at most livs. */
sartor_status sr_genome_fit(sartor_context *ctx, sr_genome *genome, int livs) {
    if (livs < 1 || livs > SR_MAX_LIVS)
        return sr_fail(ctx, SARTOR_INVALID, "%d LIVs: the count must be in 1..%d", livs,
                       SR_MAX_LIVS);
    if (livs == genome->n) return SARTOR_OK;
    sr_genome_canonical(genome);
    int labels = 0, n = genome->n;
    for (int i = 0; i < n; i++) {
        const sr_gene *g = &genome->liv[i];
        if (g->featurizer_label > labels) labels = g->featurizer_label;
        if (g->group_label > labels) labels = g->group_label;
    }
    for (int i = n; i < livs; i++) {
        sr_gene *g = &genome->liv[i];
        *g = genome->liv[i - n];
        g->featurizer_label += labels;
        g->group_label += labels;
    }
    genome->n = livs;
    sr_genome_canonical(genome);
    return SARTOR_OK;
}
