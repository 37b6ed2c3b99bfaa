/* Cuts a stream of bytes into lines of bounded length. */
#ifndef MFI_BASE_LINES_H
#define MFI_BASE_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* Receives a line, or a piece of one, without its newline. */
typedef void (*mfi_line_fn)(void *self, const char *text, size_t length);

typedef struct mfi_lines {
    size_t limit; /* bytes of a piece at most */
    mfi_line_fn line;
    void *self;
    char *text; /* the beginning of an unfinished line, or NULL */
    size_t size;
} mfi_lines;

/* limit: bytes, at least 8, because a cut may be up to 4 bytes below the limit and the piece must
 * still hold the longest character. */
void mfi_lines_init(mfi_lines *lines, size_t limit, mfi_line_fn line, void *self);
/* Shows every line that ends in data. A line of more than `limit` bytes is shown in pieces, and so
 * is, without memory, a line that arrives in several parts. */
void mfi_lines_feed(mfi_lines *lines, const char *data, size_t size);
/* Shows an unfinished last line, and keeps nothing. */
void mfi_lines_end(mfi_lines *lines);

#endif
