#include "core/engine/lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

void mfi_lines_init(mfi_lines *lines, void (*line)(void *self, const char *text, size_t length),
                    void *self)
{
    *lines = (mfi_lines){.line = line, .self = self};
}

static void show(mfi_lines *lines, const char *text, size_t length)
{
    lines->line(lines->self, text, length > 0 && text[length - 1] == '\r' ? length - 1 : length);
}

/* Shows the first `length` of the kept bytes. Most output comes in whole lines, so that nothing is
 * kept between them. */
static void show_kept(mfi_lines *lines, size_t length)
{
    show(lines, lines->text, length);
    lines->size -= length;
    memmove(lines->text, lines->text + length, lines->size);
    if (lines->size == 0) {
        free(lines->text);
        lines->text = NULL;
    }
}

/* Where text that is too long is cut: where a character ends, so that the pieces stay valid. */
static size_t piece_of(const char *text, size_t length)
{
    if (length < MFI_OUTPUT_MAX_BYTES) {
        return length;
    }
    size_t cut = mfi_utf8_prefix(text, length, MFI_OUTPUT_MAX_BYTES - 4);
    return cut > 0 ? cut : MFI_OUTPUT_MAX_BYTES;
}

/* Appends to what is kept; gives how much there was room for. */
static size_t keep(mfi_lines *lines, const char *data, size_t size)
{
    size_t room = MFI_OUTPUT_MAX_BYTES - lines->size;
    size_t taken = size < room ? size : room;
    memcpy(lines->text + lines->size, data, taken);
    lines->size += taken;
    return taken;
}

void mfi_lines_feed(mfi_lines *lines, const char *data, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t part = newline != NULL ? (size_t)(newline - data) : size;
        size_t taken = part;
        bool whole = lines->text == NULL && newline != NULL && part <= MFI_OUTPUT_MAX_BYTES;
        if (!whole && lines->text == NULL) {
            lines->text = malloc(MFI_OUTPUT_MAX_BYTES);
        }
        if (whole) {
            show(lines, data, part);
        } else if (lines->text == NULL) {
            taken = piece_of(data, part);
            show(lines, data, taken);
        } else {
            taken = keep(lines, data, part);
            if (newline != NULL && taken == part) {
                show_kept(lines, lines->size);
            } else if (lines->size == MFI_OUTPUT_MAX_BYTES) {
                show_kept(lines, piece_of(lines->text, lines->size));
            }
        }
        size_t used = newline != NULL && taken == part ? part + 1 : taken; /* the newline too */
        data += used;
        size -= used;
    }
}

void mfi_lines_end(mfi_lines *lines)
{
    if (lines->text != NULL) {
        show_kept(lines, lines->size);
    }
}
