/* The genome parser on arbitrary bytes: it refuses with one line, or the genome is valid, prints
 * and reads back, has one canonical form with the same sharing, and survives repair and fitting. */
#include "genome/genome.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sr_genome genome, other;
static sr_sharing before, after;
static char text[SR_GENOME_TEXT];

static void require(bool condition) {
    if (!condition) abort();
}

static bool one_line(const char *message) {
    return strlen(message) > 8 && strchr(message, '\n') == NULL;
}

static void parse_text(sartor_context *ctx, sr_genome *out) {
    require(sr_genome_parse(ctx, text, strlen(text), out) == SARTOR_OK);
}

static void check_properties(sartor_context *ctx) {
    require(sr_genome_check(ctx, &genome, NULL) == SARTOR_OK);
    sr_genome_print(&genome, text);
    parse_text(ctx, &other);
    require(sr_genome_equal(&genome, &other));

    sr_genome_names(&genome, text);
    parse_text(ctx, &other);
    require(other.n == genome.n);
    for (int i = 0; i < genome.n; i++) require(other.liv[i].liv_class == genome.liv[i].liv_class);

    other = genome;
    sr_genome_canonical(&other);
    require(sr_genome_check(ctx, &other, NULL) == SARTOR_OK);
    sr_genome_resolve(&genome, &before);
    sr_genome_resolve(&other, &after);
    require(memcmp(before.liv, after.liv, (size_t)genome.n * sizeof *before.liv) == 0);

    sr_repairs repairs;
    sr_pool all = sr_pool_all(), paper = sr_pool_paper();
    require(sr_genome_repair(ctx, &genome, &all, 1, &repairs) == SARTOR_OK);
    require(sr_genome_equal(&genome, &other)); /* repair of the valid, and canonical of canonical */
    sr_genome_canonical(&other);
    require(sr_genome_equal(&genome, &other));
    require(sr_genome_repair(ctx, &other, &paper, 1, &repairs) == SARTOR_OK);
    require(sr_genome_check(ctx, &other, &paper) == SARTOR_OK);
    require(sr_genome_fit(ctx, &genome, genome.n % 64 + 1) == SARTOR_OK);
    require(sr_genome_check(ctx, &genome, NULL) == SARTOR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sartor_context *ctx = sartor_context_create();
    require(ctx != NULL);
    if (sr_genome_parse(ctx, (const char *)data, size, &genome) == SARTOR_OK)
        check_properties(ctx);
    else
        require(one_line(sartor_error(ctx)));
    char *inner = NULL;
    if (size > 0 && data[0] == '{') {
        if (sr_genome_of_json(ctx, (const char *)data, size, &inner) != SARTOR_OK)
            require(inner == NULL && one_line(sartor_error(ctx)));
        else if (sr_genome_parse(ctx, inner, strlen(inner), &genome) == SARTOR_OK)
            check_properties(ctx);
        else
            require(one_line(sartor_error(ctx)));
    }
    free(inner);
    sartor_context_destroy(&ctx);
    return 0;
}
