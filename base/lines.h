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
    char *text; /* the beginning of a line whose end has not come; NULL: there is none */
    size_t size;
} mfi_lines;

/* The limit is at least 8 bytes: a piece is cut up to 4 bytes below it, and then still holds the
 * longest character. */
void mfi_lines_init(mfi_lines *lines, size_t limit, mfi_line_fn line, void *self);
/* Shows every line that ends in data, without its newline; one of more than the limit in pieces,
 * and without memory also one that comes in several parts. */
void mfi_lines_feed(mfi_lines *lines, const char *data, size_t size);
/* Shows what is left of a last line without newline, and keeps nothing. */
void mfi_lines_end(mfi_lines *lines);

#endif
