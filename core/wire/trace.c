#include "core/wire/trace.h"

#include <string.h>

#include "base/str.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (hex(text[i]) < 0) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text[i] != '0') {
            return false;
        }
    }
    return true;
}

bool mfi_traceparent_parse(const char *text, size_t length, char trace_id[33], char span_id[17],
                           uint8_t *ret_flags)
{
    if (length < 55 || !is_hex(text, 2) || text[2] != '-' || !is_hex(text + 3, 32) ||
        text[35] != '-' || !is_hex(text + 36, 16) || text[52] != '-' || !is_hex(text + 53, 2)) {
        return false;
    }
    bool version_0 = is_zero(text, 2);
    bool length_fits = version_0 ? length == 55 : length == 55 || text[55] == '-';
    if (memcmp(text, "ff", 2) == 0 || !length_fits || is_zero(text + 3, 32) ||
        is_zero(text + 36, 16)) {
        return false;
    }
    memcpy(trace_id, text + 3, 32);
    trace_id[32] = '\0';
    memcpy(span_id, text + 36, 16);
    span_id[16] = '\0';
    *ret_flags = (uint8_t)(hex(text[53]) << 4 | hex(text[54]));
    return true;
}

void mfi_traceparent_format(char to[MFI_TRACEPARENT_TEXT], const char *trace_id,
                            const char *span_id, uint8_t flags)
{
    (void)mfi_str_format(to, MFI_TRACEPARENT_TEXT, "00-%.32s-%.16s-%02x", trace_id, span_id, flags);
}
