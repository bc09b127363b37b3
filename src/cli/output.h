/* What commands print: JSON lines, numbers for people, text that cannot harm a terminal. */
#ifndef SR_CLI_OUTPUT_H
#define SR_CLI_OUTPUT_H

#include <jansson.h>
#include <sartor/train.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One line on standard output; reals have 17 digits. Takes the object, which may be NULL when
 * memory ran out while it was made. Returns the exit code, standard output flushed. */
int sr_print_json(json_t *object);
/* A number, or null where it is not finite: JSON has no other numbers. */
json_t *sr_json_real(double value);
/* Any bytes as a JSON string; what is not UTF-8 becomes U+FFFD. */
json_t *sr_json_text(const char *bytes, size_t size);

/* Numbers for people, in `text`: 1,234,567; 84.9 M; 144.0 MiB; 1 h 02 min; 35.2 µs. */
enum { SR_NUMBER_TEXT = 40 };
const char *sr_grouped(int64_t value, char text[SR_NUMBER_TEXT]);
const char *sr_short_count(double value, char text[SR_NUMBER_TEXT]);
const char *sr_short_bytes(int64_t bytes, char text[SR_NUMBER_TEXT]);
const char *sr_short_time(double seconds, char text[SR_NUMBER_TEXT]);
const char *sr_short_latency(double seconds, char text[SR_NUMBER_TEXT]);

/* The result of training or evaluating: one JSON line, or lines for a person with `what` in front
 * ("validation"). Returns the exit code. */
int sr_print_measure_json(const sartor_measure *measure);
void sr_print_measure(const char *what, const sartor_measure *measure);

/* Bytes of a text as they come, to a stream. For a terminal control characters are shown as \xNN
 * and characters come out whole; otherwise the bytes are untouched. */
typedef struct sr_text_stream {
    FILE *stream;
    bool terminal;
    char held[4]; /* the start of a character that is not complete */
    size_t n_held;
} sr_text_stream;
void sr_text_write(sr_text_stream *out, const char *bytes, size_t size);
/* Writes what is still held. */
void sr_text_end(sr_text_stream *out);

#endif
