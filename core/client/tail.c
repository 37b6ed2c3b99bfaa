/* Keeps the last lines of a stream. It exists because a worker that cannot start says why on
 * stderr, while the error of the start is the only text that its parent's program is sure to see.
 */
#include "core/client/tail.h"

#include <string.h>

#include "base/str.h"

#define LINE_MAX (MFI_TAIL_BYTES / 4)

void mfi_tail_clear(mfi_tail *tail)
{
    tail->text[0] = '\0';
    tail->size = 0;
    tail->lines = 0;
}

/* Every kept line has a newline. */
static void drop_oldest(mfi_tail *tail)
{
    const char *newline = memchr(tail->text, '\n', tail->size);
    size_t gone = newline != NULL ? (size_t)(newline - tail->text) + 1 : tail->size;
    tail->size -= gone;
    tail->lines--;
    memmove(tail->text, tail->text + gone, tail->size + 1);
}

void mfi_tail_add(mfi_tail *tail, const char *text, size_t length)
{
    char line[LINE_MAX];
    size_t size = mfi_str_copy_visible(line, sizeof line, text, length);
    while (tail->lines == MFI_TAIL_LINES || tail->size + size + 1 > MFI_TAIL_BYTES) {
        drop_oldest(tail);
    }
    memcpy(tail->text + tail->size, line, size);
    tail->size += size + 1;
    tail->text[tail->size - 1] = '\n';
    tail->text[tail->size] = '\0';
    tail->lines++;
}

size_t mfi_tail_last(const mfi_tail *tail, size_t most, const char **ret_text)
{
    size_t start = 0;
    size_t end = tail->size > 0 ? tail->size - 1 : 0; /* without the last newline */
    while (end - start > most) {
        const char *newline = memchr(tail->text + start, '\n', end - start);
        start = newline != NULL ? (size_t)(newline - tail->text) + 1 : end;
    }
    *ret_text = tail->text + start;
    return end - start;
}

void mfi_tail_explain(const mfi_tail *tail, const char *stream, char *to, size_t size)
{
    const char *text = NULL;
    size_t used = strlen(to);
    size_t head = strlen("; ") + strlen(stream) + strlen(": ");
    size_t separators = MFI_TAIL_LINES * strlen(" | ");
    if (used + head + separators >= size) {
        return;
    }
    size_t left = mfi_tail_last(tail, size - used - head - separators, &text);
    const char *before = ": ";
    if (left > 0) {
        used += mfi_str_format(to + used, size - used, "; %s", stream);
    }
    while (left > 0) {
        const char *newline = memchr(text, '\n', left);
        size_t length = newline != NULL ? (size_t)(newline - text) : left;
        size_t indent = 0;
        while (indent < length && (text[indent] == ' ' || text[indent] == '\t')) {
            indent++;
        }
        used += mfi_str_format(to + used, size - used, "%s%.*s", before, (int)(length - indent),
                               text + indent);
        before = " | ";
        text += newline != NULL ? length + 1 : length;
        left -= newline != NULL ? length + 1 : length;
    }
}
