#define _GNU_SOURCE
#include "run_tools.h"

#include "base/rng.h"
#include "tensor/safetensors.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

char root[64], data[96], validation[96];
sartor_context *ctx;

void write_text(const char *path, uint64_t seed, int sentences) {
    static const char *const word[] = {
        "the",  "tailor", "cuts",  "cloth", "with", "sharp", "shears", "and",  "sews",  "a",
        "coat", "of",     "green", "wool",  "fine", "linen", "every",  "seam", "holds", "fast"};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    sr_rng rng = {seed, SR_FOR_TEST, 0};
    for (uint64_t i = 0, k = 0; i < (uint64_t)sentences; i++) {
        int n = 4 + (int)sr_rng_below(rng, k++, 9), w = (int)sr_rng_below(rng, k++, 20);
        for (int j = 0; j < n; j++) {
            fprintf(f, "%s%s", j > 0 ? " " : "", word[w]);
            w = (w * 3 + 1 + (int)sr_rng_below(rng, k++, 4)) % 20;
        }
        fputs(i % 8 == 7 ? ".\n\n" : ".\n", f);
    }
    assert_int_equal(fclose(f), 0);
}

int run_setup(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/sartor-run-XXXXXX");
    if (mkdtemp(root) == NULL) return -1;
    snprintf(data, sizeof data, "%s/train.txt", root);
    snprintf(validation, sizeof validation, "%s/val.txt", root);
    write_text(data, 1, 900);
    write_text(validation, 2, 60);
    ctx = sartor_context_create();
    return ctx != NULL ? 0 : -1;
}

int run_teardown(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* ---- running ---- */

const char *out_folder(const char *name) {
    static char path[4][128];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static const char *data_paths[1] = {data};

sartor_train_options small_run(const char *out, int64_t steps) {
    sartor_train_options o;
    sartor_train_defaults(&o);
    o.arch = "SA-1 GMemless Rec-1 GMemless";
    o.sizes.width = 32;
    o.sizes.head_dim = 16;
    o.sizes.context = 32;
    o.text =
        (sartor_text){.paths = data_paths, .n_paths = 1, .validation = validation, .cache = root};
    o.out = out;
    o.batch = 4;
    o.steps = steps;
    o.learning_rate = 5e-3;
    o.threads = 1;
    o.seed = 7;
    return o;
}

sartor_measure run_to_end(const sartor_train_options *o) {
    sartor_measure m;
    sartor_status status = sartor_train(ctx, o, &m);
    if (status != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    return m;
}

void refused(const sartor_train_options *o, sartor_status expected, const char *words) {
    sartor_measure m;
    sartor_status status = sartor_train(ctx, o, &m);
    if (status != expected || strstr(sartor_error(ctx), words) == NULL)
        fail_msg("status %s, message '%s', expected %s with '%s'", sartor_status_name(status),
                 sartor_error(ctx), sartor_status_name(expected), words);
}

bool exists(const char *folder, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

void same_tensors(const char *a, const char *b, const char *name) {
    char path[2][256];
    snprintf(path[0], sizeof path[0], "%s/%s", a, name);
    snprintf(path[1], sizeof path[1], "%s/%s", b, name);
    sr_st_reader *r[2];
    for (int i = 0; i < 2; i++)
        if (sr_st_open(ctx, path[i], &r[i]) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    assert_int_equal(sr_st_count(r[0]), sr_st_count(r[1]));
    for (int i = 0; i < sr_st_count(r[0]); i++) {
        const sr_st_tensor *x = sr_st_at(r[0], i), *y = sr_st_at(r[1], i);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->bytes, y->bytes);
        if (memcmp(x->data, y->data, x->bytes) != 0) fail_msg("%s differs in %s", x->name, a);
    }
    sr_st_close(&r[0]);
    sr_st_close(&r[1]);
}

/* What of a metrics line does not depend on the clock. */
static void cut_times(char *line) {
    char *from = strstr(line, "\"tokens_per_second\"");
    assert_non_null(from);
    const char *rest = strstr(line, ", \"validation");
    if (rest == NULL) rest = strstr(line, ", \"grown");
    if (rest != NULL)
        memmove(from, rest, strlen(rest) + 1);
    else
        *from = '\0';
}

void same_metrics(const char *a, const char *b, int64_t steps) {
    char path[256], line[2][1024];
    snprintf(path, sizeof path, "%s/metrics.jsonl", a);
    FILE *f = fopen(path, "r"), *g = NULL;
    assert_non_null(f);
    if (b != NULL) {
        snprintf(path, sizeof path, "%s/metrics.jsonl", b);
        g = fopen(path, "r");
        assert_non_null(g);
    }
    for (int64_t step = 1; step <= steps; step++) {
        int64_t found = 0;
        assert_non_null(fgets(line[0], sizeof line[0], f));
        assert_int_equal(sscanf(line[0], "{\"step\": %" SCNd64, &found), 1);
        assert_int_equal(found, step);
        if (g == NULL) continue;
        assert_non_null(fgets(line[1], sizeof line[1], g));
        cut_times(line[0]);
        cut_times(line[1]);
        assert_string_equal(line[0], line[1]);
    }
    assert_null(fgets(line[0], sizeof line[0], f));
    fclose(f);
    if (g != NULL) fclose(g);
}

int wait_child(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void interrupt_now(void *user, const sartor_progress *p) {
    (void)p;
    sartor_interrupt(user);
}

sartor_measure run_part(const sartor_train_options *o, const sr_run_limits *limits) {
    sartor_measure m;
    if (sr_run_train(ctx, o, NULL, limits, &m) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    return m;
}
