/* Cuts a stream of bytes into lines of bounded length. */
#ifndef MFI_ENGINE_LINES_H
#define MFI_ENGINE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/wire/limits.h"

typedef struct mfi_lines {
    void (*line)(void *self, const char *text, size_t length);
    void *self;
    size_t size;
    char text[MFI_OUTPUT_MAX_BYTES];
} mfi_lines;

void mfi_lines_init(mfi_lines *lines, void (*line)(void *self, const char *text, size_t length),
                    void *self);
/* Shows every line that ends in data, without its newline; a longer one in pieces. */
void mfi_lines_feed(mfi_lines *lines, const char *data, size_t size);
/* Shows what is left of a last line without newline. */
void mfi_lines_end(mfi_lines *lines);

#endif
