/* Cuts a stream of bytes into lines of bounded length. */
#ifndef MFI_ENGINE_LINES_H
#define MFI_ENGINE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/wire/limits.h"

typedef struct mfi_lines {
    void (*line)(void *self, const char *text, size_t length);
    void *self;
    char *text; /* the beginning of a line whose end has not come; NULL: there is none */
    size_t size;
} mfi_lines;

void mfi_lines_init(mfi_lines *lines, void (*line)(void *self, const char *text, size_t length),
                    void *self);
/* Shows every line that ends in data, without its newline; one of more than MFI_OUTPUT_MAX_BYTES in
 * pieces, and without memory also one that comes in several parts. */
void mfi_lines_feed(mfi_lines *lines, const char *data, size_t size);
/* Shows what is left of a last line without newline, and keeps nothing. */
void mfi_lines_end(mfi_lines *lines);

#endif
