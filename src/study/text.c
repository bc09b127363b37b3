/* What a study knows of its text: identities among the settings, paths as a fact. */
#define _GNU_SOURCE
#include "study/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACT_TEXT "text" /* paths of data and tokenizer: JSON */

/* Paths that mean the same from any folder; a cache need not be there yet. */
static json_t *absolute(const char *path) {
    if (path == NULL) return json_null();
    char *full = realpath(path, NULL);
    char *here = full == NULL && *path != '/' ? realpath(".", NULL) : NULL;
    if (here != NULL && asprintf(&full, "%s/%s", here, path) < 0) full = NULL;
    json_t *text = json_string(full != NULL ? full : path);
    free(here);
    free(full);
    return text;
}

static char *fact_text(const sartor_text *text, const char *tokenizer) {
    json_t *paths = json_array();
    bool bad = paths == NULL;
    for (int i = 0; i < text->n_paths; i++)
        if (json_array_append_new(paths, absolute(text->paths[i])) != 0) bad = true;
    json_t *root = json_pack("{s:o, s:o, s:o, s:s?, s:o, s:o}", "data", paths, "validation",
                             absolute(text->validation), "test", absolute(text->test), "separator",
                             text->doc_separator, "cache", absolute(text->cache), "tokenizer",
                             absolute(tokenizer));
    char *fact = root != NULL && !bad ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return fact;
}

static sartor_status data_changed(sartor_context *ctx, const sr_study *study, const char *what) {
    return sr_fail(ctx, SARTOR_MISMATCH, "%s: the %s has changed since the study was made",
                   sr_study_path(study), what);
}

static sartor_status same(sartor_context *ctx, const sr_study *study, const char *setting,
                          const char *what, sr_hash identity) {
    char text[SR_HASH_TEXT];
    sr_hash_text(identity, text);
    const char *stored = json_string_value(json_object_get(sr_study_settings(study), setting));
    return stored != NULL && strcmp(stored, text) == 0 ? SARTOR_OK : data_changed(ctx, study, what);
}

static sartor_status read_text(sartor_context *ctx, const sr_study *study, sr_study_text *s,
                               const json_t *fact, sr_split parts) {
    const json_t *data = json_object_get(fact, "data");
    const size_t n = json_array_size(data);
    if (n == 0)
        return sr_fail(ctx, SARTOR_INVALID, "%s: was made without text to train on",
                       sr_study_path(study));
    const char **paths = calloc(n > 0 ? n : 1, sizeof *paths);
    if (paths == NULL) return sr_no_memory(ctx);
    for (size_t i = 0; i < n; i++) {
        const char *path = json_string_value(json_array_get(data, i));
        paths[i] = path != NULL ? path : "";
    }
    sartor_text text = {.paths = paths,
                        .n_paths = (int)n,
                        .validation = json_string_value(json_object_get(fact, "validation")),
                        .test = json_string_value(json_object_get(fact, "test")),
                        .doc_separator = json_string_value(json_object_get(fact, "separator")),
                        .cache = json_string_value(json_object_get(fact, "cache"))};
    sartor_status status = SARTOR_OK;
    if (s->corpus.tokenizer == NULL) {
        status =
            sr_corpus_begin(ctx, json_string_value(json_object_get(fact, "tokenizer")), &s->corpus);
        if (status == SARTOR_OK)
            status = same(ctx, study, "tokenizer", "tokenizer",
                          sr_tokenizer_identity(s->corpus.tokenizer));
    }
    if (status == SARTOR_OK) status = sr_corpus_read(ctx, &s->corpus, &text, parts);
    free(paths);
    if (status == SARTOR_OK && (parts & SR_TRAIN))
        status = same(ctx, study, "data", "training text", s->corpus.train.identity);
    if (status == SARTOR_OK && (parts & SR_VAL))
        status = same(ctx, study, "validation", "validation text", s->corpus.validation.identity);
    if (status == SARTOR_OK && (parts & SR_TEST))
        status = same(ctx, study, "test", "test text", s->corpus.test.identity);
    return status;
}

sartor_status sr_study_text_open(sartor_context *ctx, sr_study *study, sr_study_text *s,
                                 sr_split parts) {
    const sr_split missing = (sr_split)(parts & ~s->parts);
    if (missing == 0) return SARTOR_OK;
    char *text;
    SR_TRY(sr_study_get(ctx, study, FACT_TEXT, &text));
    json_t *fact = text != NULL ? json_loads(text, 0, NULL) : NULL;
    free(text);
    sartor_status status = read_text(ctx, study, s, fact, missing);
    json_decref(fact);
    if (status == SARTOR_OK) s->parts |= (int)missing;
    /* A text that is gone is nobody's fault but the surroundings': no job fails for it. */
    return status == SARTOR_OK || status == SARTOR_INTERRUPTED ? status
                                                               : sr_fail_in(ctx, SARTOR_IO, "data");
}

void sr_study_text_close(sr_study_text *s) {
    sr_corpus_close(&s->corpus);
    *s = (sr_study_text){0};
}

/* ---- making ---- */

sartor_status sr_study_text_put(sartor_context *ctx, sr_study *study, const sartor_text *text,
                                const char *tokenizer) {
    char *fact = fact_text(text, tokenizer);
    sartor_status status =
        fact != NULL ? sr_study_put(ctx, study, FACT_TEXT, fact)
                     : sr_fail(ctx, SARTOR_INVALID, "%s: a path or the separator is not in UTF-8",
                               sr_study_path(study));
    free(fact);
    return status;
}

static json_t *hash_json(sr_hash hash) {
    char text[SR_HASH_TEXT];
    sr_hash_text(hash, text);
    return json_string(text);
}

sartor_status sr_study_text_settings(sartor_context *ctx, const sr_tokenizer *tokenizer,
                                     const sr_source *source, json_t *settings) {
    static const struct {
        const char *name;
        sr_split part;
    } parts[] = {{"data", SR_TRAIN}, {"validation", SR_VAL}, {"test", SR_TEST}};
    bool bad = json_object_set_new(settings, "tokenizer",
                                   hash_json(sr_tokenizer_identity(tokenizer))) != 0;
    for (size_t i = 0; i < 3 && source != NULL; i++)
        bad |= json_object_set_new(settings, parts[i].name,
                                   hash_json(sr_source_identity(source, parts[i].part))) != 0;
    return bad ? sr_no_memory(ctx) : SARTOR_OK;
}

sartor_status sr_study_text_tokens(sartor_context *ctx, const sartor_text *text, sr_source *source,
                                   const sr_tokenizer *tokenizer, uint64_t *count) {
    const sr_split parts[] = {SR_TRAIN, SR_VAL};
    for (size_t i = 0; i < 2; i++) {
        sr_tokens tokens = {0};
        SR_TRY(sr_text_tokens(ctx, text, source, tokenizer, parts[i], &tokens));
        if (i == 0 && count != NULL) *count = tokens.count;
        sr_tokens_close(&tokens);
    }
    return SARTOR_OK;
}
