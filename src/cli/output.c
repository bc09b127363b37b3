#include "cli/output.h"

#include "cli/command.h"
#include "data/spm_model.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

int sr_print_json(json_t *object) {
    if (object == NULL) return sr_report_message("not enough memory");
    char *line = json_dumps(object, JSON_REAL_PRECISION(17));
    json_decref(object);
    if (line == NULL) return sr_report_message("not enough memory");
    puts(line);
    free(line);
    return sr_finish_output();
}

json_t *sr_json_real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

json_t *sr_json_text(const char *bytes, size_t size) {
    char *text = malloc(size * 3 + 1);
    if (text == NULL) return NULL;
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        size_t n = sr_utf8_length((const unsigned char *)bytes + i, size - i);
        memcpy(text + used, n > 0 ? bytes + i : "\xEF\xBF\xBD", n > 0 ? n : 3);
        used += n > 0 ? n : 3;
        i += n > 0 ? n : 1;
    }
    json_t *string = json_stringn_nocheck(text, used);
    free(text);
    return string;
}

int sr_print_measure_json(const sartor_measure *m) {
    return sr_print_json(json_pack(
        "{s:i, s:o, s:o, s:o, s:I, s:o, s:o, s:I, s:I}", "version", 1, "val_loss",
        sr_json_real(m->loss), "bits_per_byte", sr_json_real(m->bits_per_byte), "perplexity",
        sr_json_real(m->perplexity), "tokens", (json_int_t)m->tokens, "seconds",
        sr_json_real(m->seconds), "tokens_per_second", sr_json_real(m->tokens_per_second),
        "peak_rss_bytes", (json_int_t)m->peak_rss_bytes, "peak_anonymous_bytes",
        (json_int_t)m->peak_anonymous_bytes));
}

/* ---- for people ---- */

const char *sr_grouped(int64_t value, char text[SR_NUMBER_TEXT]) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    size_t n = strlen(digits), used = 0;
    for (size_t i = 0; i < n; i++) {
        text[used++] = digits[i];
        if ((n - 1 - i) % 3 == 0 && i + 1 < n && digits[i] != '-') text[used++] = ',';
    }
    text[used] = '\0';
    return text;
}

/* Three digits and a unit; `units` holds one character for each power of `base`. */
static const char *scaled(double value, double base, const char *const *units, int count,
                          char text[SR_NUMBER_TEXT]) {
    int unit = 0;
    while (fabs(value) >= 0.9995 * base && unit + 1 < count) {
        value /= base;
        unit++;
    }
    int decimals = unit == 0 || fabs(value) >= 99.95 ? 0 : fabs(value) >= 9.995 ? 1 : 2;
    snprintf(text, SR_NUMBER_TEXT, "%.*f%s", decimals, value, units[unit]);
    return text;
}

const char *sr_short_count(double value, char text[SR_NUMBER_TEXT]) {
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    return scaled(value, 1000, units, 6, text);
}

const char *sr_short_bytes(int64_t bytes, char text[SR_NUMBER_TEXT]) {
    static const char *const units[] = {" bytes", " KiB", " MiB", " GiB", " TiB", " PiB"};
    return scaled((double)bytes, 1024, units, 6, text);
}

const char *sr_short_latency(double seconds, char text[SR_NUMBER_TEXT]) {
    static const char *const units[] = {" ns", " µs", " ms", " s"};
    return scaled(seconds * 1e9, 1000, units, 4, text);
}

const char *sr_short_time(double seconds, char text[SR_NUMBER_TEXT]) {
    if (!(seconds < 1e8)) {
        snprintf(text, SR_NUMBER_TEXT, "?");
    } else if (seconds < 9.95) {
        snprintf(text, SR_NUMBER_TEXT, "%.1f s", seconds);
    } else {
        int64_t whole = (int64_t)(seconds + 0.5);
        if (whole < 60)
            snprintf(text, SR_NUMBER_TEXT, "%" PRId64 " s", whole);
        else if (whole < 3600)
            snprintf(text, SR_NUMBER_TEXT, "%" PRId64 " min %02" PRId64 " s", whole / 60,
                     whole % 60);
        else
            snprintf(text, SR_NUMBER_TEXT, "%" PRId64 " h %02" PRId64 " min", whole / 3600,
                     whole / 60 % 60);
    }
    return text;
}

void sr_print_measure(const char *what, const sartor_measure *m) {
    char a[SR_NUMBER_TEXT], b[SR_NUMBER_TEXT], c[SR_NUMBER_TEXT];
    printf("%-12s %.4f bits per byte, loss %.4f nats per token, perplexity %.4g\n", what,
           m->bits_per_byte, m->loss, m->perplexity);
    printf("%-12s %s tokens in %s, %s tokens/s\n", "work", sr_grouped(m->tokens, a),
           sr_short_time(m->seconds, b), sr_short_count(m->tokens_per_second, c));
    printf("%-12s peak %s, of which %s anonymous\n", "memory", sr_short_bytes(m->peak_rss_bytes, a),
           sr_short_bytes(m->peak_anonymous_bytes, b));
}

/* ---- text to a terminal ---- */

/* Bytes that `c` promises as the first of a character; 1 for what can start none. */
static size_t promised(unsigned char c) {
    return c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xC2 && c < 0xE0 ? 2 : 1;
}

/* C0 but tab and line end, DEL, C1 (C2 80..9F in UTF-8), and bytes of no character. */
static void write_shown(FILE *stream, const char *bytes, size_t n) {
    unsigned char c = (unsigned char)bytes[0];
    bool control = n == 1 && ((c < 0x20 && c != '\n' && c != '\t') || c >= 0x7F);
    if (control)
        fprintf(stream, "\\x%02x", c);
    else if (n == 2 && c == 0xC2 && (unsigned char)bytes[1] < 0xA0)
        fprintf(stream, "\\u%04x", (unsigned)(unsigned char)bytes[1]);
    else
        fwrite(bytes, 1, n, stream);
}

/* Writes the characters that are complete; at the end of the text, everything. */
static void write_held(sr_text_stream *out, bool end) {
    while (out->n_held > 0) {
        const unsigned char *held = (const unsigned char *)out->held;
        size_t n = sr_utf8_length(held, out->n_held);
        if (n == 0) {
            bool may_continue = out->n_held < promised(held[0]);
            for (size_t i = 1; i < out->n_held; i++)
                may_continue = may_continue && (held[i] & 0xC0) == 0x80;
            if (may_continue && !end) return;
            n = 1;
        }
        write_shown(out->stream, out->held, n);
        out->n_held -= n;
        memmove(out->held, out->held + n, out->n_held);
    }
}

void sr_text_write(sr_text_stream *out, const char *bytes, size_t size) {
    if (!out->terminal) {
        fwrite(bytes, 1, size, out->stream);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        out->held[out->n_held++] = bytes[i];
        write_held(out, false);
    }
}

void sr_text_end(sr_text_stream *out) { write_held(out, true); }
