/* Text files and folders as documents, each in one of the parts train, validation, test.
 *
 * What holds: documents depend on the bytes of the files and on the options only, never on names,
 * times or locale (names give the order). A document's part is a keyed hash of its content, so
 * exact duplicates are in one part and adding files moves no old document. No text is held in
 * memory: files are mapped one at a time when read. Nothing assumes valid UTF-8. */
#ifndef SR_DATA_SOURCE_H
#define SR_DATA_SOURCE_H

#include "base/file.h"
#include "base/hash.h"

/* A set of parts. */
typedef enum sr_split { SR_TRAIN = 1, SR_VAL = 2, SR_TEST = 4, SR_ALL_SPLITS = 7 } sr_split;

/* "all", "train", "val" or "test". */
sartor_status sr_split_parse(sartor_context *ctx, const char *text, sr_split *split);
const char *sr_split_name(sr_split split);

typedef struct sr_source_options {
    const char *const *data; /* files or folders */
    size_t data_count;
    const char *const *val; /* replaces the hashed validation part, which then belongs to train */
    size_t val_count;
    const char *const *test; /* likewise for test */
    size_t test_count;
    const char *separator; /* between documents of one file; NULL or "": a file is a document */
    bool whole;            /* the parts will not be told apart: see sr_source_open() */
} sr_source_options;

typedef struct sr_document {
    uint64_t offset, size; /* in its file; size >= 1 */
    sr_hash hash;          /* of its content */
    uint32_t file;         /* index for sr_source_path() */
    sr_split split;        /* one part */
} sr_document;

typedef struct sr_source sr_source;

/* Lists the documents of `data` in the order given, then those of `val`, then of `test`. Folders
 * are walked recursively in byte order of the relative path; files in them that are hidden or look
 * binary are skipped and counted in the log, but a binary file named directly is an error.
 *
 * A file is one document, or several between occurrences of `separator` (if only blanks follow it
 * on its line, the rest of the line is dropped with it). A document over 1 MiB is cut after blank
 * lines (else line ends, else hard, but not inside a UTF-8 character) into blocks of about 64 KiB.
 * When hashing leaves a part without text because there are few documents, and not `whole`, all
 * documents are cut finer: into about 128 blocks of at least 1 KiB.
 *
 * Parts: 90 % train, 5 % validation, 5 % test by the documents' hashes.
 * SARTOR_IO: a missing or unreadable path. SARTOR_INVALID: no text at all, or binary data. An empty
 * part is not an error here: sr_source_require() makes it one. */
sartor_status sr_source_open(sartor_context *ctx, const sr_source_options *options,
                             sr_source **out);
void sr_source_close(sr_source **source);

/* SARTOR_INVALID with a message that says what to do when a part in `split` has no text. */
sartor_status sr_source_require(sartor_context *ctx, const sr_source *source, sr_split split);

size_t sr_source_count(const sr_source *source);
const sr_document *sr_source_document(const sr_source *source, size_t index);
const char *sr_source_path(const sr_source *source, uint32_t file);

/* Raw bytes and number of documents in `split`. */
uint64_t sr_source_bytes(const sr_source *source, sr_split split);
uint64_t sr_source_documents(const sr_source *source, sr_split split);

/* Identity of the text in `split`: a hash of its documents' contents in order. Store it with
 * whatever was computed from the data. */
sr_hash sr_source_identity(const sr_source *source, sr_split split);

/* The bytes of a document, valid until the next call for this source. Fails (SARTOR_MISMATCH) when
 * the file is no longer as long as it was. */
sartor_status sr_source_read(sartor_context *ctx, sr_source *source, size_t index,
                             const unsigned char **data);

#endif
