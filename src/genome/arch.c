/* ARCH, as a person types it: a preset, a genome, a names list, or a file that holds one of these.
 *
 * What is looked for first wins: a preset; integers (the text starts with a digit and holds nothing
 * but digits, dots, dashes and spaces); a names list that starts with a known name; an existing
 * file; else a names list or genome, for its message. A file never hides what the text already
 * means. */
#define _GNU_SOURCE
#include "base/file.h"
#include "genome/genome.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILE = 1 << 20 };
static const char spaces[] = " \t\n\v\f\r";

sartor_status sr_genome_of_json(sartor_context *ctx, const char *text, size_t n, char **genome) {
    json_error_t error;
    *genome = NULL;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return sr_fail(ctx, SARTOR_FORMAT, "not JSON: %s (line %d)", error.text, error.line);
    const char *value = json_string_value(json_object_get(root, "genome"));
    if (value != NULL) *genome = strdup(value);
    json_decref(root);
    if (value == NULL)
        return sr_fail(ctx, SARTOR_FORMAT, "the JSON has no \"genome\" that is a string");
    return *genome != NULL ? SARTOR_OK : sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
}

/* Presets, genomes, names lists. `text` ends in 0. A preset is cut or repeated to `livs`, or to its
 * default length. */
static sartor_status parse_plain(sartor_context *ctx, const char *text, int livs, sr_genome *out) {
    const sr_preset *preset = sr_preset_find(text);
    if (preset != NULL) {
        SR_TRY(sr_genome_parse(ctx, preset->names, strlen(preset->names), out));
        return sr_genome_fit(ctx, out, livs != 0 ? livs : SR_DEFAULT_LIVS);
    }
    SR_TRY(sr_genome_parse(ctx, text, strlen(text), out));
    return livs != 0 ? sr_genome_fit(ctx, out, livs) : SARTOR_OK;
}

/* Cuts spaces off both ends in place. */
static char *trimmed(char *text) {
    text += strspn(text, spaces);
    size_t n = strlen(text);
    while (n > 0 && strchr(spaces, text[n - 1]) != NULL) text[--n] = '\0';
    return text;
}

static sartor_status parse_content(sartor_context *ctx, char *content, size_t n, int livs,
                                   sr_genome *out) {
    if (memchr(content, '\0', n) != NULL)
        return sr_fail(ctx, SARTOR_FORMAT, "a binary file, not an architecture");
    char *text = trimmed(content);
    if (*text == '\0') return sr_fail(ctx, SARTOR_FORMAT, "the file is empty");
    if (*text != '{') return parse_plain(ctx, text, livs, out);
    char *genome = NULL;
    SR_TRY(sr_genome_of_json(ctx, text, strlen(text), &genome));
    sartor_status status = parse_plain(ctx, trimmed(genome), livs, out);
    free(genome);
    return status;
}

static sartor_status parse_file(sartor_context *ctx, const char *path, int livs, sr_genome *out) {
    char *content = NULL;
    size_t n = 0;
    SR_TRY(sr_file_read(ctx, path, MAX_FILE, &content, &n)); /* names the file itself */
    sartor_status status = parse_content(ctx, content, n, livs, out);
    free(content);
    return status == SARTOR_OK ? status : sr_fail_in(ctx, status, "%s", path);
}

static bool means_integers(const char *text) {
    return *text >= '0' && *text <= '9' && text[strspn(text, "0123456789.- \t\n\v\f\r")] == '\0';
}

static bool starts_with_name(const char *text) {
    char name[32];
    text += strspn(text, " \t\n\v\f\r(");
    size_t n = strcspn(text, " \t\n\v\f\r()");
    if (n == 0 || n >= sizeof name) return false;
    memcpy(name, text, n);
    name[n] = '\0';
    return strncmp(name, "op:", 3) == 0 || sr_class_find(name) != NULL;
}

/* Nothing that ARCH may be: says so in words that fit what was probably meant. */
static sartor_status unknown(sartor_context *ctx, const char *text, int livs, sr_genome *out) {
    char hint[SR_CLASS_HINT];
    bool one_word = text[strcspn(text, " \t\n\v\f\r()")] == '\0';
    if (!one_word || *text == '\0' || (*text >= '0' && *text <= '9') ||
        strspn(text, "0123456789.-") == strlen(text))
        return parse_plain(ctx, text, livs, out);
    return sr_fail(
        ctx, SARTOR_INVALID,
        "'%.80s' is no preset (sartor list presets), no LIV class (sartor list livs), no "
        "genome and no file%s",
        text, sr_class_hint(text, hint));
}

sartor_status sr_arch_parse(sartor_context *ctx, const char *arch, int livs, sr_genome *out) {
    struct stat st;
    char *copy = strdup(arch);
    if (copy == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    char *text = trimmed(copy);
    sartor_status status;
    if (sr_preset_find(text) != NULL || means_integers(text) || starts_with_name(text))
        status = parse_plain(ctx, text, livs, out);
    else if (stat(arch, &st) == 0)
        status = parse_file(ctx, arch, livs, out);
    else
        status = unknown(ctx, text, livs, out);
    free(copy);
    return status;
}
