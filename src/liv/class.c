/* The class table, and which operator codes the builders of liv/ can compose.
 *
 * Rows are append-only: a row's number is its place, and genomes on disk depend on it. A code has a
 * plain row exactly when sr_code_check() accepts it (a test goes through all codes), so `op:CODE`
 * always resolves to a class. */
#define _POSIX_C_SOURCE 200809L
#include "liv/class.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SA   SR_FAMILY_SA
#define REC  SR_FAMILY_REC
#define CONV SR_FAMILY_GCONV
#define MEM  SR_FAMILY_GMEMLESS
#define MLP  SR_FAMILY_MLP
#define MOE  SR_FAMILY_MOE
#define LIN  SR_FAMILY_LINEAR

/* One plain row, one differential row. */
#define PLAIN(number, name, family, f, t, s, n, c, text)                                           \
    { number, name, {f, t, s, n, c}, false, family, text }
#define DIFF(number, name, family, f, t, s, n, c, text)                                            \
    { number, name "-Diff", {f, t, s, n, c}, true, family, "differential " text }

/* Attention for the featurizers 1 to 4, and with one head for 1 and 2. */
#define ATTENTION(ROW, number, name, s, n, text)                                                   \
    ROW(number, name "-1", SA, 1, 2, s, n, 3, text),                                               \
        ROW(number + 1, name "-2", SA, 2, 2, s, n, 3, text ", 3-tap convolution on q, k, v"),      \
        ROW(number + 2, name "-3", SA, 3, 2, s, n, 3, text ", k and v repeated 4 times"),          \
        ROW(number + 3, name "-4", SA, 4, 2, s, n, 3, text ", k and v repeated 2 times")
#define ONE_HEAD(number, name, s, n, text)                                                         \
    PLAIN(number, name "-1-1H", SA, 1, 2, s, n, 2, text ", one head"),                             \
        PLAIN(number + 1, name "-2-1H", SA, 2, 2, s, n, 2,                                         \
              text ", one head, 3-tap convolution on q, k, v")

#define EXPERTS "mixture of 8 gated memoryless experts, "

#define SOFTMAX  "softmax attention"
#define LINEAR   "linear attention"
#define SLIDING  "sliding-window "
#define MAMBA16  "selective state space (Mamba), 16 states a channel"
#define MAMBA2   "selective state space (Mamba), 2 states a channel"
#define MAMBA4   "selective state space (Mamba), twice the width, 4 states a channel"
#define SHORT    "gated short convolution, 3 taps"
#define FEATURES "normalised linear attention with learned feature maps"
#define GATED    "gated linear attention, a decay for each key channel"
#define LONG     "gated long convolution, implicit filter (Hyena)"

static const sr_class classes[] = {
    ATTENTION(PLAIN, 1, "SA", 1, 2, SOFTMAX),
    PLAIN(5, "Rec-1", REC, 5, 4, 1, 1, 1, MAMBA16),
    PLAIN(6, "Rec-2", REC, 6, 4, 1, 1, 1, MAMBA2),
    PLAIN(7, "GConv-1", CONV, 7, 3, 1, 1, 1, SHORT),
    PLAIN(8, "GConv-2", CONV, 8, 3, 1, 1, 1, LONG),
    PLAIN(9, "GMemless", MEM, 9, 1, 1, 4, 2, "gated memoryless unit with swish (SwiGLU)"),
    ATTENTION(DIFF, 10, "SA", 1, 2, SOFTMAX),
    DIFF(14, "Rec-1", REC, 5, 4, 1, 1, 1, MAMBA16),
    DIFF(15, "Rec-2", REC, 6, 4, 1, 1, 1, MAMBA2),
    DIFF(16, "GConv-1", CONV, 7, 3, 1, 1, 1, SHORT),
    DIFF(17, "GConv-2", CONV, 8, 3, 1, 1, 1, LONG),
    /* Not in the paper's pool: the other codes. */
    ATTENTION(PLAIN, 18, "LA", 1, 1, LINEAR),
    ATTENTION(PLAIN, 22, "SWA", 2, 2, SLIDING SOFTMAX),
    ATTENTION(PLAIN, 26, "RA", 1, 3, "ReLU attention"),
    ATTENTION(PLAIN, 30, "ZA", 1, 4, "swish attention"),
    ATTENTION(PLAIN, 34, "LWA", 2, 1, SLIDING LINEAR),
    ATTENTION(PLAIN, 38, "RWA", 2, 3, SLIDING "ReLU attention"),
    ATTENTION(PLAIN, 42, "ZWA", 2, 4, SLIDING "swish attention"),
    ONE_HEAD(46, "SA", 1, 2, SOFTMAX),
    ONE_HEAD(48, "LA", 1, 1, LINEAR),
    ONE_HEAD(50, "SWA", 2, 2, SLIDING SOFTMAX),
    ONE_HEAD(52, "RA", 1, 3, "ReLU attention"),
    ONE_HEAD(54, "ZA", 1, 4, "swish attention"),
    ONE_HEAD(56, "LWA", 2, 1, SLIDING LINEAR),
    ONE_HEAD(58, "RWA", 2, 3, SLIDING "ReLU attention"),
    ONE_HEAD(60, "ZWA", 2, 4, SLIDING "swish attention"),
    PLAIN(62, "GConv-2-Band", CONV, 8, 3, 2, 1, 1, LONG " cut to the window"),
    PLAIN(63, "GLU", MEM, 9, 1, 1, 1, 2, "gated memoryless unit without activation (bilinear)"),
    PLAIN(64, "ReGLU", MEM, 9, 1, 1, 3, 2, "gated memoryless unit with ReLU"),
    /* Taken whole from other publications: the layers of MAD (Poli et al. 2024) and newer ones. */
    PLAIN(65, "MHA", SA, 10, 2, 1, 2, 3, SOFTMAX " with biases"),
    PLAIN(66, "MHA-1H", SA, 10, 2, 1, 2, 2, SOFTMAX " with biases, one head"),
    PLAIN(67, "MHA-W", SA, 10, 2, 2, 2, 3, SLIDING SOFTMAX " with biases"),
    PLAIN(68, "MHA-W-1H", SA, 10, 2, 2, 2, 2, SLIDING SOFTMAX " with biases, one head"),
    PLAIN(69, "MLP", MLP, 11, 1, 1, 5, 2, "memoryless unit with GELU, 4 times the width"),
    PLAIN(70, "MoE-MLP", MOE, 12, 1, 1, 5, 2, EXPERTS "all with weight (MAD's routing)"),
    PLAIN(71, "MoE-MLP-Top2", MOE, 12, 1, 2, 5, 2, EXPERTS "2 active"),
    PLAIN(72, "Mamba", REC, 13, 4, 1, 1, 1, MAMBA4),
    PLAIN(73, "Hyena", SR_FAMILY_HYENA, 20, 3, 1, 1, 1,
          "Hyena of order 2, 4 times as many channels, filters with trained positions"),
    PLAIN(74, "MH-Hyena", SR_FAMILY_HYENA, 21, 3, 1, 1, 3,
          "multi-head Hyena: outer products of keys and values, one filter a group"),
    PLAIN(75, "Hyena-Experts", SR_FAMILY_HYENA, 22, 3, 1, 1, 1,
          "Hyena whose output mixes 8 experts, routed softly"),
    PLAIN(76, "Hyena-Experts-Top2", SR_FAMILY_HYENA, 22, 3, 2, 1, 1,
          "Hyena whose output mixes the best 2 of 8 experts"),
    PLAIN(77, "GDN", SR_FAMILY_DELTA, 17, 4, 1, 1, 3,
          "gated delta rule: a matrix state a head, overwritten key by key (Gated DeltaNet)"),
    PLAIN(78, "RWKV-6", SR_FAMILY_RWKV, 18, 4, 1, 1, 3,
          "RWKV-6 time mixer: a matrix state a head, decays and token shifts made from the input"),
    PLAIN(79, "RWKV-6-CM", SR_FAMILY_RWKV_CM, 19, 1, 1, 6, 2,
          "RWKV-6 channel mixer: token shift, ReLU squared, a gate behind the projection"),
    PLAIN(80, "LinAttn", LIN, 14, 4, 1, 1, 3, FEATURES),
    PLAIN(81, "LinAttn-1H", LIN, 14, 4, 1, 1, 2, FEATURES ", one head"),
    PLAIN(82, "GLA", LIN, 15, 4, 1, 1, 3, GATED),
    PLAIN(83, "GLA-1H", LIN, 15, 4, 1, 1, 2, GATED ", one head"),
    PLAIN(84, "Mamba-2", LIN, 16, 4, 1, 1, 3,
          "state space duality: a matrix state with one decay a head"),
    PLAIN(85, "GEGLU", MEM, 9, 1, 1, 5, 2, "gated memoryless unit with GELU"),
    PLAIN(86, "MoE-MLP-Shared", MOE, 23, 1, 2, 5, 2, EXPERTS "2 active, beside one that always is"),
};

int sr_class_count(void) { return (int)(sizeof classes / sizeof *classes); }

const sr_class *sr_class_get(int number) {
    return number >= 1 && number <= sr_class_count() ? &classes[number - 1] : NULL;
}

const sr_class *sr_class_find(const char *name) {
    for (int i = 0; i < sr_class_count(); i++)
        if (strcmp(classes[i].name, name) == 0) return &classes[i];
    return NULL;
}

const char *sr_class_hint(const char *name, char text[SR_CLASS_HINT]) {
    text[0] = '\0';
    for (int i = 0; i < sr_class_count() && text[0] == '\0'; i++)
        if (strcasecmp(classes[i].name, name) == 0)
            snprintf(text, SR_CLASS_HINT, "; did you mean %s?", classes[i].name);
    return text;
}

static bool same_code(sr_code a, sr_code b) {
    return a.featurizer == b.featurizer && a.token_mixing == b.token_mixing &&
           a.sparsity == b.sparsity && a.nonlinearity == b.nonlinearity &&
           a.channel_mixing == b.channel_mixing;
}

const sr_class *sr_class_of_code(sartor_context *ctx, sr_code code) {
    if (sr_code_check(ctx, code) != SARTOR_OK) return NULL;
    for (int i = 0; i < sr_class_count(); i++)
        if (!classes[i].differential && same_code(classes[i].code, code)) return &classes[i];
    sr_fail(ctx, SARTOR_INVALID, "no class has this code");
    return NULL;
}

/* Each token mixing states what it takes from its featurizer and what it can do with it. */

static const char *attention_fault(sr_code code) {
    if (code.nonlinearity > 4) return "attention takes the nonlinearities 1 to 4";
    if (code.featurizer > 4) return "low-rank token mixing needs q, k and v: featurizer 1 to 4";
    if (code.channel_mixing == 1)
        return "attention over diagonal channels: each channel would need a head of its own";
    if (code.channel_mixing == 2 && sr_code_kv_repeat(code) > 1)
        return "dense channels are one head, which leaves nothing to repeat k and v over: "
               "featurizer 1 or 2";
    return NULL;
}

static const char *convolution_fault(sr_code code) {
    if (code.featurizer != 7 && code.featurizer != 8)
        return "scaled Toeplitz token mixing needs gates and a kernel: featurizer 7 or 8";
    if (code.nonlinearity != 1)
        return "a nonlinearity over C K B would need the whole length x length matrix of every "
               "channel";
    if (code.channel_mixing != 1)
        return "scaled Toeplitz token mixing has one kernel for each channel: diagonal channels";
    if (code.sparsity != 1 && code.featurizer == 7)
        return "the kernel of featurizer 7 has 3 taps, it is banded already";
    return NULL;
}

static const char *recurrence_fault(sr_code code) {
    if (code.featurizer != 5 && code.featurizer != 6)
        return "semi-separable token mixing needs a state: featurizer 5 or 6";
    if (code.sparsity != 1) return "a recurrence has no band: its state reaches back to the start";
    if (code.nonlinearity != 1)
        return "a nonlinearity over C A B would need the whole length x length matrix, which a "
               "recurrence never forms";
    if (code.channel_mixing != 1)
        return "semi-separable token mixing has one state for each channel: diagonal channels";
    return NULL;
}

static const char *memoryless_fault(sr_code code) {
    if (code.featurizer != 9) return "diagonal token mixing needs a gate and a value: featurizer 9";
    if (code.sparsity != 1) return "diagonal token mixing has no band: it sees one token";
    if (code.nonlinearity == 2) return "softmax over one token is constant";
    if (code.channel_mixing != 2)
        return "the expanded features must be projected back: dense channels";
    return NULL;
}

/* Featurizers of units that are taken whole from one publication: each composes only as the table
 * above says. */
enum { FIRST_WHOLE = 10 };

static sartor_status check_whole(sartor_context *ctx, sr_code code) {
    const sr_class *known = NULL;
    int last = FIRST_WHOLE - 1;
    for (int i = 0; i < sr_class_count(); i++) {
        if (classes[i].differential) continue;
        if (same_code(classes[i].code, code)) return SARTOR_OK;
        if (classes[i].code.featurizer == code.featurizer && known == NULL) known = &classes[i];
        if (classes[i].code.featurizer > last) last = classes[i].code.featurizer;
    }
    if (known == NULL)
        return sr_fail(ctx, SARTOR_INVALID, "featurizer %d is not in 1..%d", code.featurizer, last);
    const sr_code k = known->code;
    return sr_fail(ctx, SARTOR_INVALID,
                   "featurizer %d comes from one publication and composes as %d.%d.%d.%d.%d (%s)",
                   k.featurizer, k.featurizer, k.token_mixing, k.sparsity, k.nonlinearity,
                   k.channel_mixing, known->name);
}

sartor_status sr_code_check(sartor_context *ctx, sr_code code) {
    if (code.featurizer >= FIRST_WHOLE) return check_whole(ctx, code);
    const struct {
        const char *name;
        int value, last;
    } fields[] = {{"featurizer", code.featurizer, 9},
                  {"token mixing", code.token_mixing, 4},
                  {"sparsity", code.sparsity, 2},
                  {"nonlinearity", code.nonlinearity, 5},
                  {"channel mixing", code.channel_mixing, 3}};
    for (int i = 0; i < 5; i++)
        if (fields[i].value < 1 || fields[i].value > fields[i].last)
            return sr_fail(ctx, SARTOR_INVALID, "%s %d is not in 1..%d", fields[i].name,
                           fields[i].value, fields[i].last);
    const char *fault = NULL;
    switch (code.token_mixing) {
    case 1:
        fault = memoryless_fault(code);
        break;
    case 2:
        fault = attention_fault(code);
        break;
    case 3:
        fault = convolution_fault(code);
        break;
    default:
        fault = recurrence_fault(code);
        break;
    }
    return fault == NULL ? SARTOR_OK : sr_fail(ctx, SARTOR_INVALID, "%s", fault);
}

static const struct {
    const char *name, *features[2];
} families[SR_FAMILIES] = {
    [SA] = {"SA", {"K", "V"}},
    [REC] = {"Rec", {"B", "C"}},
    [CONV] = {"GConv", {"B", "C"}},
    [MEM] = {"GMemless", {"gate", NULL}},
    [MLP] = {"MLP", {NULL, NULL}},
    [MOE] = {"MoE", {"gate", "router"}},
    [LIN] = {"Linear", {"K", "V"}},
    [SR_FAMILY_DELTA] = {"Delta", {"K", "V"}},
    [SR_FAMILY_RWKV] = {"RWKV", {"K", "V"}},
    [SR_FAMILY_RWKV_CM] = {"RWKV-CM", {"receptance", NULL}},
    [SR_FAMILY_HYENA] = {"Hyena", {NULL, NULL}},
};

static bool is_family(sr_family family) {
    return (unsigned)family < SR_FAMILIES && families[family].name != NULL;
}

int sr_family_features(sr_family family) {
    int n = 0;
    while (is_family(family) && n < 2 && families[family].features[n] != NULL) n++;
    return n;
}

const char *sr_family_feature_name(sr_family family, int index) {
    return index >= 0 && index < sr_family_features(family) ? families[family].features[index] : "";
}

const char *sr_family_name(sr_family family) {
    return is_family(family) ? families[family].name : "";
}

/* Per token: k and v are [heads / repeat, head dim] ([1, width] with one head), B and C of a
 * recurrence [states], the gates of a convolution [width], the gate of a memoryless unit [ff].
 * Units of other families share with their own class only. */
int sr_class_feature_shape(const sr_class *class_, int index) {
    if (index < 0 || index >= sr_family_features(class_->family)) return 0;
    int shape = 1;
    if (class_->family > MEM) shape = 20 + class_->number;
    if (class_->family == SA)
        shape = class_->code.channel_mixing == 2 ? 9 : sr_code_kv_repeat(class_->code);
    if (class_->family == REC) shape = sr_code_states(class_->code);
    return ((int)class_->family * 1000 + shape) * 2 + class_->differential;
}

int sr_code_kv_repeat(sr_code code) {
    return code.featurizer == 3 ? 4 : code.featurizer == 4 ? 2 : 1;
}

int sr_code_states(sr_code code) {
    switch (code.featurizer) {
    case 5:
        return 16;
    case 6:
        return 2;
    case 13:
        return 4;
    default:
        return 0;
    }
}

int sr_code_expand(sr_code code) { return code.featurizer == 13 ? 2 : 1; }

bool sr_code_biases(sr_code code) {
    return code.featurizer == 10 || (code.featurizer >= 20 && code.featurizer <= 22);
}
