/* Whole training runs in their folders: resuming, kills, refusals, extending, measuring,
 * generating.
 *
 * The program starts itself again as a child (`test_run child ...`) where a run is killed or its
 * memory measured. */
#define _GNU_SOURCE
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "op/op.h"
#include "run_tools.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- children ---- */

static int number(const char *text) { return (int)strtol(text, NULL, 10); }

/* child OUT STEPS CHECKPOINT_EVERY THREADS DATA VALIDATION CACHE [FILE_LIMIT] */
static int child(char **arg, int n) {
    sartor_context *c = sartor_context_create();
    snprintf(data, sizeof data, "%s", arg[4]);
    snprintf(validation, sizeof validation, "%s", arg[5]);
    snprintf(root, sizeof root, "%s", arg[6]);
    sartor_train_options o = small_run(arg[0], number(arg[1]));
    o.checkpoint_every = number(arg[2]);
    o.threads = number(arg[3]);
    if (n > 7) {
        struct rlimit limit = {(rlim_t)number(arg[7]), (rlim_t)number(arg[7])};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 99;
    }
    sartor_measure m;
    sartor_status status = sartor_train(c, &o, &m);
    if (status != SARTOR_OK) fprintf(stderr, "%s\n", sartor_error(c));
    sartor_context_destroy(&c);
    return (int)status;
}

static pid_t start_child(const char *out, int steps, int every, int threads, long file_limit) {
    char text[4][32];
    snprintf(text[0], sizeof text[0], "%d", steps);
    snprintf(text[1], sizeof text[1], "%d", every);
    snprintf(text[2], sizeof text[2], "%d", threads);
    snprintf(text[3], sizeof text[3], "%ld", file_limit);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (file_limit > 0 && freopen("/dev/null", "w", stderr) == NULL) _exit(98);
        execl("/proc/self/exe", "test_run", "child", out, text[0], text[1], text[2], data,
              validation, root, file_limit > 0 ? text[3] : (char *)NULL, (char *)NULL);
        _exit(97);
    }
    return pid;
}

/* ---- tests ---- */

static void test_learns(void **state) {
    (void)state;
    const char *out = out_folder("learns");
    sartor_train_options o = small_run(out, 120);
    sartor_measure m = run_to_end(&o);
    assert_true(m.bits_per_byte < 3.2); /* 8 before training */
    assert_int_equal(m.tokens, 120 * 4 * 32);
    assert_true(fabs(m.perplexity - exp(m.loss)) < 1e-9 * m.perplexity);
    assert_true(m.peak_anonymous_bytes > 0 && m.peak_rss_bytes >= m.peak_anonymous_bytes);
    assert_true(exists(out, "model.safetensors") && !exists(out, "checkpoint.safetensors"));
    same_metrics(out, NULL, 120);
    /* Again: the same answer, nothing changes. */
    struct stat before, after;
    char path[256];
    snprintf(path, sizeof path, "%s/model.safetensors", out);
    assert_int_equal(stat(path, &before), 0);
    sartor_measure again = run_to_end(&o);
    assert_memory_equal(&m, &again, sizeof m);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    /* Tokens instead of steps, rounded up: the same run. */
    o.steps = 0;
    o.tokens = 119 * 4 * 32 + 1;
    again = run_to_end(&o);
    assert_memory_equal(&m, &again, sizeof m);
}

static void test_eval_and_generate(void **state) {
    (void)state;
    const char *out = out_folder("learns");
    sartor_train_options t = small_run(out, 120);
    sartor_measure trained = run_to_end(&t), m;
    sartor_model *model;
    assert_int_equal(sartor_model_load(ctx, out, &model), SARTOR_OK);
    sartor_eval_options e;
    sartor_eval_defaults(&e);
    e.text = t.text;
    e.split = SARTOR_SPLIT_VALIDATION;
    e.threads = 1;
    assert_int_equal(sartor_eval(ctx, model, &e, &m), SARTOR_OK);
    assert_true(fabs(m.loss - trained.loss) < 1e-6);
    assert_true(fabs(m.bits_per_byte - trained.bits_per_byte) < 1e-6);
    e.batch = 3;
    assert_int_equal(sartor_eval(ctx, model, &e, &m), SARTOR_OK);
    assert_true(fabs(m.loss - trained.loss) < 1e-5);
    e.context = 64; /* longer than in training */
    assert_int_equal(sartor_eval(ctx, model, &e, &m), SARTOR_OK);
    assert_true(fabs(m.loss - trained.loss) < 1);
    e.context = 0;
    e.precision = SARTOR_BF16;
    assert_int_equal(sartor_eval(ctx, model, &e, &m), SARTOR_OK);
    assert_true(fabs(m.loss - trained.loss) < 0.02);
    int64_t tokens = m.tokens;
    e.split = SARTOR_SPLIT_ALL;
    assert_int_equal(sartor_eval(ctx, model, &e, &m), SARTOR_OK);
    assert_true(m.tokens > tokens);

    sartor_generate_options g;
    sartor_generate_defaults(&g);
    g.prompt = "the tailor";
    g.tokens = 60; /* beyond the context of 32 */
    g.threads = 1;
    sartor_generation a, b;
    assert_int_equal(sartor_generate(ctx, model, &g, &a), SARTOR_OK);
    assert_true(a.tokens >= 1 && a.tokens <= 60);
    assert_int_equal(a.text_bytes, (size_t)a.tokens); /* bytes */
    assert_int_equal(sartor_generate(ctx, model, &g, &b), SARTOR_OK);
    assert_string_equal(a.text, b.text);
    sartor_generation_release(&b);
    g.seed = 1;
    assert_int_equal(sartor_generate(ctx, model, &g, &b), SARTOR_OK);
    assert_string_not_equal(a.text, b.text);
    sartor_generation_release(&a);
    sartor_generation_release(&b);
    g.temperature = 0;
    assert_int_equal(sartor_generate(ctx, model, &g, &a), SARTOR_OK);
    g.temperature = 2;
    g.top_k = 1;
    g.cache = SARTOR_CACHE_F16;
    assert_int_equal(sartor_generate(ctx, model, &g, &b), SARTOR_OK);
    assert_string_equal(a.text, b.text);
    sartor_generation_release(&a);
    sartor_generation_release(&b);
    g.top_p = 0;
    assert_int_equal(sartor_generate(ctx, model, &g, &a), SARTOR_INVALID);
    sartor_model_destroy(&model);
    assert_int_equal(sartor_model_load(ctx, root, &model), SARTOR_IO);
    assert_int_equal(sartor_model_load(ctx, data, &model), SARTOR_FORMAT);
    assert_null(model);
}

typedef struct interruption {
    sartor_context *ctx;
    int64_t step; /* the last one interrupted */
} interruption;

/* Once a step: the final validation also reports, as often as it takes tenths of a second. */
static void interrupt_once(void *user, const sartor_progress *p) {
    interruption *i = user;
    if (p->step > i->step) sartor_interrupt(i->ctx);
    i->step = p->step;
}

/* Interrupted after the first step of every part: as many parts as steps. */
static void test_interrupt(void **state) {
    (void)state;
    const char *whole = out_folder("whole"), *parts = out_folder("parts");
    sartor_train_options o = small_run(whole, 23);
    run_to_end(&o);
    o = small_run(parts, 23);
    sartor_status status = SARTOR_INTERRUPTED;
    sartor_measure m = {0};
    int n = 0;
    interruption last = {NULL, 0};
    for (; status == SARTOR_INTERRUPTED; n++) {
        assert_true(n < 50);
        sartor_context *c = last.ctx = sartor_context_create();
        o.progress = interrupt_once;
        o.progress_user = &last;
        status = sartor_train(c, &o, &m);
        if (status != SARTOR_OK && status != SARTOR_INTERRUPTED) fail_msg("%s", sartor_error(c));
        sartor_context_destroy(&c);
    }
    assert_int_equal(n, 24); /* the last part found only the final validation to do */
    assert_int_equal(m.tokens, 23 * 4 * 32);
    same_tensors(whole, parts, "model.safetensors");
    same_tensors(whole, parts, "state.safetensors");
    same_metrics(whole, parts, 23);
}

/* A run that stops twice on the way, each time with a model, ends as if it had not. */
static void test_pause(void **state) {
    (void)state;
    const char *whole = out_folder("unpaused"), *parts = out_folder("paused");
    sartor_train_options o = small_run(whole, 23);
    const sartor_measure end = run_to_end(&o);
    o.out = parts;
    double bits[2];
    for (int64_t i = 0; i < 4; i++) { /* every pause twice: the second time nothing is trained */
        const sr_run_limits limits = {.pause = i < 2 ? 9 : 16};
        const sartor_measure m = run_part(&o, &limits);
        assert_int_equal(m.tokens, limits.pause * 4 * 32);
        if (i % 2 == 1) assert_true(m.bits_per_byte == bits[i / 2]);
        bits[i / 2] = m.bits_per_byte;
        assert_true(exists(parts, "checkpoint.safetensors"));
        assert_false(exists(parts, "state.safetensors"));
        char path[256];
        snprintf(path, sizeof path, "%s/model.safetensors", parts);
        sartor_model *model;
        assert_int_equal(sartor_model_load(ctx, path, &model), SARTOR_OK);
        sartor_model_destroy(&model);
    }
    assert_true(bits[1] < bits[0]);
    const sartor_measure m = run_part(&o, &(sr_run_limits){.pause = 23});
    assert_true(m.bits_per_byte == end.bits_per_byte);
    same_tensors(whole, parts, "model.safetensors");
    same_tensors(whole, parts, "state.safetensors");
    same_metrics(whole, parts, 23);
    assert_false(exists(parts, "checkpoint.safetensors"));
}

/* Weights from elsewhere: asked for once, when the run begins. */
static sartor_status other_weights(sartor_context *c, void *user, sr_model *model, uint64_t seed) {
    (void)c;
    int *calls = user;
    ++*calls;
    sr_model_init(model, seed + 1);
    return SARTOR_OK;
}

static void test_begin(void **state) {
    (void)state;
    const char *given = out_folder("given"), *seeded = out_folder("seeded");
    int calls = 0;
    sartor_train_options o = small_run(given, 6);
    sr_run_limits limits = {.pause = 3, .begin = other_weights, .begin_user = &calls};
    o.learning_rate = 0;
    run_part(&o, &limits);
    limits.pause = 0;
    run_part(&o, &limits);
    assert_int_equal(calls, 1);
    o = small_run(seeded, 6);
    o.learning_rate = 0;
    o.seed++;
    run_to_end(&o);
    same_tensors(given, seeded, "model.safetensors");
}

static void test_kill(void **state) {
    (void)state;
    enum { STEPS = 150, KILLS = 7 };
    const char *whole = out_folder("unkilled"), *killed = out_folder("killed");
    double start = sr_seconds();
    assert_int_equal(wait_child(start_child(whole, STEPS, 10, 2, 0)), 0);
    double all = sr_seconds() - start;
    sr_rng rng = {(uint64_t)getpid(), SR_FOR_TEST, 1};
    for (uint64_t i = 0; i < KILLS; i++) {
        pid_t pid = start_child(killed, STEPS, 10, 2, 0);
        usleep((useconds_t)(1e6 * all * 0.6 * sr_rng_uniform(rng, i)));
        kill(pid, SIGKILL);
        int code = wait_child(pid);
        assert_true(code == -SIGKILL || code == 0);
    }
    /* What a kill in the middle of a write leaves behind. */
    if (!exists(killed, "model.safetensors")) {
        char path[256];
        snprintf(path, sizeof path, "%s/metrics.jsonl", killed);
        FILE *f = fopen(path, "a");
        if (f != NULL) {
            fputs("{\"step\": 9", f);
            fclose(f);
        }
    }
    assert_int_equal(wait_child(start_child(killed, STEPS, 10, 2, 0)), 0);
    same_tensors(whole, killed, "model.safetensors");
    same_tensors(whole, killed, "state.safetensors");
    same_metrics(whole, killed, STEPS);
    assert_false(exists(killed, "checkpoint.safetensors"));
    /* Another cadence of checkpoints does not show. */
    const char *other = out_folder("cadence");
    assert_int_equal(wait_child(start_child(other, STEPS, 0, 2, 0)), 0);
    same_tensors(whole, other, "state.safetensors");
}

static void test_mismatch(void **state) {
    (void)state;
    const char *out = out_folder("mismatch"), *whole = out_folder("mismatch-whole");
    sartor_train_options good = small_run(out, 12), o = good;
    sartor_context *c = sartor_context_create();
    sartor_measure m;
    o.progress = interrupt_now;
    o.progress_user = c;
    assert_int_equal(sartor_train(c, &o, &m), SARTOR_INTERRUPTED);
    sartor_context_destroy(&c);
    assert_int_equal(setenv("SARTOR_ISA", "base", 1), 0); /* read once, so by a child only */
    int other = wait_child(start_child(out, 12, 0, 1, 8192));
    unsetenv("SARTOR_ISA");
    if (sr_isa_active() != SR_ISA_BASE) assert_int_equal(other, SARTOR_MISMATCH);
    for (int done = 0; done < 2; done++) { /* while it runs, and when it is done */
        o = good, o.batch = 5;
        refused(&o, SARTOR_MISMATCH, "batch 4, asked for is 5");
        o = good, o.seed = 8;
        refused(&o, SARTOR_MISMATCH, "seed 7, asked for is 8");
        o = good, o.learning_rate = 0.004, o.min_learning_rate = 0.0005;
        refused(&o, SARTOR_MISMATCH, "learning rate 0.005, asked for is 0.004");
        o = good, o.arch = "SA-1 GMemless SA-1 GMemless";
        refused(&o, SARTOR_MISMATCH, "architecture");
        o = good, o.sizes.tie_embeddings = true;
        refused(&o, SARTOR_MISMATCH, "tied embeddings no, asked for is yes");
        o = good, o.threads = 2;
        refused(&o, SARTOR_MISMATCH, "threads 1, asked for is 2");
        o = good, o.precision = SARTOR_BF16;
        refused(&o, SARTOR_MISMATCH, "precision f32, asked for is bf16");
        o = good, o.steps = 13;
        refused(&o, SARTOR_MISMATCH, "steps 12, asked for is 13");
        o = good, o.text.validation = NULL;
        refused(&o, SARTOR_MISMATCH, "data");
        FILE *f = fopen(data, "a");
        assert_non_null(f);
        fputs("one more line\n", f);
        fclose(f);
        refused(&good, SARTOR_MISMATCH, "training data");
        write_text(data, 1, 900);
        run_to_end(&good);
    }
    o = small_run(whole, 12);
    run_to_end(&o);
    same_tensors(whole, out, "state.safetensors");
    same_metrics(whole, out, 12);
}

/* Two runs in one folder would write over each other. */
static void test_locked(void **state) {
    (void)state;
    const char *out = out_folder("locked");
    assert_int_equal(mkdir(out, 0777), 0);
    int fd = open(out, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    sartor_train_options o = small_run(out, 3);
    refused(&o, SARTOR_IO, "another process");
    assert_false(exists(out, "checkpoint.safetensors"));
    close(fd);
    /* What a killed process left is removed. */
    char path[256];
    snprintf(path, sizeof path, "%s/checkpoint.safetensors.tmp.abc123", out);
    write_text(path, 3, 1);
    run_to_end(&o);
    assert_false(exists(out, "checkpoint.safetensors.tmp.abc123"));
}

static void test_bad_input(void **state) {
    (void)state;
    const char *out = out_folder("bad");
    sartor_train_options good = small_run(out, 12), o = good;
    o.arch = "SA-9";
    refused(&o, SARTOR_INVALID, "SA-9");
    o = good, o.sizes.head_dim = 7;
    refused(&o, SARTOR_INVALID, "head dim");
    o = good, o.sizes.context = 0;
    refused(&o, SARTOR_INVALID, "context");
    o = good, o.batch = 0;
    refused(&o, SARTOR_INVALID, "batch");
    o = good, o.threads = 257;
    refused(&o, SARTOR_INVALID, "threads");
    o = good, o.learning_rate = NAN;
    refused(&o, SARTOR_INVALID, "learning rate");
    o = good, o.min_learning_rate = 1;
    refused(&o, SARTOR_INVALID, "above");
    o = good, o.steps = -1;
    refused(&o, SARTOR_INVALID, "steps");
    o = good, o.tokens = 5;
    refused(&o, SARTOR_INVALID, "not both");
    o = good, o.warmup = 13;
    refused(&o, SARTOR_INVALID, "warmup");
    o = good, o.text.n_paths = 0;
    refused(&o, SARTOR_INVALID, "no data");
    const char *missing[1] = {"/nonexistent/text"};
    o = good, o.text.paths = missing;
    refused(&o, SARTOR_IO, "/nonexistent/text");
    o = good, o.batch = 2000;
    refused(&o, SARTOR_INVALID, "shorter than one batch");
    o = good, o.sizes.width = 65536, o.sizes.livs = 1000, o.sizes.head_dim = 64;
    refused(&o, SARTOR_MEMORY, "memory");
    o = good, o.tokenizer = data;
    refused(&o, SARTOR_FORMAT, "train.txt");
    assert_int_not_equal(access(out, F_OK), 0); /* nothing was written */
    char inside_file[160];
    snprintf(inside_file, sizeof inside_file, "%s/run", data);
    o = good, o.out = inside_file;
    refused(&o, SARTOR_IO, "train.txt");
}

/* A disk that fills up: an error, and what was there stays. */
static void test_full_disk(void **state) {
    (void)state;
    const char *out = out_folder("full"), *whole = out_folder("full-whole");
    sartor_context *c = sartor_context_create();
    sartor_train_options o = small_run(out, 20);
    o.progress = interrupt_now;
    o.progress_user = c;
    sartor_measure m;
    assert_int_equal(sartor_train(c, &o, &m), SARTOR_INTERRUPTED);
    sartor_context_destroy(&c);
    assert_int_equal(wait_child(start_child(out, 20, 5, 1, 8192)), SARTOR_IO);
    assert_true(exists(out, "checkpoint.safetensors"));
    o = small_run(out, 20);
    run_to_end(&o);
    o.out = whole;
    run_to_end(&o);
    same_tensors(whole, out, "state.safetensors");
    same_metrics(whole, out, 20);
    const char *fresh = out_folder("full-fresh");
    assert_int_equal(wait_child(start_child(fresh, 20, 5, 1, 8192)), SARTOR_IO);
    assert_false(exists(fresh, "checkpoint.safetensors"));
    assert_false(exists(fresh, "model.safetensors"));
}

static void test_not_finite(void **state) {
    (void)state;
    const char *out = out_folder("diverges");
    sartor_train_options o = small_run(out, 50);
    o.learning_rate = 1e30;
    o.min_learning_rate = 1e30;
    o.checkpoint_every = 1;
    o.warmup = 0;
    o.clip = 0;
    for (int i = 0; i < 2; i++) {
        refused(&o, SARTOR_NOT_FINITE, "not finite");
        assert_non_null(strstr(sartor_error(ctx), "step"));
        assert_true(exists(out, "checkpoint.safetensors"));
        assert_false(exists(out, "model.safetensors"));
        /* What was kept is good: it gives a finite loss. */
        char path[256];
        snprintf(path, sizeof path, "%s/checkpoint.safetensors", out);
        sartor_model *model;
        sartor_measure m;
        sartor_eval_options e;
        sartor_eval_defaults(&e);
        e.text = o.text;
        e.split = SARTOR_SPLIT_VALIDATION;
        e.threads = 1;
        assert_int_equal(sartor_model_load(ctx, path, &model), SARTOR_OK);
        assert_int_equal(sartor_eval(ctx, model, &e, &m), SARTOR_OK);
        assert_true(isfinite(m.loss));
        sartor_model_destroy(&model);
    }
}

static void test_extend(void **state) {
    (void)state;
    const char *once = out_folder("extended-once"), *twice = out_folder("extended");
    sartor_train_options o = small_run(twice, 20);
    run_to_end(&o);
    o.extend = 15;
    sartor_measure m = run_to_end(&o), again = run_to_end(&o);
    assert_int_equal(m.tokens, 35 * 4 * 32);
    assert_memory_equal(&m, &again, sizeof m); /* the same command adds nothing */
    o.extend = 0;
    again = run_to_end(&o); /* nor does the first one */
    assert_memory_equal(&m, &again, sizeof m);
    o.extend = 10;
    refused(&o, SARTOR_MISMATCH, "goes to step 35");
    sartor_train_options p = small_run(once, 20);
    p.extend = 15;
    run_to_end(&p);
    same_tensors(once, twice, "state.safetensors");
    same_metrics(once, twice, 35);
    o.extend = 18;
    m = run_to_end(&o);
    assert_int_equal(m.tokens, 38 * 4 * 32);
    same_metrics(twice, NULL, 38);
    char path[256];
    snprintf(path, sizeof path, "%s/state.safetensors", twice);
    assert_int_equal(unlink(path), 0);
    again = run_to_end(&o);
    assert_memory_equal(&m, &again, sizeof m);
    o.extend = 19;
    refused(&o, SARTOR_MISMATCH, "state.safetensors");
}

/* memory ARCH BATCH CONTEXT PRECISION DATA VALIDATION CACHE OUT: 0 when it is as predicted. */
static int memory_child(char **arg) {
    snprintf(data, sizeof data, "%s", arg[4]);
    snprintf(validation, sizeof validation, "%s", arg[5]);
    snprintf(root, sizeof root, "%s", arg[6]);
    sartor_train_options o = small_run(arg[7], 2);
    o.arch = arg[0];
    o.sizes.width = 128;
    o.sizes.head_dim = 32;
    o.batch = number(arg[1]);
    o.sizes.context = number(arg[2]);
    o.precision = strcmp(arg[3], "bf16") == 0 ? SARTOR_BF16 : SARTOR_F32;
    sartor_context *c = sartor_context_create();
    sartor_measure m;
    sartor_report report;
    bool good = sartor_train(c, &o, &m) == SARTOR_OK &&
                sartor_inspect(c, o.arch, &o.sizes, o.batch, o.precision, 1, &report) == SARTOR_OK;
    if (!good) {
        fprintf(stderr, "%s\n", sartor_error(c));
        return 1;
    }
    double predicted = (double)report.train_memory_bytes, measured = (double)m.peak_anonymous_bytes;
    const double mib = 1 << 20;
    if (getenv("SARTOR_TEST_VERBOSE") != NULL)
        fprintf(stderr, "%s x %s %s: predicted %.1f MiB, measured %.1f\n", arg[0], arg[1], arg[3],
                predicted / mib, measured / mib);
    sartor_report_release(&report);
    sartor_context_destroy(&c);
    return predicted > 60 * mib && fabs(measured - predicted) <= 0.1 * predicted + 32 * mib ? 0 : 2;
}

static void test_memory(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* its own memory is in the way */
#endif
    static const char *const shape[][4] = {
        {"(SA-1 GMemless)x2", "32", "256", "f32"},
        {"Rec-1 GMemless GConv-2 GMemless", "16", "512", "bf16"}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        char out[96];
        snprintf(out, sizeof out, "%s/memory%zu", root, i);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            execl("/proc/self/exe", "test_run", "memory", shape[i][0], shape[i][1], shape[i][2],
                  shape[i][3], data, validation, root, out, (char *)NULL);
            _exit(97);
        }
        assert_int_equal(wait_child(pid), 0);
    }
}

int main(int argc, char **argv) {
    if (argc >= 9 && strcmp(argv[1], "child") == 0) return child(argv + 2, argc - 2);
    if (argc == 10 && strcmp(argv[1], "memory") == 0) return memory_child(argv + 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),     cmocka_unit_test(test_eval_and_generate),
        cmocka_unit_test(test_interrupt),  cmocka_unit_test(test_pause),
        cmocka_unit_test(test_begin),      cmocka_unit_test(test_kill),
        cmocka_unit_test(test_mismatch),   cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_locked),     cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_extend),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
