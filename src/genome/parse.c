/* Text to genomes: integers and names lists.
 *
 * Input is untrusted: every count is bounded before use, no recursion, and nothing is read past the
 * given length. Positions in messages count bytes from 1. */
#include "genome/genome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 32,     /* nested parentheses */
    MAX_NAME = 40,      /* bytes of a name */
    TOO_LARGE = 1 << 24 /* integers saturate here, above every limit */
};

typedef struct sr_cursor {
    sartor_context *ctx;
    const char *text;
    size_t at, end;
} sr_cursor;

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == ':' || c == '_' || c == '+';
}

/* The byte under the cursor, 0 at the end (a byte 0 in the text is a bad character: at < end). */
static char peek(const sr_cursor *c) { return c->at < c->end ? c->text[c->at] : '\0'; }
static void skip_spaces(sr_cursor *c) {
    while (c->at < c->end && is_space(c->text[c->at])) c->at++;
}

static sartor_status bad_character(const sr_cursor *c, const char *where, const char *legal) {
    char name[8];
    unsigned char b = (unsigned char)c->text[c->at];
    snprintf(name, sizeof name, b > ' ' && b < 127 ? "'%c'" : b == ' ' ? "space" : "0x%02x", b);
    return sr_fail(c->ctx, SARTOR_INVALID, "genome: %s: bad character %s at position %zu (%s)",
                   where, name, c->at + 1, legal);
}

/* Digits to an integer, saturated; the number of digits is returned. */
static int read_integer(sr_cursor *c, int *value) {
    int digits = 0;
    for (*value = 0; is_digit(peek(c)); c->at++) {
        if (*value < TOO_LARGE) *value = *value * 10 + (c->text[c->at] - '0');
        if (digits < TOO_LARGE) digits++;
    }
    return digits;
}

/* Five integers, with dots or as five digits. Stops behind them at the first other character. */
static sartor_status read_five(sr_cursor *c, const char *where, int five[SR_GENES]) {
    size_t start = c->at;
    int count = 0;
    for (;;) {
        int value, digits = read_integer(c, &value);
        if (digits == 0 && count == 0 && c->at < c->end)
            return bad_character(c, where, "five integers are wanted: 2.1.2.1.1 or 21211");
        if (digits == 0)
            return sr_fail(c->ctx, SARTOR_INVALID,
                           "genome: %s: an integer is missing at position %zu", where, c->at + 1);
        if (count < SR_GENES) five[count] = value;
        count++;
        if (peek(c) != '.') {
            if (count > 1) break;
            count = digits; /* without dots: one integer per digit */
            for (int i = 0; i < SR_GENES && i < digits; i++)
                five[i] = c->text[start + (size_t)i] - '0';
            break;
        }
        c->at++;
    }
    if (count != SR_GENES)
        return sr_fail(c->ctx, SARTOR_INVALID, "genome: %s: %d integer%s instead of 5", where,
                       count, count == 1 ? "" : "s");
    return SARTOR_OK;
}

static sartor_status too_long(const sr_cursor *c) {
    return sr_fail(c->ctx, SARTOR_INVALID, "genome: more than %d LIVs", SR_MAX_LIVS);
}

static sartor_status parse_integers(sr_cursor *c, sr_genome *g) {
    for (;;) {
        char where[24];
        int five[SR_GENES];
        snprintf(where, sizeof where, "LIV %d", g->n + 1);
        if (g->n == SR_MAX_LIVS) return too_long(c);
        skip_spaces(c);
        if (c->at == c->end)
            return sr_fail(c->ctx, SARTOR_INVALID, "genome: %s is missing after the last '-'",
                           where);
        SR_TRY(read_five(c, where, five));
        g->liv[g->n++] = (sr_gene){five[0], five[1], five[2], five[3], five[4]};
        skip_spaces(c);
        if (c->at == c->end) return SARTOR_OK;
        if (peek(c) != '-') return bad_character(c, where, "LIVs are joined by '-'");
        c->at++;
    }
}

static sartor_status parse_name(sr_cursor *c, int *liv_class) {
    char name[MAX_NAME + 1], where[MAX_NAME + 40], hint[SR_CLASS_HINT];
    size_t start = c->at, n = 0;
    while (c->at < c->end && is_name(c->text[c->at])) c->at++;
    n = c->at - start;
    if (n > MAX_NAME) n = MAX_NAME;
    memcpy(name, c->text + start, n);
    name[n] = '\0';
    if (strncmp(name, "op:", 3) != 0) {
        const sr_class *class_ = c->at - start > MAX_NAME ? NULL : sr_class_find(name);
        if (class_ == NULL)
            return sr_fail(c->ctx, SARTOR_INVALID,
                           "genome: '%s' at position %zu is not a LIV class (sartor list livs)%s",
                           name, start + 1, sr_class_hint(name, hint));
        *liv_class = class_->number;
        return SARTOR_OK;
    }
    int five[SR_GENES];
    sr_cursor code = {c->ctx, c->text, start + 3, c->at};
    snprintf(where, sizeof where, "%s at position %zu", name, start + 1);
    SR_TRY(read_five(&code, where, five));
    if (code.at < code.end) return bad_character(&code, where, "op: takes five integers");
    const sr_class *class_ =
        sr_class_of_code(c->ctx, (sr_code){five[0], five[1], five[2], five[3], five[4]});
    if (class_ == NULL)
        return sr_fail_in(c->ctx, SARTOR_INVALID, "genome: %s cannot be built", where);
    *liv_class = class_->number;
    return SARTOR_OK;
}

/* Behind ')': xN, or nothing for once. Repeats the LIVs from `start` on. */
static sartor_status parse_repeat(sr_cursor *c, sr_genome *g, int start) {
    int times = 1, length = g->n - start;
    size_t after = c->at;
    skip_spaces(c);
    if (peek(c) == 'x' && c->at + 1 < c->end && is_digit(c->text[c->at + 1])) {
        size_t at = c->at++;
        read_integer(c, &times);
        if (times < 1 || times > SR_MAX_LIVS)
            return sr_fail(c->ctx, SARTOR_INVALID,
                           "genome: the repeat at position %zu is not in x1..x%d", at + 1,
                           SR_MAX_LIVS);
    } else {
        c->at = after;
    }
    if (length * times > SR_MAX_LIVS - start) return too_long(c);
    for (int i = 0; i < length * (times - 1); i++) g->liv[g->n + i] = g->liv[start + i];
    g->n += length * (times - 1);
    return SARTOR_OK;
}

static sartor_status parse_names(sr_cursor *c, sr_genome *g) {
    int depth = 0, starts[MAX_DEPTH];
    size_t opened[MAX_DEPTH];
    for (skip_spaces(c); c->at < c->end; skip_spaces(c)) {
        char next = peek(c);
        if (next == '(') {
            if (depth == MAX_DEPTH)
                return sr_fail(c->ctx, SARTOR_INVALID,
                               "genome: more than %d nested parentheses at position %zu", MAX_DEPTH,
                               c->at + 1);
            opened[depth] = ++c->at;
            starts[depth++] = g->n;
        } else if (next == ')') {
            if (depth == 0)
                return sr_fail(c->ctx, SARTOR_INVALID, "genome: ')' at position %zu closes nothing",
                               c->at + 1);
            if (starts[--depth] == g->n)
                return sr_fail(c->ctx, SARTOR_INVALID,
                               "genome: nothing in the parentheses at position %zu", opened[depth]);
            c->at++;
            SR_TRY(parse_repeat(c, g, starts[depth]));
        } else if (is_name(next)) {
            int liv_class = 0;
            SR_TRY(parse_name(c, &liv_class));
            if (g->n == SR_MAX_LIVS) return too_long(c);
            g->liv[g->n++] = (sr_gene){liv_class, 1, 1, 1, 1};
        } else {
            return bad_character(c, "names list", "names, parentheses and xN");
        }
    }
    if (depth > 0)
        return sr_fail(c->ctx, SARTOR_INVALID, "genome: '(' at position %zu is not closed",
                       opened[depth - 1]);
    return SARTOR_OK;
}

sartor_status sr_genome_parse(sartor_context *ctx, const char *text, size_t n, sr_genome *out) {
    sr_cursor c = {ctx, text, 0, n};
    out->n = 0;
    skip_spaces(&c);
    if (c.at == c.end) return sr_fail(ctx, SARTOR_INVALID, "genome: empty");
    char first = peek(&c);
    bool integers = is_digit(first) || first == '-' || first == '.';
    SR_TRY(integers ? parse_integers(&c, out) : parse_names(&c, out));
    return sr_genome_check(ctx, out, NULL);
}
