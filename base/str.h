/* Text: bounded formatting, UTF-8, strict numbers, timestamps. */
#ifndef MFI_BASE_STR_H
#define MFI_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <multifrost/export.h>

#include "base/buf.h"
#include "base/bytes.h"

/* Copies as much of text as fits (size bytes, NUL included), cut on a UTF-8 boundary. Returns the
 * bytes written without the NUL. size > 0. */
size_t mfi_str_copy(char *to, size_t size, const char *text);
size_t mfi_str_copy_n(char *to, size_t size, const char *text, size_t length);
/* snprintf that always terminates, cuts on a UTF-8 boundary and returns what was written. */
size_t mfi_str_format(char *to, size_t size, const char *format, ...) MF_PRINTF(3, 4);

/* The bytes of so many bytes at once, joined by or. */
static inline uint64_t mfi_either_8(const char *bytes)
{
    uint64_t word = 0;
    memcpy(&word, bytes, 8);
    return word;
}
static inline uint64_t mfi_either_16(const char *bytes)
{
    return mfi_either_8(bytes) | mfi_either_8(bytes + 8);
}
static inline uint64_t mfi_either_32(const char *bytes)
{
    return mfi_either_16(bytes) | mfi_either_16(bytes + 16);
}
/* Whether all bytes are below 0x80: looked at by words, of which the last ones overlap, so that
 * texts of similar lengths take the same way. */
static inline bool mfi_ascii(const char *bytes, size_t length)
{
    uint64_t seen = 0;
    uint32_t half[2] = {0, 0};
    if (length >= 32) {
        for (size_t at = 0; at + 32 < length; at += 32) {
            seen |= mfi_either_32(bytes + at);
        }
        seen |= mfi_either_32(bytes + length - 32);
    } else if (length >= 16) {
        seen = mfi_either_16(bytes) | mfi_either_16(bytes + length - 16);
    } else if (length >= 8) {
        seen = mfi_either_8(bytes) | mfi_either_8(bytes + length - 8);
    } else if (length >= 4) {
        memcpy(&half[0], bytes, 4);
        memcpy(&half[1], bytes + length - 4, 4);
        seen = half[0] | half[1];
    } else if (length > 0) {
        seen = (unsigned char)(bytes[0] | bytes[length / 2] | bytes[length - 1]);
    }
    return (seen & MFI_EACH_BYTE(0x80)) == 0;
}
/* Whether the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool mfi_utf8_valid_slow(const char *text, size_t length);
static inline bool mfi_utf8_valid(const char *text, size_t length)
{
    return mfi_ascii(text, length) || mfi_utf8_valid_slow(text, length);
}
/* length if it is at most max; else the longest prefix of at most max bytes that does not end
 * inside a character. Reads no more than max bytes. */
size_t mfi_utf8_prefix(const char *text, size_t length, size_t max);
/* Appends text with every malformed sequence replaced by U+FFFD. */
void mfi_utf8_append_clean(mfi_buf *buf, const char *text, size_t length);

/* The inside of a JSON string: escapes quote, backslash and control characters (DEL and C1
 * included), malformed UTF-8 becomes U+FFFD. Without the quotes. */
void mfi_json_append_escaped(mfi_buf *buf, const char *text, size_t length);

/* Whole text must be a decimal integer within [least, most]; no blanks, no plus sign. */
bool mfi_parse_int(const char *text, int64_t least, int64_t most, int64_t *ret_value);
/* Shortest decimal text that reads back as the same double ("0.1", "1.0" gets its ".0" when
 * `keep_point`). NaN and infinities become "NaN", "+Inf", "-Inf". Returns the length. */
size_t mfi_format_double(char *to, size_t size, double value, bool keep_point);
/* Decimal digits without a NUL, at most MFI_DIGITS_MAX of them; gives the end. _padded writes
 * exactly `width` digits, with zeros in front, of a value that has no more. */
#define MFI_DIGITS_MAX 20
char *mfi_put_u64(char *to, uint64_t value);
char *mfi_put_padded(char *to, uint64_t value, int width);
/* RFC 3339 UTC with `decimals` (0, 3, 6 or 9): "2026-11-24T04:00:00.120345Z". */
size_t mfi_format_rfc3339(char *to, size_t size, uint64_t wall_ns, int decimals);
void mfi_format_hex(char *to, const uint8_t *bytes, size_t count); /* 2 * count + NUL, lower case */

/* Whether text is one of [A-Za-z0-9._:-]{1,128}: what a correlation id may be. */
bool mfi_correlation_id_valid(const char *text, size_t length);

#endif
