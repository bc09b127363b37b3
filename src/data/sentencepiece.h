/* SentencePiece from C. No exception leaves these functions and nothing is printed; a failure fills
 * `message`. Only canonical models (data/spm_model.h) may be loaded. */
#ifndef SR_DATA_SENTENCEPIECE_H
#define SR_DATA_SENTENCEPIECE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SR_SPM_MESSAGE = 256 };

/* A loaded model, or NULL. */
void *sr_spm_load(const void *data, size_t size, char message[SR_SPM_MESSAGE]);
void sr_spm_unload(void *model);

/* Calls take(user, ids, count) once with the ids of n bytes of valid UTF-8, and gives what it
 * returns; -1 when the library fails. May run in several threads at once. */
int sr_spm_encode(const void *model, const char *text, size_t n,
                  int (*take)(void *user, const int *ids, size_t count), void *user);

/* Gives the next line in *line and *n and returns 1; 0 at the end, -1 to stop with an error. */
typedef int (*sr_spm_next)(void *user, const char **line, size_t *n);

/* Trains a model of `pieces` pieces with lossless settings; *data is released with free(). 0 if
 * good, 1 if the library refused, 2 if `next` stopped it. */
int sr_spm_train(int bpe, int32_t pieces, sr_spm_next next, void *user, char **data, size_t *size,
                 char message[SR_SPM_MESSAGE]);

#ifdef __cplusplus
}
#endif
#endif
