#include "core/engine/lines.h"

#include <string.h>

#include "base/str.h"

void mfi_lines_init(mfi_lines *lines, void (*line)(void *self, const char *text, size_t length),
                    void *self)
{
    lines->line = line;
    lines->self = self;
    lines->size = 0;
}

static void show(mfi_lines *lines, size_t length)
{
    size_t shown = length > 0 && lines->text[length - 1] == '\r' ? length - 1 : length;
    lines->line(lines->self, lines->text, shown);
    memmove(lines->text, lines->text + length, lines->size - length);
    lines->size -= length;
}

void mfi_lines_feed(mfi_lines *lines, const char *data, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t part = newline != NULL ? (size_t)(newline - data) : size;
        size_t room = sizeof lines->text - lines->size;
        size_t taken = part < room ? part : room;
        memcpy(lines->text + lines->size, data, taken);
        lines->size += taken;
        data += taken;
        size -= taken;
        if (newline != NULL && taken == part) {
            show(lines, lines->size);
            data++; /* the newline itself */
            size--;
        } else if (lines->size == sizeof lines->text) {
            /* Cut where a character ends, so that the pieces stay valid text. */
            size_t cut = mfi_utf8_prefix(lines->text, lines->size, sizeof lines->text - 4);
            show(lines, cut > 0 ? cut : lines->size);
        }
    }
}

void mfi_lines_end(mfi_lines *lines)
{
    if (lines->size > 0) {
        show(lines, lines->size);
    }
}
