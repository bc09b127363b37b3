/* sartor list: the catalogues, printed from the tables that the library itself uses. */
#include "cli/options.h"
#include "cli/output.h"

#include "genome/genome.h"
#include "op/op.h"
#include "search/algorithm.h"
#include "search/objectives.h"
#include <string.h>

/* ---- LIV classes ---- */

static json_t *livs_json(void) {
    json_t *list = json_array();
    for (int i = 1; i <= sr_class_count(); i++) {
        const sr_class *c = sr_class_get(i);
        json_array_append_new(
            list, json_pack("{s:i, s:s, s:[i,i,i,i,i], s:s, s:b, s:s}", "number", c->number, "name",
                            c->name, "code", c->code.featurizer, c->code.token_mixing,
                            c->code.sparsity, c->code.nonlinearity, c->code.channel_mixing,
                            "family", sr_family_name(c->family), "differential", c->differential,
                            "summary", c->summary));
    }
    return list;
}

static void livs_table(void) {
    printf("%6s  %-14s %-11s %-10s %s\n", "number", "name", "code", "family", "summary");
    for (int i = 1; i <= sr_class_count(); i++) {
        const sr_class *c = sr_class_get(i);
        printf("%6d  %-14s %d.%d.%d.%d.%d   %-10s ", c->number, c->name, c->code.featurizer,
               c->code.token_mixing, c->code.sparsity, c->code.nonlinearity, c->code.channel_mixing,
               sr_family_name(c->family));
        puts(c->summary);
        if (i == SR_PAPER_CLASSES && i < sr_class_count())
            printf("%6s  the classes above are those of the STAR paper\n", "");
    }
}

/* ---- operators ---- */

/* The inputs of an operator as an array of names; an optional one keeps its brackets. */
static json_t *inputs_json(const char *inputs) {
    json_t *list = json_array();
    for (size_t n; inputs != NULL && *inputs != '\0'; inputs += n) {
        inputs += strspn(inputs, " ");
        n = strcspn(inputs, " ");
        if (n > 0) json_array_append_new(list, json_stringn(inputs, n));
    }
    return list;
}

static json_t *ops_json(void) {
    json_t *list = json_array();
    for (const sr_op *const *op = sr_ops; *op != NULL; op++)
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:i, s:b, s:s}", "name", (*op)->name, "inputs",
                            inputs_json((*op)->inputs), "states", (*op)->n_state, "gradient",
                            (*op)->backward.truth[0] != NULL, "summary", (*op)->summary));
    return list;
}

static void ops_table(void) {
    for (const sr_op *const *op = sr_ops; *op != NULL; op++) {
        printf("%s(%s)", (*op)->name, (*op)->inputs != NULL ? (*op)->inputs : "");
        if ((*op)->n_state > 0)
            printf(", %d state%s", (*op)->n_state, (*op)->n_state == 1 ? "" : "s");
        printf("\n    ");
        sr_print_wrapped((*op)->summary, 4);
    }
}

/* ---- presets ---- */

/* LIVs of a preset's pattern. */
static int preset_length(const sr_preset *preset) {
    int n = 0;
    sartor_context *ctx = sartor_context_create();
    sr_genome genome;
    if (ctx != NULL &&
        sr_genome_parse(ctx, preset->names, strlen(preset->names), &genome) == SARTOR_OK)
        n = genome.n;
    sartor_context_destroy(&ctx);
    return n;
}

static json_t *presets_json(void) {
    json_t *list = json_array();
    for (int i = 0; i < sr_preset_count(); i++) {
        const sr_preset *p = sr_preset_get(i);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:i, s:s}", "name", p->name, "names", p->names,
                                        "livs", preset_length(p), "summary", p->summary));
    }
    return list;
}

static void presets_table(void) {
    for (int i = 0; i < sr_preset_count(); i++) {
        const sr_preset *p = sr_preset_get(i);
        printf("%-15s %s\n%-15s ", p->name, p->summary, "");
        sr_print_wrapped(p->names, 16);
    }
    printf("\nA pattern is repeated or cut to --livs LIVs (default %d).\n", SR_DEFAULT_LIVS);
}

/* ---- kernels ---- */

static json_t *kernels_json(void) {
    json_t *list = json_array();
    for (int i = 0; i < SR_ISAS; i++)
        json_array_append_new(list, json_pack("{s:s, s:b, s:b}", "name", sr_isa_name((sr_isa)i),
                                              "usable", i <= (int)sr_isa_active(), "active",
                                              i == (int)sr_isa_active()));
    return list;
}

static void kernels_table(void) {
    for (int i = 0; i < SR_ISAS; i++) {
        int active = (int)sr_isa_active();
        printf("%-10s %s\n", sr_isa_name((sr_isa)i),
               i == active  ? "in use"
               : i < active ? "usable"
                            : "not on this machine, or above SARTOR_ISA");
    }
    printf("\nSARTOR_ISA=base, avx2 or avx512 in the environment lowers what is used.\n");
}

/* ---- what a search is made of ---- */

static const char *source_name(sr_objective_source source) {
    static const char *const names[] = {[SR_TRAINED] = "trained",
                                        [SR_COMPUTED] = "computed",
                                        [SR_MEASURED] = "measured",
                                        [SR_PROBED] = "probed"};
    return names[source];
}

static json_t *objectives_json(void) {
    json_t *list = json_array();
    for (int i = 0; sr_objective_get(i) != NULL; i++) {
        const sr_objective *o = sr_objective_get(i);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s}", "name", o->name, "unit", o->unit,
                                        "source", source_name(o->source), "summary", o->summary));
    }
    return list;
}

static void objectives_table(void) {
    for (int i = 0; sr_objective_get(i) != NULL; i++) {
        const sr_objective *o = sr_objective_get(i);
        char text[256];
        snprintf(text, sizeof text, "%s %s", o->unit, o->summary);
        printf("%-8s %-9s ", o->name, source_name(o->source));
        sr_print_wrapped(text, 19);
    }
}

static json_t *algorithms_json(void) {
    json_t *list = json_array();
    for (int i = 0; sr_algorithm_get(i) != NULL; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", sr_algorithm_get(i)->name,
                                              "summary", sr_algorithm_get(i)->summary));
    return list;
}

static void algorithms_table(void) {
    for (int i = 0; sr_algorithm_get(i) != NULL; i++) {
        printf("%-8s ", sr_algorithm_get(i)->name);
        sr_print_wrapped(sr_algorithm_get(i)->summary, 9);
    }
}

static int run(const sr_command *self, int argc, char **argv) {
    static const struct {
        const char *name;
        json_t *(*json)(void);
        void (*table)(void);
    } kinds[] = {{"livs", livs_json, livs_table},
                 {"ops", ops_json, ops_table},
                 {"presets", presets_json, presets_table},
                 {"objectives", objectives_json, objectives_table},
                 {"algorithms", algorithms_json, algorithms_table},
                 {"kernels", kernels_json, kernels_table}};
    const char *what = NULL;
    bool json = false;
    const sr_option table[] = {
        SR_HEADING("What"),
        SR_ARGUMENT(
            "WHAT", &what,
            "livs: the LIV classes; ops: the operators they are made of; presets: "
            "architectures by name; objectives, algorithms: of searches; kernels: instruction sets "
            "of this machine"),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "one line of JSON"),
        SR_END,
    };
    int code;
    char shown[SR_SHOWN];
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(what, kinds[i].name) != 0) continue;
        if (json)
            return sr_print_json(json_pack("{s:i, s:o}", "version", 1, what, kinds[i].json()));
        kinds[i].table();
        return sr_finish_output();
    }
    return sr_usage_error(self,
                          "WHAT is livs, ops, presets, objectives, algorithms or kernels, not '%s'",
                          sr_shown(what, shown));
}

const sr_command sr_command_list = {
    .name = "list",
    .summary = "list LIV classes, operators, presets, objectives and more",
    .usage = "livs|ops|presets|objectives|algorithms|kernels [--json]",
    .about = "Prints a catalogue. LIV classes come with their number (as in a genome), name (as "
             "in a names list), five-integer operator code (featurizer, token mixing, sparsity, "
             "nonlinearity, channel mixing; op:CODE names a class too) and family; units of one "
             "family can share feature groups.",
    .examples = "sartor list livs\n"
                "sartor list presets --json\n",
    .run = run,
};
