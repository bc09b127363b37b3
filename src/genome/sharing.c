/* What a genome shares: labels resolved to LIVs, and from that the canonical form and identity.
 *
 * Sharing is defined here once. The canonical form is built from the resolved sharing, so genomes
 * that resolve alike, and only those, have the same canonical form and the same identity. */
#include "genome/genome.h"

#include <stdio.h>
#include <string.h>

enum { FORMAT_VERSION = 1 }; /* of the identity; stored ids change with it */

/* Features of the family of a LIV that its strategy names, one bit each. */
static unsigned shared_bits(const sr_gene *g) { return (unsigned)g->group_strategy - 1; }

static bool same_group(const sr_gene *a, const sr_gene *b, int feature) {
    const sr_class *ca = sr_class_get(a->liv_class), *cb = sr_class_get(b->liv_class);
    return a->group_label == b->group_label && ca->family == cb->family &&
           (shared_bits(a) & shared_bits(b)) >> feature & 1 &&
           sr_class_feature_shape(ca, feature) == sr_class_feature_shape(cb, feature);
}

static bool same_weights(const sr_gene *a, const sr_gene *b) {
    return a->liv_class == b->liv_class && a->featurizer_label == b->featurizer_label &&
           a->featurizer_strategy == 2 && b->featurizer_strategy == 2;
}

void sr_genome_resolve(const sr_genome *genome, sr_sharing *sharing) {
    sharing->n = genome->n;
    for (int i = 0; i < genome->n; i++) {
        const sr_gene *g = &genome->liv[i];
        sr_liv_sharing *s = &sharing->liv[i];
        int features = sr_family_features(sr_class_get(g->liv_class)->family);
        for (int f = 0; f < SR_FEATURES; f++) {
            int source = 0;
            while (f < features && source < i && !same_group(g, &genome->liv[source], f)) source++;
            s->feature_source[f] = f < features ? source : i;
            s->feature_readers[f] = 0;
            if (f < features && source < i) sharing->liv[source].feature_readers[f]++;
        }
        s->rest_owner = 0;
        while (s->rest_owner < i && !same_weights(g, &genome->liv[s->rest_owner])) s->rest_owner++;
        for (int f = 0; f < SR_FEATURES; f++) {
            /* The first member that computes the feature itself; members that read it own nothing.
             */
            int owner = s->rest_owner;
            while (owner < i && (sharing->liv[owner].feature_source[f] != owner ||
                                 !same_weights(g, &genome->liv[owner])))
                owner++;
            s->weight_owner[f] = f < features && s->feature_source[f] == i ? owner : -1;
        }
    }
}

/* The smallest LIV of the component that LIV i belongs to. */
static int root_of(int *parent, int i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

/* Feature groups are renumbered by connected component: one label may hold several (other shapes,
 * or K shared by some members and V by others), and a member may tie two features together. */
void sr_genome_canonical(sr_genome *genome) {
    sr_sharing sharing;
    int parent[SR_MAX_LIVS];
    bool shares_weights[SR_MAX_LIVS] = {false};
    sr_genome_resolve(genome, &sharing);
    for (int i = 0; i < genome->n; i++) {
        const sr_liv_sharing *s = &sharing.liv[i];
        parent[i] = i;
        for (int f = 0; f < SR_FEATURES; f++) {
            int a = root_of(parent, i), b = root_of(parent, s->feature_source[f]);
            parent[a > b ? a : b] = a > b ? b : a;
        }
        if (s->rest_owner != i) shares_weights[i] = shares_weights[s->rest_owner] = true;
    }

    int weight_groups[SR_POOL_CLASSES] = {0}, feature_groups[SR_FAMILIES] = {0};
    for (int i = 0; i < genome->n; i++) {
        const sr_liv_sharing *s = &sharing.liv[i];
        sr_gene *g = &genome->liv[i];
        unsigned bits = 0;
        for (int f = 0; f < SR_FEATURES; f++)
            bits |= (unsigned)(s->feature_source[f] != i || s->feature_readers[f] > 0) << f;
        int root = root_of(parent, i);
        g->group_strategy = 1 + (int)bits;
        if (bits == 0)
            g->group_label = 1;
        else if (root < i)
            g->group_label = genome->liv[root].group_label;
        else
            g->group_label = ++feature_groups[sr_class_get(g->liv_class)->family];
        g->featurizer_strategy = shares_weights[i] ? 2 : 1;
        if (!shares_weights[i])
            g->featurizer_label = 1;
        else if (s->rest_owner < i)
            g->featurizer_label = genome->liv[s->rest_owner].featurizer_label;
        else
            g->featurizer_label = ++weight_groups[g->liv_class];
    }
}

bool sr_genome_equal(const sr_genome *a, const sr_genome *b) {
    return a->n == b->n && memcmp(a->liv, b->liv, (size_t)a->n * sizeof *a->liv) == 0;
}

static void print_canonical(const sr_genome *genome, char text[SR_GENOME_TEXT]) {
    sr_genome copy = *genome;
    sr_genome_canonical(&copy);
    sr_genome_print(&copy, text);
}

void sr_genome_id(const sr_genome *genome, char id[SR_HASH_TEXT]) {
    char text[SR_GENOME_TEXT];
    print_canonical(genome, text);
    sr_hash_text(sr_hash_bytes(text, strlen(text), 0), id);
}

/* The hash of the pieces' hashes: no text of one piece can pass for the end of another. */
void sr_arch_id(const sr_genome *genome, const char *sizes, char id[SR_HASH_TEXT]) {
    char text[SR_GENOME_TEXT], pieces[2 * SR_HASH_TEXT + 16], part[SR_HASH_TEXT];
    print_canonical(genome, text);
    sr_hash_text(sr_hash_bytes(text, strlen(text), 0), id);
    sr_hash_text(sr_hash_bytes(sizes, strlen(sizes), 0), part);
    snprintf(pieces, sizeof pieces, "%d %s %s", FORMAT_VERSION, id, part);
    sr_hash_text(sr_hash_bytes(pieces, strlen(pieces), 0), id);
}
