#include "search/star.h"

#include "genome/variation.h"
#include <stdlib.h>
#include <string.h>

static const sr_star *star_of(const sr_space *space) { return space->user; }

static void sample(const sr_space *space, sr_draw *draw, void *out) {
    const sr_star *s = star_of(space);
    sr_genome_sample(&s->pool, s->livs, draw->rng, &draw->next, out);
}

static void cross(const sr_space *space, sr_draw *draw, const void *a, const void *b, void *child) {
    sr_genome_cross(a, b, &star_of(space)->pool, draw->rng, &draw->next, child, &draw->repaired);
}

static int mutate(const sr_space *space, sr_draw *draw, double rate, void *candidate) {
    return sr_genome_mutate(candidate, &star_of(space)->pool, rate, draw->rng, &draw->next);
}

/* A part is a LIV with all five integers, labels as they stand in the target's canonical form. */
static void approach(const sr_space *space, sr_draw *draw, double attraction, const void *target,
                     void *candidate) {
    const sr_genome *to = target;
    sr_genome *genome = candidate;
    for (int i = 0; i < genome->n; i++) {
        if (memcmp(&genome->liv[i], &to->liv[i], sizeof genome->liv[i]) == 0) continue;
        if (sr_draw_uniform(draw) < attraction) genome->liv[i] = to->liv[i];
    }
    sr_repairs r = {0};
    uint64_t seed = sr_rng_u64(draw->rng, draw->next++);
    (void)sr_genome_repair(NULL, genome, &star_of(space)->pool, seed, &r); /* cannot fail */
    draw->repaired += r.classes + r.labels + r.strategies + r.dissolved;
}

static double distance(const sr_space *space, const void *a, const void *b) {
    (void)space;
    return sr_genome_distance(a, b);
}

static sartor_status parse(sartor_context *ctx, const sr_space *space, const char *text,
                           void *out) {
    const sr_star *s = star_of(space);
    sr_genome *genome = out;
    SR_TRY(sr_genome_parse(ctx, text, strlen(text), genome));
    if (genome->n != s->livs)
        return sr_fail(ctx, SARTOR_INVALID, "genome: %d LIVs where the space has %d", genome->n,
                       s->livs);
    SR_TRY(sr_genome_check(ctx, genome, &s->pool));
    sr_genome_canonical(genome);
    return SARTOR_OK;
}

static char *print(const sr_space *space, const void *candidate) {
    (void)space;
    char text[SR_GENOME_TEXT];
    sr_genome_print(candidate, text);
    size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    if (copy != NULL) memcpy(copy, text, bytes);
    return copy;
}

static void identity(const sr_space *space, const void *candidate, char id[SR_HASH_TEXT]) {
    sr_arch_id(candidate, star_of(space)->sizes, id);
}

sr_space sr_star_space(const sr_star *star) {
    return (sr_space){.name = "star",
                      .bytes = sizeof(sr_genome),
                      .user = star,
                      .sample = sample,
                      .cross = cross,
                      .mutate = mutate,
                      .approach = approach,
                      .distance = distance,
                      .parse = parse,
                      .print = print,
                      .identity = identity};
}
