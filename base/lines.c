/* Output arrives in pieces that end anywhere, and log records and messages hold whole lines. A
 * line without an end must not fill the memory, so the limit cuts it between characters. */
#include "base/lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { UTF8_LONGEST = 4 }; /* bytes of one character */

void mfi_lines_init(mfi_lines *lines, size_t limit, mfi_line_fn line, void *self)
{
    *lines = (mfi_lines){.limit = limit, .line = line, .self = self};
}

static void show(mfi_lines *lines, const char *text, size_t length)
{
    lines->line(lines->self, text, length > 0 && text[length - 1] == '\r' ? length - 1 : length);
}

/* Shows the first `length` kept bytes and frees them, because most output comes in whole lines. */
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

/* Where to cut a text that is too long: after a whole character, so that both pieces are valid. */
static size_t piece_of(const char *text, size_t length, size_t limit)
{
    if (length < limit) {
        return length;
    }
    size_t cut = mfi_utf8_prefix(text, length, limit - UTF8_LONGEST);
    return cut > 0 ? cut : limit;
}

/* Appends to the kept bytes; returns how many bytes fitted. */
static size_t keep(mfi_lines *lines, const char *data, size_t size)
{
    size_t room = lines->limit - lines->size;
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
        bool whole = lines->text == NULL && newline != NULL && part <= lines->limit;
        if (!whole && lines->text == NULL) {
            lines->text = malloc(lines->limit);
        }
        if (whole) {
            show(lines, data, part);
        } else if (lines->text == NULL) {
            taken = piece_of(data, part, lines->limit);
            show(lines, data, taken);
        } else {
            taken = keep(lines, data, part);
            if (newline != NULL && taken == part) {
                show_kept(lines, lines->size);
            } else if (lines->size == lines->limit) {
                show_kept(lines, piece_of(lines->text, lines->size, lines->limit));
            }
        }
        size_t used = newline != NULL && taken == part ? part + 1 : taken; /* with the newline */
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
