/* MAD runs: the measures against brute force, batches, protocols, interruptions and kills.
 *
 * The program starts itself again as a child (`test_mad_run child ...`) where a run is killed. */
#define _GNU_SOURCE
#include "model_run.h"

#include "base/rng.h"
#include "probe/mad_batches.h"
#include "probe/mad_mean.h"
#include "probe/mad_run.h"
#include "probe/mad_suite.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static sartor_context *ctx;
static char root[64];
static const char arch[] = "SA-1 GMemless";

static int setup(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/sartor-mad-XXXXXX");
    ctx = sartor_context_create();
    return ctx != NULL && mkdtemp(root) != NULL ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    char command[96];
    sartor_context_destroy(&ctx);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void close_to(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance * (1 + fabs(b)))) fail_msg("%.12g is not %.12g", a, b);
}

static sr_mad_setting setting_of(const char *text) {
    sr_mad_setting s;
    if (sr_mad_setting_parse(ctx, text, &s) != SARTOR_OK)
        fail_msg("%s: %s", text, sartor_error(ctx));
    return s;
}

static sr_mad_data data_of(const sr_mad_setting *setting) {
    sr_mad_data data;
    if (sr_mad_generate(ctx, setting, true, &data) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    return data;
}

/* ---- measures ---- */

/* Class by class, as the definition reads. */
static double macro(const int32_t *targets, const int32_t *predictions, int n, int vocab) {
    double sum = 0;
    int classes = 0;
    for (int c = 0; c < vocab; c++) {
        int wanted = 0, hits = 0, predicted = 0;
        for (int i = 0; i < n; i++) {
            wanted += targets[i] == c;
            predicted += predictions[i] == c;
            hits += targets[i] == c && predictions[i] == c;
        }
        if (wanted == 0 && predicted == 0) continue;
        classes++;
        sum += wanted > 0 ? (double)hits / wanted : 0;
    }
    return sum / classes;
}

static void test_tally(void **state) {
    (void)state;
    enum { VOCAB = 13, MOST = 60 };
    sr_mad_tally t;
    assert_int_equal(sr_mad_tally_init(ctx, VOCAB, &t), SARTOR_OK);
    for (uint64_t trial = 0; trial < 200; trial++) {
        const sr_rng rng = {trial, SR_FOR_TEST, 0};
        const int n = 1 + (int)sr_rng_below(rng, 0, MOST);
        int32_t targets[MOST], predictions[MOST];
        double nats = 0, hits = 0;
        sr_mad_tally_clear(&t);
        for (int i = 0; i < n; i++) { /* targets rarer than predictions: some classes have none */
            targets[i] = (int32_t)sr_rng_below(rng, (uint64_t)(3 * i + 1), 1 + trial % VOCAB);
            predictions[i] = sr_rng_uniform(rng, (uint64_t)(3 * i + 2)) < 0.5
                                 ? targets[i]
                                 : (int32_t)sr_rng_below(rng, (uint64_t)(3 * i + 3), VOCAB);
            const double x = sr_rng_uniform(rng, (uint64_t)(1000 + i));
            nats += x;
            hits += targets[i] == predictions[i];
            sr_mad_tally_add(&t, targets[i], predictions[i], x);
        }
        const sr_mad_score s = sr_mad_tally_score(&t);
        close_to(s.accuracy, hits / n, 1e-12);
        close_to(s.accuracy_macro, macro(targets, predictions, n, VOCAB), 1e-12);
        close_to(s.perplexity, exp(nats / n), 1e-12);
    }
    sr_mad_tally_free(&t);
}

static const sr_sizes tiny = {.width = 16, .head_dim = 8, .window = 4};

/* Per batch from the model's logits: what sr_mad_eval_run() must give, in batches of 5 with 13
 * examples, 2 at a time and by any other cut. */
static void test_eval(void **state) {
    (void)state;
    enum { ROWS = 13, BATCH = 5 };
    sr_mad_setting setting = setting_of("recall:length=16,vocab=8,test=13,train=4");
    sr_mad_data data = data_of(&setting);
    const sr_mad_set *set = &data.part[SR_MAD_TEST];
    const sr_sizes sizes = sr_mad_sizes(&tiny, &setting);
    sr_model *m = model_make(ctx, arch, &sizes, 3);
    for (int64_t i = 0; i < m->schema.elements; i++) m->params[i] *= 20; /* not flat */
    model_run run =
        model_run_make(ctx, m, SR_TRUTH_F64, SR_GRAPH_LOGITS, ROWS, set->length, false, 1);
    model_run_go(&run, set->inputs, NULL);
    const sr_view logits = sr_graph_view(run.graph.graph, run.graph.out);
    sr_mad_score by_batch = {0, 0, 0};
    double all_nats = 0;
    int all_scored = 0;
    for (int64_t first = 0; first < ROWS; first += BATCH) {
        const int64_t rows = ROWS - first < BATCH ? ROWS - first : BATCH;
        int32_t targets[BATCH * 16], predictions[BATCH * 16];
        double nats = 0, hits = 0;
        int n = 0;
        for (int64_t i = first * set->length; i < (first + rows) * set->length; i++) {
            if (set->targets[i] < 0) continue;
            const double *p = (const double *)logits.data + i * logits.stride;
            double sum = 0;
            int best = 0;
            for (int v = 0; v < sizes.vocab; v++) {
                sum += exp(p[v]);
                best = p[v] > p[best] ? v : best;
            }
            nats += log(sum) - p[set->targets[i]];
            targets[n] = set->targets[i];
            predictions[n] = best;
            hits += targets[n] == best;
            n++;
        }
        by_batch.accuracy += hits / n * (double)rows / ROWS;
        by_batch.accuracy_macro +=
            macro(targets, predictions, n, (int)sizes.vocab) * (double)rows / ROWS;
        by_batch.perplexity += exp(nats / n) * (double)rows / ROWS;
        all_nats += nats;
        all_scored += n;
    }
    for (int64_t rows = 1; rows <= BATCH; rows += BATCH - 1) {
        sr_mad_eval e;
        sr_mad_scores s;
        assert_int_equal(sr_mad_eval_create(ctx, m, rows, BATCH, set->length, SR_FAST_F32, 1, &e),
                         SARTOR_OK);
        void *arena = aligned_alloc(64, ((size_t)e.arena_bytes + 127) / 64 * 64);
        sr_mad_eval_bind(&e, arena, NULL);
        assert_int_equal(sr_mad_eval_run(ctx, &e, set, &s), SARTOR_OK);
        close_to(s.by_batch.accuracy, by_batch.accuracy, 1e-9);
        close_to(s.by_batch.accuracy_macro, by_batch.accuracy_macro, 1e-9);
        close_to(s.by_batch.perplexity, by_batch.perplexity, 1e-4);
        close_to(s.whole.perplexity, exp(all_nats / all_scored), 1e-4);
        assert_true(fabs(s.whole.perplexity - s.by_batch.perplexity) > 1e-3); /* tells them apart */
        sr_mad_eval_destroy(&e);
        free(arena);
    }
    model_run_free(&run);
    sr_model_destroy(&m);
    sr_mad_data_free(&data);
}

/* Initial weights are so small that no token is preferred: perplexity is the vocabulary, accuracy
 * no better than a guess among the classes. */
static void test_chance(void **state) {
    (void)state;
    for (int task = 0; task < SR_MAD_TASKS; task++) {
        sr_mad_setting setting = sr_mad_baseline((sr_mad_task_id)task);
        setting.train = 1;
        setting.test = 64;
        sr_mad_data data = data_of(&setting);
        const sr_sizes sizes = sr_mad_sizes(&tiny, &setting);
        sr_model *m = model_make(ctx, arch, &sizes, 4);
        sr_mad_eval e;
        sr_mad_scores s;
        assert_int_equal(sr_mad_eval_create(ctx, m, 16, 64, sizes.context, SR_FAST_F32, 1, &e),
                         SARTOR_OK);
        void *arena = aligned_alloc(64, ((size_t)e.arena_bytes + 127) / 64 * 64);
        sr_mad_eval_bind(&e, arena, NULL);
        assert_int_equal(sr_mad_eval_run(ctx, &e, &data.part[SR_MAD_TEST], &s), SARTOR_OK);
        const double chance = sr_mad_chance(&setting);
        if (!(s.whole.perplexity > 0.95 * (double)setting.vocab &&
              s.whole.perplexity < 1.1 * (double)setting.vocab))
            fail_msg("%s: perplexity %g of %d tokens", sr_mad_task_name(setting.task),
                     s.whole.perplexity, (int)setting.vocab);
        if (!(s.whole.accuracy < 2 * chance + 0.02))
            fail_msg("%s: accuracy %g, chance is %g", sr_mad_task_name(setting.task),
                     s.whole.accuracy, chance);
        sr_mad_eval_destroy(&e);
        free(arena);
        sr_model_destroy(&m);
        sr_mad_data_free(&data);
    }
}

/* ---- batches ---- */

static void test_batches(void **state) {
    (void)state;
    enum { EXAMPLES = 13, LENGTH = 3, BATCH = 6, ROWS = 2 };
    int32_t inputs[EXAMPLES * LENGTH], targets[EXAMPLES * LENGTH];
    for (int i = 0; i < EXAMPLES * LENGTH; i++) {
        inputs[i] = i / LENGTH + 1;
        targets[i] = i % LENGTH == 0 ? SR_MAD_IGNORE : i;
    }
    const sr_mad_set set = {EXAMPLES, LENGTH, inputs, targets};
    sr_mad_batches b, again;
    assert_int_equal(sr_mad_batches_init(ctx, &set, 9, BATCH, ROWS, &b), SARTOR_OK);
    assert_int_equal(sr_mad_batches_init(ctx, &set, 9, BATCH, ROWS, &again), SARTOR_OK);
    assert_int_equal(sr_mad_steps_per_epoch(&b), 3);
    const sr_task task = sr_mad_task(&b), other = sr_mad_task(&again);
    int differ = 0, first_order[EXAMPLES];
    for (int epoch = 0; epoch < 4; epoch++) {
        int seen[EXAMPLES + 1] = {0}, order[EXAMPLES], n = 0;
        for (int step = 3 * epoch; step < 3 * epoch + 3; step++) {
            const int examples = step % 3 < 2 ? BATCH : 1;
            assert_int_equal(task.scored(task.user, step), 2 * examples);
            assert_int_equal(task.micros(task.user, step), (examples + ROWS - 1) / ROWS);
            for (int micro = 0; micro < BATCH / ROWS; micro++) {
                int32_t ids[ROWS * LENGTH], t[ROWS * LENGTH], ids2[ROWS * LENGTH],
                    t2[ROWS * LENGTH];
                (void)task.fill(task.user, step, micro, ids, t);
                /* a pure function: asked out of order it gives the same */
                (void)other.fill(other.user, (step + 5) % 12, 0, ids2, t2);
                (void)other.fill(other.user, step, micro, ids2, t2);
                assert_memory_equal(ids, ids2, sizeof ids);
                assert_memory_equal(t, t2, sizeof t);
                for (int row = 0; row < ROWS; row++) {
                    const int example = ids[row * LENGTH];
                    if (micro * ROWS + row >= examples) {
                        for (int i = 0; i < LENGTH; i++) assert_true(t[row * LENGTH + i] < 0);
                        continue;
                    }
                    seen[example]++;
                    order[n++] = example;
                    assert_int_equal(t[row * LENGTH + 1], (example - 1) * LENGTH + 1);
                }
            }
        }
        assert_int_equal(n, EXAMPLES);
        for (int i = 1; i <= EXAMPLES; i++) assert_int_equal(seen[i], 1);
        if (epoch == 0)
            memcpy(first_order, order, sizeof order);
        else
            differ += memcmp(first_order, order, sizeof order) != 0;
    }
    assert_int_equal(differ, 3);
    sr_mad_batches_free(&b);
    sr_mad_batches_free(&again);
}

/* ---- runs ---- */

typedef struct hook {
    int64_t first, kill, interrupt; /* steps; first: seen first; others -1: never */
} hook;

static void before_step(void *user, int64_t step, int64_t steps, double loss) {
    hook *h = user;
    (void)steps;
    (void)loss;
    if (h->first < 0) h->first = step;
    if (step == h->kill) (void)kill(getpid(), SIGKILL);
    if (step == h->interrupt) sartor_interrupt(ctx);
}

static const char small_task[] = "memorization:vocab=10,length=8,train=50,test=30";
enum { SMALL_EPOCHS = 5, SMALL_STEPS = 20 }; /* batches of 16: 4 steps an epoch */

static sartor_status small_run(sr_mad_protocol protocol, double rate, const char *folder, hook *h,
                               sr_mad_result *result) {
    sr_mad_setting setting = setting_of(small_task);
    sr_mad_data data = data_of(&setting);
    sr_genome *genome = malloc(sizeof *genome);
    assert_int_equal(sr_arch_parse(ctx, arch, 0, genome), SARTOR_OK);
    const sr_mad_run_options o = {.protocol = protocol,
                                  .rate = rate,
                                  .weight_decay = 0.1,
                                  .batch = 16,
                                  .epochs = SMALL_EPOCHS,
                                  .numbers = SR_FAST_F32,
                                  .threads = 1,
                                  .seed = 7,
                                  .folder = folder,
                                  .checkpoint_seconds = 1e-9,
                                  .before_step = before_step,
                                  .user = h};
    sartor_status status = sr_mad_run(ctx, genome, &tiny, &setting, &data, &o, result);
    free(genome);
    sr_mad_data_free(&data);
    return status;
}

static void assert_same(const sr_mad_result *a, const sr_mad_result *b) {
    assert_true(a->accuracy == b->accuracy && a->accuracy_macro == b->accuracy_macro &&
                a->perplexity == b->perplexity && a->selection == b->selection);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->steps, b->steps);
}

/* A context stays interrupted. */
static void renew(void) {
    sartor_context_destroy(&ctx);
    ctx = sartor_context_create();
    assert_non_null(ctx);
}

/* Step `step` of a run in `folder`, in a process of its own, which dies there. */
static void killed_at(sr_mad_protocol protocol, const char *folder, int step) {
    char self[4096], number[2][16];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    snprintf(number[0], sizeof number[0], "%d", (int)protocol);
    snprintf(number[1], sizeof number[1], "%d", step);
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, "child", folder, number[0], number[1], (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_true(waitpid(pid, &status, 0) == pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_same_bits_after_anything(void **state) {
    (void)state;
    for (int p = SR_MAD_FAITHFUL; p <= SR_MAD_PAPER; p++) {
        char folder[96];
        hook h = {-1, -1, -1};
        sr_mad_result whole, result;
        snprintf(folder, sizeof folder, "%s/run-%d", root, p);
        assert_int_equal(small_run((sr_mad_protocol)p, 3e-3, NULL, &h, &whole), SARTOR_OK);
        assert_int_equal(h.first, 0);
        assert_int_equal(whole.steps, SMALL_STEPS);
        assert_true(isfinite(whole.perplexity) && whole.epoch >= 1);
        /* interrupted in the middle of an epoch, killed twice, interrupted while scoring */
        h = (hook){-1, -1, 6};
        assert_int_equal(small_run((sr_mad_protocol)p, 3e-3, folder, &h, &result),
                         SARTOR_INTERRUPTED);
        assert_non_null(strstr(sartor_error(ctx), "interrupted after step 7 of 20"));
        renew();
        killed_at((sr_mad_protocol)p, folder, 9);
        killed_at((sr_mad_protocol)p, folder, 15);
        h = (hook){-1, -1, 15};
        assert_int_equal(small_run((sr_mad_protocol)p, 3e-3, folder, &h, &result),
                         SARTOR_INTERRUPTED);
        assert_true(h.first >= 7);
        renew();
        h = (hook){-1, -1, -1};
        assert_int_equal(small_run((sr_mad_protocol)p, 3e-3, folder, &h, &result), SARTOR_OK);
        assert_true(h.first >= 7 && h.first <= 15); /* not from the start */
        assert_same(&result, &whole);
        /* another rate is another run */
        assert_int_equal(small_run((sr_mad_protocol)p, 1e-3, folder, &h, &result), SARTOR_MISMATCH);
    }
}

/* Protocols differ in what they report, and a run that diverges says so. */
static void test_protocols(void **state) {
    (void)state;
    hook h = {-1, -1, -1};
    sr_mad_result faithful, paper, result;
    assert_int_equal(small_run(SR_MAD_FAITHFUL, 3e-3, NULL, &h, &faithful), SARTOR_OK);
    assert_int_equal(small_run(SR_MAD_PAPER, 3e-3, NULL, &h, &paper), SARTOR_OK);
    assert_true(faithful.selection == faithful.accuracy_macro);
    assert_true(faithful.perplexity != paper.perplexity);
    assert_true(sr_mad_result_score(&faithful, SR_MAD_FAITHFUL) == faithful.accuracy_macro);
    assert_true(sr_mad_result_score(&paper, SR_MAD_PAPER) == paper.accuracy);
    assert_int_equal(small_run(SR_MAD_FAITHFUL, 1e30, NULL, &h, &result), SARTOR_NOT_FINITE);
    assert_int_equal(small_run(SR_MAD_FAITHFUL, 0, NULL, &h, &result), SARTOR_INVALID);

    sr_mad_setting setting = setting_of(small_task);
    sr_mad_data data;
    sr_genome *genome = malloc(sizeof *genome);
    assert_int_equal(sr_arch_parse(ctx, arch, 0, genome), SARTOR_OK);
    assert_int_equal(sr_mad_generate(ctx, &setting, false, &data), SARTOR_OK);
    const sr_mad_run_options o = {.protocol = SR_MAD_PAPER,
                                  .rate = 1e-3,
                                  .batch = 16,
                                  .epochs = 1,
                                  .numbers = SR_FAST_F32,
                                  .threads = 1};
    assert_int_equal(sr_mad_run(ctx, genome, &tiny, &setting, &data, &o, &result), SARTOR_INVALID);
    assert_non_null(strstr(sartor_error(ctx), "no validation examples"));
    free(genome);
    sr_mad_data_free(&data);
}

/* A table of 4 keys is learned in a few epochs; the run then stops by itself. */
static void test_stops_when_learned(void **state) {
    (void)state;
    for (int p = SR_MAD_FAITHFUL; p <= SR_MAD_PAPER; p++) {
        sr_mad_setting setting = setting_of("memorization:vocab=9,length=8,train=256,test=64");
        sr_mad_data data = data_of(&setting);
        sr_genome *genome = malloc(sizeof *genome);
        assert_int_equal(sr_arch_parse(ctx, arch, 0, genome), SARTOR_OK);
        const sr_mad_run_options o = {.protocol = (sr_mad_protocol)p,
                                      .rate = 1e-2,
                                      .batch = 32,
                                      .epochs = 100,
                                      .numbers = SR_FAST_F32,
                                      .threads = 1};
        sr_mad_result r;
        assert_int_equal(sr_mad_run(ctx, genome, &tiny, &setting, &data, &o, &r), SARTOR_OK);
        assert_true(r.selection > SR_MAD_ENOUGH && r.accuracy > 0.99);
        assert_true(r.epochs < 100 && r.epoch <= r.epochs && r.steps == 8 * r.epochs);
        free(genome);
        sr_mad_data_free(&data);
    }
}

/* ---- suites ---- */

static void refused(const sartor_mad_options *o, const char *message) {
    sr_mad_suite s;
    assert_int_equal(sr_mad_suite_make(ctx, o, &s), SARTOR_INVALID);
    if (strstr(sartor_error(ctx), message) == NULL)
        fail_msg("\"%s\" is not in: %s", message, sartor_error(ctx));
}

static void test_suites(void **state) {
    (void)state;
    sartor_mad_options o;
    sr_mad_suite s;
    sartor_mad_defaults(&o);
    o.suite = "full";
    assert_int_equal(sr_mad_suite_make(ctx, &o, &s), SARTOR_OK);
    assert_int_equal(s.settings, 66);
    assert_int_equal(s.rates * s.decays, 6);
    int64_t steps = 0;
    for (int i = 0; i < s.settings; i++)
        steps += (s.setting[i].train + 127) / 128 * s.epochs[i] * 6;
    close_to((double)steps, 5.38e6, 2e-3); /* of the whole benchmark */
    o.tasks = "memorization,copy";
    assert_int_equal(sr_mad_suite_make(ctx, &o, &s), SARTOR_OK);
    assert_int_equal(s.settings, 13 + 6);
    o.suite = "quick";
    o.tasks = NULL;
    assert_int_equal(sr_mad_suite_make(ctx, &o, &s), SARTOR_OK);
    bool there[SR_MAD_TASKS] = {false};
    for (int i = 0; i < s.settings; i++) there[s.setting[i].task] = true;
    for (int i = 0; i < SR_MAD_TASKS; i++) assert_true(there[i]);
    const double rates[] = {0.25, 0.5};
    o.suite = "recall:vocab=32";
    o.rates = rates;
    o.n_rates = 2;
    o.epochs = 3;
    assert_int_equal(sr_mad_suite_make(ctx, &o, &s), SARTOR_OK);
    assert_int_equal(s.settings, 1);
    assert_int_equal(s.setting[0].vocab, 32);
    assert_true(s.rates == 2 && s.rate[1] == 0.5 && s.decays == 2 && s.epochs[0] == 3);
    o.tasks = "copy";
    refused(&o, "no setting of these tasks");
    o.tasks = "recall,tree";
    refused(&o, "there is no task 'tree'");
    o.tasks = NULL;
    o.suite = "quik";
    refused(&o, "'quik' is no suite");
    o.suite = "recall:vocab=1";
    refused(&o, "vocab");
    o.suite = "quick";
    o.epochs = -1;
    refused(&o, "epochs");
    o.epochs = 0;
    o.rates = (const double[]){-1, 0};
    refused(&o, "a learning rate is -1");
}

/* The best run is chosen by its selection, not by its score; a task is the mean of its settings,
 * however many another task has. */
static void test_means(void **state) {
    (void)state;
    sr_mad_suite *suite = calloc(1, sizeof *suite);
    sr_mad_best best[3] = {{0}};
    suite->settings = 3;
    suite->setting[0].task = suite->setting[1].task = SR_MAD_COPY;
    suite->setting[2].task = SR_MAD_MEMORIZATION;
    assert_true(sr_mad_best_add(&best[0], 0.5, -1));
    assert_true(sr_mad_best_add(&best[0], 0.25, 0.5));
    assert_false(sr_mad_best_add(&best[0], 0.75, 0.5));
    assert_false(sr_mad_best_add(&best[0], 1, 0.25));
    assert_int_equal(best[0].runs, 4);
    assert_true(sr_mad_best_add(&best[1], 0.75, 1));
    sr_mad_means m = sr_mad_mean(suite, best);
    assert_true(m.task[SR_MAD_COPY] == 0.5 && m.settings[SR_MAD_COPY] == 2);
    assert_true(isnan(m.task[SR_MAD_MEMORIZATION]) && isnan(m.mad));
    assert_int_equal(m.settings[SR_MAD_RECALL], 0);
    assert_true(sr_mad_best_add(&best[2], 1, 1));
    m = sr_mad_mean(suite, best);
    assert_true(m.task[SR_MAD_MEMORIZATION] == 1 && m.mad == 0.75);
    free(suite);
}

static int child(char **argv) {
    hook h = {-1, strtol(argv[4], NULL, 10), -1};
    sr_mad_result result;
    ctx = sartor_context_create();
    return small_run((sr_mad_protocol)strtol(argv[3], NULL, 10), 3e-3, argv[2], &h, &result);
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "child") == 0) return child(argv);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tally),
        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_chance),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_same_bits_after_anything),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_stops_when_learned),
        cmocka_unit_test(test_suites),
        cmocka_unit_test(test_means),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
