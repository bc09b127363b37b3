/* sartor search: evolves architectures on text. */
#include "cli/answer.h"
#include "cli/options.h"
#include "cli/study_live.h"

#include <inttypes.h>
#include <string.h>

/* ---- what it will take ---- */

static int print_plan_json(const sartor_search_plan *plan) {
    return sr_print_json(json_pack("{s:i, s:I, s:o, s:I, s:I}", "version", 1, "trials",
                                   (json_int_t)plan->trials, "seconds", sr_json_real(plan->seconds),
                                   "disk_bytes", (json_int_t)plan->disk_bytes, "memory_bytes",
                                   (json_int_t)plan->memory_bytes));
}

static int print_plan(const sartor_search_options *o, const sartor_search_plan *plan) {
    char a[SR_NUMBER_TEXT], b[SR_NUMBER_TEXT], workers[64];
    if (o->workers > 0)
        snprintf(workers, sizeof workers, "%d worker%s", o->workers, o->workers == 1 ? "" : "s");
    else
        snprintf(workers, sizeof workers, "workers on all cores");
    if (sartor_search_reads_text(o))
        printf("%-12s %s of %s tokens each", "trials", sr_grouped(plan->trials, a),
               sr_short_count((double)o->train_tokens, b));
    else
        printf("%-12s %s, not trained on text", "trials", sr_grouped(plan->trials, a));
    if (plan->inherit_tokens > 0)
        printf(", or %s where they inherit", sr_short_count((double)plan->inherit_tokens, a));
    printf("%s\n", o->rungs != NULL && *o->rungs != '\0' ? ", less what stops at rungs" : "");
    printf("%-12s about %s with %s\n", "time", sr_short_time(plan->seconds, a), workers);
    printf("%-12s %s in %s.d/\n", "disk", sr_short_bytes(plan->disk_bytes, a), o->study);
    printf("%-12s %s for all workers, %s for the largest trial\n", "memory",
           sr_short_bytes(plan->memory_bytes, a), sr_short_bytes(plan->largest_trial_bytes, b));
    printf("%-12s ", "classes");
    sr_print_wrapped(plan->excluded[0] != '\0' ? plan->excluded : "all of the pool", 13);
    return sr_finish_output();
}

static int dry_run(const sartor_search_options *o, bool json) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_search_plan plan = {0};
    sartor_status status = sartor_search_plan_make(ctx, o, &plan);
    int code = status != SARTOR_OK ? sr_report_failure(ctx, status)
               : json              ? print_plan_json(&plan)
                                   : print_plan(o, &plan);
    sr_context_close(&ctx);
    return code;
}

/* ---- searching ---- */

static int print_result(sartor_context *ctx, const char *study, const char *front) {
    int code = sr_print_front(ctx, study, front);
    if (code != SR_EXIT_OK) return code;
    printf("\nsartor report %s   draws it as a page\n"
           "sartor finals %s   trains its best longer, and baselines beside them\n",
           study, study);
    return sr_finish_output();
}

static sartor_status evolve(sartor_context *ctx, const sartor_search_options *o, char **front) {
    const sartor_status status = sartor_search(ctx, o);
    return status == SARTOR_OK ? sartor_study_front(ctx, o->study, front) : status;
}

static int search(sartor_search_options *o, bool json, bool quiet) {
    sr_study_live live;
    sartor_context *ctx =
        sr_study_live_open(&live, quiet, &o->program, &o->progress, &o->progress_user);
    if (ctx == NULL) return SR_EXIT_FAILURE;
    char *front = NULL;
    sartor_status status = evolve(ctx, o, &front);
    sr_study_live_end(&live);
    return sr_end_with_answer(ctx, status, front, json, o->study, print_result);
}

static int run(const sr_command *self, int argc, char **argv) {
    static const char *const algorithms[] = {"nsga2", "ga", "firefly", "random"};
    sartor_search_options o;
    sartor_search_defaults(&o);
    sr_paths data = {NULL, 0}, limits = {NULL, 0};
    int64_t population = o.population, generations = o.generations, livs = o.sizes.livs;
    int64_t workers = 0, threads = o.threads;
    int algorithm = 0, survival = (int)o.survival, pool = o.extended_pool;
    int precision = (int)o.precision, keep = (int)o.keep, evaluator = (int)o.evaluator;
    bool json = false, quiet = false, dry = false;
    const sr_option table[] = {
        SR_HEADING("Study"),
        SR_TEXT("study", "F", &o.study,
                "file of the study, made if missing; weights go to the folder F.d",
                .required = true),
        SR_FLAG("dry-run", &dry,
                "tell the trials, time, disk and memory that the search will take, and start "
                "nothing"),
        SR_CHOICE("keep", "front|parents|all", &keep,
                  "whose weights stay when a generation is done: the front's, also those of the "
                  "next parents, or all"),
        SR_HEADING("Text"),
        SR_TEXT_ROWS(&data, &o.text, false),
        SR_TEXT("tokenizer", "F", &o.tokenizer,
                "SentencePiece .model file, for example from sartor tokenizer (default: bytes)"),
        SR_HEADING("Search"),
        SR_TEXT("objectives", "LIST", &o.objectives,
                "what to minimise, with commas: bpb (bits per byte of the validation text), "
                "params, cache (bytes at the context), flops (per token), memory (bytes while "
                "decoding), prefill, decode (measured seconds per token), mad (1 - the score of "
                "--mad-suite); without bpb nothing is trained on text, and --data is not needed"),
        SR_CHOICE("algorithm", "nsga2|ga|firefly|random", &algorithm,
                  "how children are made and parents chosen"),
        SR_CHOICE("survival", "elitist|mu+lambda", &survival,
                  "the next parents: two elites and the new children, as STAR does, or the best of "
                  "parents and children, as NSGA-II does in the textbook"),
        SR_INT("population", "N", &population, "architectures in a generation", 1, 10000),
        SR_INT("generations", "G", &generations,
               "generations in all, the random first one included; a larger number continues a "
               "study",
               1, 1000000),
        SR_TEXTS("limit", "NAME=VALUE", &limits,
                 "an objective that no architecture may exceed, searched or not: params=2M, "
                 "decode=0.002; may be given several times"),
        SR_TEXT("mad-suite", "S", &o.mad_suite,
                "of the objective mad, as in sartor mad: quick, full or one setting (default "
                "quick)"),
        SR_TEXT("seed-with", "LIST", &o.seed_with,
                "presets that the first generation holds as baselines, with commas: "
                "transformer++,lfm2"),
        SR_SEED("seed", "S", &o.seed, "seed of the search, of all initial weights and data orders"),
        SR_HEADING("Architectures"),
        SR_CHOICE("pool", "paper|extended", &pool,
                  "LIV classes: the 17 of the STAR paper, or all of sartor list livs"),
        SR_INT("livs", "N", &livs, "LIVs of every architecture", 1, 1024),
        SR_SIZE_ROWS(&o.sizes),
        SR_HEADING("Training of a trial"),
        SR_SIZE("train-tokens", "N", &o.train_tokens,
                "tokens that every architecture is trained on, rounded up to whole steps", 1,
                SR_NO_LIMIT),
        SR_CHOICE("evaluator", "scratch|inherit", &evaluator,
                  "every architecture begins with random weights, or a child with those of its "
                  "parents wherever it agrees with them"),
        SR_SIZE("inherit-tokens", "N", &o.inherit_tokens,
                "tokens that a child which inherits is trained on, at most --train-tokens "
                "(default: 0.4 of them)",
                1, SR_NO_LIMIT),
        SR_TEXT("rungs", "LIST", &o.rungs,
                "shares of its tokens at which every architecture pauses, with commas: 0.25,0.5; "
                "there only those go on that no other of their generation dominates, at least a "
                "quarter of the population (default: none)"),
        SR_INT("batch", "B", &o.batch, "windows in one batch", 1, 1 << 20),
        SR_REAL("lr", "X", &o.learning_rate, "peak learning rate", 0, 1e6),
        SR_CHOICE("precision", "f32|bf16", &precision, "arithmetic of the matrix products"),
        SR_INT("threads", "K", &threads, "threads of one trial", 1, 1024),
        SR_SIZE("memory", "BYTES", &o.memory_limit,
                "most memory that one trial may need; larger ones fail untrained (default: the "
                "machine's)",
                1, SR_NO_LIMIT),
        SR_HEADING("Workers"),
        SR_INT("workers", "W", &workers,
               "processes on this machine (default: its cores divided by --threads)", 1, 1024),
        SR_REAL("lease", "SECONDS", &o.lease,
                "a worker that is silent for so long loses its trial to another", 1, 86400),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "end with one line of JSON, that of sartor front --json"),
        SR_FLAG("quiet", &quiet, "no progress"),
        SR_END,
    };
    int code;
    if (sr_options_parse(self, table, argc, argv, &code)) {
        o.algorithm = algorithms[algorithm];
        o.survival = (sartor_survival)survival;
        o.population = (int)population;
        o.generations = (int)generations;
        o.sizes.livs = (int)livs;
        o.extended_pool = pool == 1;
        o.precision = (sartor_precision)precision;
        o.keep = (sartor_keep)keep;
        o.evaluator = (sartor_evaluator)evaluator;
        o.threads = (int)threads;
        o.workers = (int)workers;
        o.limits = limits.paths;
        o.n_limits = limits.count;
        o.text.paths = data.paths;
        o.text.n_paths = data.count;
        if (data.count == 0 && sartor_search_reads_text(&o))
            code = sr_usage_error(self, "--data PATH is missing");
        else
            code = dry ? dry_run(&o, json) : search(&o, json, quiet);
    }
    sr_paths_free(&data);
    sr_paths_free(&limits);
    return code;
}

const sr_command sr_command_search = {
    .name = "search",
    .summary = "search for architectures that are good, small and fast on your text",
    .usage = "--study F --data PATH... [options]",
    .about =
        "Evolves architectures by STAR (arXiv 2411.17800): every candidate of a generation is "
        "trained on the text for --train-tokens, measured in all objectives at once, and the best "
        "are recombined and mutated. The result is a front: architectures that no other beats in "
        "every objective. All of it lives in the study; worker processes train the trials. The "
        "same command continues a search that was stopped, by whatever, and does nothing more when "
        "it is done; other settings are refused. The result depends on the settings and the seed, "
        "not "
        "on how many workers ran or were killed (measured speeds, where they are objectives, "
        "differ "
        "from run to run). sartor work joins with more workers, "
        "sartor show and sartor front look on. The defaults are for a laptop; the paper's own "
        "sizes are 24 LIVs, width 768, head dim 64, context 4096 and 1.3 billion tokens a trial, "
        "with a population of 16 over 18 generations.",
    .examples =
        "# what would it take?\n"
        "sartor search --study books.db --data books/ --dry-run\n"
        "# quality, size and cache, with two baselines in the first generation\n"
        "sartor search --study books.db --data books/ --seed-with transformer++,lfm2\n"
        "# at most 2 million parameters, fast in generating, pieces instead of bytes\n"
        "sartor search --study fast.db --data books/ --tokenizer pieces.model \\\n"
        "    --objectives bpb,decode --limit params=2M --train-tokens 5M --precision bf16\n"
        "# children inherit weights, and what is dominated half-way is stopped\n"
        "sartor search --study quick.db --data books/ --evaluator inherit --rungs 0.5\n"
        "# the sizes of the paper\n"
        "sartor search --study paper.db --data text/ --livs 24 --width 768 --head-dim 64 \\\n"
        "    --context 4096 --train-tokens 1.3G --population 16 --generations 18\n",
    .run = run,
};
