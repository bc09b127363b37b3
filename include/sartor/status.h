/* Status codes: what every library function that can fail returns.
 *
 * A function that fails leaves one line of text in its context (sartor_error()), written for the
 * person who typed the command: what was wrong, where, and what would be right. */
#ifndef SARTOR_STATUS_H
#define SARTOR_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Append only: programs store these numbers. */
typedef enum sartor_status {
    SARTOR_OK = 0,
    SARTOR_INVALID = 1,     /* an argument, a genome, a size, a setting is wrong */
    SARTOR_IO = 2,          /* a file cannot be read or written */
    SARTOR_FORMAT = 3,      /* a file's content is malformed or hostile */
    SARTOR_MEMORY = 4,      /* it does not fit, or an allocation failed */
    SARTOR_MISMATCH = 5,    /* a stored thing belongs to other settings, data or architecture */
    SARTOR_NOT_FINITE = 6,  /* a loss or a logit is not finite */
    SARTOR_INTERRUPTED = 7, /* asked to stop (a signal); state was saved */
    SARTOR_LIBRARY = 8      /* a library underneath refused (oneDNN, SentencePiece) */
} sartor_status;

/* The code's name in words, for example "invalid". Static storage. */
const char *sartor_status_name(sartor_status status);

#ifdef __cplusplus
}
#endif
#endif
