/* The last lines that a worker printed to one stream, for the reports about its end. */
#ifndef MFI_CLIENT_TAIL_H
#define MFI_CLIENT_TAIL_H

#include <stddef.h>

#define MFI_TAIL_LINES 8    /* most lines that are kept */
#define MFI_TAIL_BYTES 1024 /* most bytes, newlines included */

typedef struct mfi_tail {
    char text[MFI_TAIL_BYTES + 1]; /* whole lines, each with its newline; NUL-terminated */
    size_t size;
    size_t lines;
} mfi_tail;

void mfi_tail_clear(mfi_tail *tail);
/* Adds a line without its end. Control characters become escapes; a line of more than a quarter of
 * the room is cut. The oldest lines make room. */
void mfi_tail_add(mfi_tail *tail, const char *text, size_t length);
/* The last whole lines of at most `most` bytes, without the last newline. Returns the length;
 * *ret_text is not terminated there. */
size_t mfi_tail_last(const mfi_tail *tail, size_t most, const char **ret_text);
/* Appends "; stderr: line | line" to the text in `to` of `size` bytes: the last lines that fit, in
 * one line, without their indents. Nothing if there are none. */
void mfi_tail_explain(const mfi_tail *tail, const char *stream, char *to, size_t size);

#endif
