/* Writes the labels of a series once, when the series is made; a scrape only copies them. Values
 * come from users and peers, so they may hold quotes, line ends and malformed UTF-8. */
#include "metrics/labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

void mfi_append_escaped(mfi_buf *to, const char *text, bool quotes)
{
    mfi_buf clean;
    mfi_buf_init(&clean, 0);
    const char *from = text;
    size_t size = strlen(text);
    if (!mfi_utf8_valid(text, size)) {
        mfi_utf8_append_clean(&clean, text, size);
        from = (const char *)clean.data;
        size = clean.size;
        to->failed |= clean.failed;
        to->no_memory |= clean.no_memory;
    }
    for (size_t i = 0; i < size; i++) {
        if (from[i] == '\\') {
            mfi_buf_append_str(to, "\\\\");
        } else if (from[i] == '\n') {
            mfi_buf_append_str(to, "\\n");
        } else if (from[i] == '"' && quotes) {
            mfi_buf_append_str(to, "\\\"");
        } else {
            mfi_buf_append_byte(to, (uint8_t)from[i]);
        }
    }
    mfi_buf_fini(&clean);
}

bool mfi_series_label(const mf_family *family, mfi_series *series)
{
    mfi_buf labels;
    mfi_buf_init(&labels, 0);
    for (size_t i = 0; i < family->label_count; i++) {
        if (family->omits_empty && series->values[i][0] == '\0') {
            continue;
        }
        mfi_buf_append_str(&labels, labels.size > 0 ? "," : "");
        mfi_buf_append_str(&labels, family->label_names[i]);
        mfi_buf_append_str(&labels, "=\"");
        mfi_append_escaped(&labels, series->values[i], true);
        mfi_buf_append_str(&labels, "\"");
    }
    if (labels.failed) {
        mfi_buf_fini(&labels);
        return false;
    }
    series->labels = (char *)mfi_buf_take(&labels, &series->labels_size);
    /* There are many series, and a buffer begins larger than most labels need. */
    char *fitting = series->labels != NULL ? realloc(series->labels, series->labels_size) : NULL;
    series->labels = fitting != NULL ? fitting : series->labels;
    return true;
}
