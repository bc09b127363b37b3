/* sartor grow: a larger model that computes the same. */
#include "cli/arch_file.h"
#include "cli/options.h"
#include "cli/output.h"

#include "grow/request.h"
#include <inttypes.h>
#include <sartor/grow.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 16, ITEMS = SIZES + 5 };

static int print_json(const sartor_grow_result *r) {
    return sr_print_json(json_pack(
        "{s:i, s:o, s:I, s:I, s:I, s:b, s:o, s:o}", "version", 1, "max_abs_logit_difference",
        sr_json_real(r->max_abs_logit_difference), "params_before", (json_int_t)r->params_before,
        "params_after", (json_int_t)r->params_after, "new_entries", (json_int_t)r->new_entries,
        "exact", (int)r->exact, "flops_per_token_before", sr_json_real(r->flops_before),
        "flops_per_token_after", sr_json_real(r->flops_after)));
}

/* The tensor's name within its LIV, whose number from 1 goes to `liv`; 0: it is of the model. */
static const char *name_in_liv(const char *name, int *liv) {
    int at = 0;
    if (sscanf(name, "liv.%d.%n", liv, &at) == 1 && at > 0) {
        *liv += 1;
        return name + at;
    }
    *liv = 0;
    return name;
}

/* Whether two LIVs' tensors of one name change alike: they share a line. */
static bool alike(const sartor_grow_change *a, const sartor_grow_change *b) {
    int liv_a, liv_b;
    return strcmp(name_in_liv(a->name, &liv_a), name_in_liv(b->name, &liv_b)) == 0 && liv_a > 0 &&
           liv_b > 0 && a->rows_before == b->rows_before &&
           a->columns_before == b->columns_before && a->rows == b->rows &&
           a->columns == b->columns && a->fresh == b->fresh && a->zero == b->zero;
}

/* LIVs with a change like changes[first], as --at takes them: 1,3,5-8. */
static void print_livs(const sartor_grow_change *changes, int n, int first) {
    int liv, begin = 0, end = 0;
    const char *between = "  ";
    for (int k = first; k <= n; k++) {
        if (k < n && !alike(&changes[first], &changes[k])) continue;
        liv = 0;
        if (k < n) name_in_liv(changes[k].name, &liv);
        if (begin > 0 && liv == end + 1) {
            end = liv;
            continue;
        }
        if (begin > 0) {
            printf("%s%d", between, begin);
            if (end > begin) printf("-%d", end);
            between = ",";
        }
        begin = end = liv;
    }
}

/* One line for changes[i] and all that are alike, unless an earlier one had it. */
static void print_change(const sartor_grow_change *changes, int n, int i) {
    const sartor_grow_change *c = &changes[i];
    for (int k = 0; k < i; k++)
        if (alike(&changes[k], c)) return;
    char before[48] = "new", after[48], fresh[SR_NUMBER_TEXT], zero[SR_NUMBER_TEXT];
    if (c->rows_before > 0)
        snprintf(before, sizeof before, "%" PRId64 " x %" PRId64, c->rows_before,
                 c->columns_before);
    snprintf(after, sizeof after, "%" PRId64 " x %" PRId64, c->rows, c->columns);
    int liv;
    const char *name = name_in_liv(c->name, &liv);
    printf("  %-22s %13s -> %-13s %12s %12s", name, before, after, sr_grouped(c->fresh, fresh),
           sr_grouped(c->zero, zero));
    if (liv > 0) print_livs(changes, n, i);
    putchar('\n');
}

static void print_result(const sartor_grow_options *o, const sartor_grow_result *r) {
    char a[SR_NUMBER_TEXT], b[SR_NUMBER_TEXT];
    if (r->n_changes > 0)
        printf("  %-22s %13s    %-13s %12s %12s  %s\n", "tensor", "before", "after", "new entries",
               "of them zero", "in each of these LIVs");
    for (int i = 0; i < r->n_changes; i++) print_change(r->changes, r->n_changes, i);
    printf("%s%-16s %.3g, the largest logit is %.3g: %s\n", r->n_changes > 0 ? "\n" : "",
           "difference", r->max_abs_logit_difference, r->largest_logit,
           r->exact ? "the same function" : "another function");
    printf("%-16s %s -> %s\n", "parameters", sr_grouped(r->params_before, a),
           sr_grouped(r->params_after, b));
    printf("%-16s %s -> %s per token (forward)\n", "FLOPs", sr_short_count(r->flops_before, a),
           sr_short_count(r->flops_after, b));
    if (r->new_entries > 0) printf("%-16s %s\n", "new entries", sr_grouped(r->new_entries, a));
    if (r->optimiser)
        printf("%-16s with it: the moments, and when each entry was born\n", "optimiser");
    printf("%-16s %s\n", "written", o->dry_run ? "nothing (--dry-run)" : o->out);
}

static int grow(const sartor_grow_options *o, bool json) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_grow_result r;
    const sartor_status status = sartor_grow(ctx, o, &r);
    int code;
    if (status != SARTOR_OK) {
        code = sr_report_failure(ctx, status);
    } else if (json) {
        code = print_json(&r);
    } else {
        print_result(o, &r);
        code = sr_finish_output();
    }
    sartor_grow_release(&r);
    sr_context_close(&ctx);
    return code;
}

/* The width that the file named by --to has among its sizes, or "". */
static void width_of_arch_file(int argc, char **argv, char width[24]) {
    sartor_sizes sizes = {.width = 0};
    sr_sizes_of_arch_file(argc, argv, "--to", &sizes);
    width[0] = '\0';
    if (sizes.width > 0) snprintf(width, 24, "%" PRId64, sizes.width);
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_grow_options o;
    sartor_grow_defaults(&o);
    const char *sizes[SIZES] = {NULL}, *at = NULL, *livs = NULL, *to = NULL;
    static const char *const rotations[] = {"auto", "spread", "extend", "none"};
    static const char *const kinds[] = {"silent", "stacked"};
    int rotation = 0, new_livs = 0, code, rows = 0;
    int64_t threads = 0;
    bool json = false;
    sr_option table[SIZES + 24];
    table[rows++] = (sr_option)SR_HEADING("Model");
    table[rows++] = (sr_option)SR_ARGUMENT(
        "MODEL", &o.model, "model file, run folder, or a checkpoint: its optimiser grows with it");
    table[rows++] = (sr_option)SR_TEXT("out", "MODEL", &o.out, "file to write; not with --dry-run");
    table[rows++] = (sr_option)SR_HEADING("Sizes: N is the new size, +N what is added");
    for (int i = 0; i < SIZES && sr_growth_size_get(i) != NULL; i++) {
        const sr_growth_size *s = sr_growth_size_get(i);
        table[rows++] = (sr_option)SR_TEXT(s->name, s->argument, &sizes[i], s->summary);
    }
    const sr_option rest[] = {
        SR_TEXT("at", "SELECTION", &at,
                "which LIVs grow: numbers (LIV 1 has the tensors liv.0), ranges and classes, "
                "1,3-5,SA-3 (default: all that have the axis); --width is the whole model's"),
        SR_CHOICE("rotation", "auto|spread|extend|none", &rotation,
                  "of larger keys: spread old pairs over a table of that size, add slower pairs, "
                  "or channels that do not turn; auto: spread where the sizes divide"),
        SR_HEADING("Depth"),
        SR_TEXT("add-livs", "CLASSES@POSITION", &livs,
                "LIVs to add: SA-3,GMemless@end, @start, or @4 for behind LIV 4"),
        SR_CHOICE("new-livs", "silent|stacked", &new_livs,
                  "what added LIVs are at first: silent, or stacked: whole copies of LIVs of their "
                  "class; the change of the function is printed"),
        SR_TEXT(
            "to", "ARCH", &to,
            "grow into this architecture, which has the model's LIVs in order; with --width, or "
            "where it is a file with sizes, to that width and what its LIVs have there"),
        SR_HEADING("Growth"),
        SR_FLAG("approximate", &o.approximate,
                "also what no rule keeps exact; the change is printed"),
        SR_FLAG("undo", &o.undo, "instead: the model as it was, until it has been trained"),
        SR_SEED("seed", "S", &o.seed, "of new weights and of the tokens to compare on"),
        SR_INT("threads", "K", &threads, "threads to use (default: all cores)", 1, 1024),
        SR_HEADING("Training on from a checkpoint"),
        SR_NEW_PART_ROWS(o),
        SR_HEADING("Output"),
        SR_FLAG("dry-run", &o.dry_run, "compare and list what is new, write nothing"),
        SR_FLAG("json", &json, "one line of JSON"),
        SR_END,
    };
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) table[rows++] = rest[i];
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    if (o.out == NULL && !o.dry_run) return sr_usage_error(self, "--out or --dry-run is needed");
    sartor_grow_item items[ITEMS];
    char width[24];
    width_of_arch_file(argc, argv, width);
    for (int i = 0; i < SIZES && sr_growth_size_get(i) != NULL; i++)
        if (sizes[i] != NULL)
            items[o.n_items++] = (sartor_grow_item){sr_growth_size_get(i)->name, sizes[i]};
        else if (sr_growth_size_get(i)->axis == SR_AXIS_MODEL && width[0] != '\0')
            items[o.n_items++] = (sartor_grow_item){sr_growth_size_get(i)->name, width};
    if (at != NULL) items[o.n_items++] = (sartor_grow_item){"at", at};
    if (livs != NULL) items[o.n_items++] = (sartor_grow_item){"livs", livs};
    if (to != NULL) items[o.n_items++] = (sartor_grow_item){"to", to};
    if (rotation > 0) items[o.n_items++] = (sartor_grow_item){"rotation", rotations[rotation]};
    if (new_livs > 0) items[o.n_items++] = (sartor_grow_item){"new-livs", kinds[new_livs]};
    o.items = items;
    o.threads = (int)threads;
    return grow(&o, json);
}

const sr_command sr_command_grow = {
    .name = "grow",
    .summary = "enlarge a trained model without changing what it computes",
    .usage = "MODEL --out MODEL [options]",
    .about = "Makes sizes of a model larger or adds LIVs to it, and writes a model that computes "
             "the same: new weights are zero on one side and free on the other, so that they are "
             "silent and can learn. Before anything is written the logits of both models are "
             "compared on random tokens. Where no exact rule exists the reason is given. Growth "
             "can be undone until the model is trained on.",
    .examples = "# what would a wider stream cost?\n"
                "sartor grow runs/small --width 192 --dry-run\n"
                "# hidden channels of two LIVs, and four more heads everywhere\n"
                "sartor grow runs/small --ff 512 --at 2,4 --out wide.safetensors\n"
                "sartor grow wide.safetensors --heads +4 --out wider.safetensors\n"
                "# deeper, behind LIV 4\n"
                "sartor grow runs/small --add-livs SA-3,GMemless@4 --out deep.safetensors\n"
                "# and back\n"
                "sartor grow deep.safetensors --undo --out small.safetensors\n",
    .run = run,
};
