/* Parses and formats the traceparent. Every call carries one, so this works on 8 digits at once. */
#include "core/wire/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/id.h"

#define VERSION "00-"

/* Whether `count` digits, a multiple of 8, are lower-case hexadecimal and not all zero. */
static bool is_id(const char *text, size_t count)
{
    uint64_t zero = MFI_EACH_BYTE('0');
    uint64_t differs = 0;
    for (size_t i = 0; i < count; i += 8) {
        uint64_t part = mfi_load_be64(text + i);
        if (!mfi_hex_is_lower8(part)) {
            return false;
        }
        differs |= part ^ zero;
    }
    return differs != 0;
}

/* The value of a digit, or -1 if the character is none. */
static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_version(const char *text, size_t length)
{
    if (memcmp(text, VERSION, 3) == 0) {
        return length == 55;
    }
    return digit(text[0]) >= 0 && digit(text[1]) >= 0 && memcmp(text, "ff", 2) != 0 &&
           text[2] == '-' && (length == 55 || text[55] == '-');
}

void mfi_trace_new_span_id(char to[17])
{
    uint64_t number = 0;
    do {
        number = mfi_random_fast();
    } while (number == 0);
    mfi_hex_write8(to, (uint32_t)(number >> 32));
    mfi_hex_write8(to + 8, (uint32_t)number);
    to[16] = '\0';
}

void mfi_trace_new_id(char to[33])
{
    mfi_trace_new_span_id(to);
    mfi_trace_new_span_id(to + 16);
}

bool mfi_traceparent_parse(const char *text, size_t length, char trace_id[33], char span_id[17],
                           uint8_t *ret_flags)
{
    if (length < 55 || !is_version(text, length) || !is_id(text + 3, 32) || text[35] != '-' ||
        !is_id(text + 36, 16) || text[52] != '-' || digit(text[53]) < 0 || digit(text[54]) < 0) {
        return false;
    }
    memcpy(trace_id, text + 3, 32);
    trace_id[32] = '\0';
    memcpy(span_id, text + 36, 16);
    span_id[16] = '\0';
    *ret_flags = (uint8_t)(digit(text[53]) << 4 | digit(text[54]));
    return true;
}

bool mfi_traceparent_inherited(char trace_id[33], char span_id[17], uint8_t *ret_flags)
{
    const char *text = getenv(MFI_TRACEPARENT_VARIABLE); /* NOLINT: no thread of ours sets it */
    return text != NULL && mfi_traceparent_parse(text, strlen(text), trace_id, span_id, ret_flags);
}

void mfi_traceparent_format(char to[MFI_TRACEPARENT_TEXT], const char *trace_id,
                            const char *span_id, uint8_t flags)
{
    static const char digits[] = "0123456789abcdef";
    memcpy(to, VERSION, 3);
    memcpy(to + 3, trace_id, 32);
    to[35] = '-';
    memcpy(to + 36, span_id, 16);
    to[52] = '-';
    to[53] = digits[flags >> 4];
    to[54] = digits[flags & 15];
    to[55] = '\0';
}
