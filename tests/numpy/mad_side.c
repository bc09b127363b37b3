/* The library's side of tests/numpy/run_numpy.py.
 *
 *     mad_side stream SEED [SEED]      draws, one a line
 *     mad_side write SETTING FOLDER    the data set of a setting, with a validation set
 *     mad_side read FOLDER VOCAB       a data set as text: rows, length and values of each table */
#include "base/pcg64.h"
#include "task/mad/mad.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* run_numpy.py calls the same in the same order. */
static void stream(char **seeds, int count) {
    uint64_t entropy[2] = {0, 0}, bits = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < count; i++) entropy[i] = strtoull(seeds[i], NULL, 10);
    sr_pcg64 rng;
    sr_pcg64_seed(&rng, entropy, count);
    for (int i = 0; i < 4000; i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        uint64_t most = bits >> (i * 7 % 64);
        printf("%" PRIu64 "\n", sr_pcg64_up_to(&rng, most));
        printf("%" PRId64 "\n", sr_pcg64_choice(&rng, i % 300 + 1));
        if (i % 3 == 0) printf("%" PRIu64 "\n", sr_pcg64_u64(&rng));
        if (i % 5 == 0) printf("%.17g\n", sr_pcg64_uniform(&rng));
        if (i % 100 != 0) continue;
        int32_t items[4000];
        for (int k = 0; k < i; k++) items[k] = k;
        sr_pcg64_shuffle(&rng, items, i);
        for (int k = 0; k < i; k++) printf("%" PRId32 "\n", items[k]);
    }
}

static void print_table(const char *name, const sr_mad_set *set, const int32_t *values) {
    printf("%s %" PRId64 " %" PRId64, name, set->rows, set->length);
    for (int64_t i = 0; i < set->rows * set->length; i++) printf(" %" PRId32, values[i]);
    printf("\n");
}

static sartor_status print_data(sartor_context *ctx, const char *folder, int64_t vocab) {
    sr_mad_data data;
    sartor_status status = sr_mad_read(ctx, folder, vocab, &data);
    if (status != SARTOR_OK) return status;
    static const char *const names[SR_MAD_PARTS] = {"train", "test", "validation"};
    for (int part = 0; part < SR_MAD_PARTS; part++) {
        print_table(names[part], &data.part[part], data.part[part].inputs);
        print_table(names[part], &data.part[part], data.part[part].targets);
    }
    sr_mad_data_free(&data);
    return SARTOR_OK;
}

static sartor_status write_data(sartor_context *ctx, const char *text, const char *folder) {
    sr_mad_setting setting;
    sr_mad_data data;
    sartor_status status = sr_mad_setting_parse(ctx, text, &setting);
    if (status == SARTOR_OK) status = sr_mad_generate(ctx, &setting, true, &data);
    if (status != SARTOR_OK) return status;
    status = sr_mad_write(ctx, &data, folder);
    sr_mad_data_free(&data);
    return status;
}

int main(int argc, char **argv) {
    const char *command = argc > 2 ? argv[1] : "";
    sartor_context *ctx = sartor_context_create();
    if (ctx == NULL) return 1;
    sartor_status status = SARTOR_OK;
    if (strcmp(command, "stream") == 0 && argc <= 4)
        stream(argv + 2, argc - 2);
    else if (strcmp(command, "write") == 0 && argc == 4)
        status = write_data(ctx, argv[2], argv[3]);
    else if (strcmp(command, "read") == 0 && argc == 4)
        status = print_data(ctx, argv[2], strtoll(argv[3], NULL, 10));
    else
        status = SARTOR_INVALID;
    if (status != SARTOR_OK) fprintf(stderr, "mad_side: %s\n", sartor_error(ctx));
    sartor_context_destroy(&ctx);
    return status == SARTOR_OK ? 0 : 1;
}
