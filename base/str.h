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

/* Copies text, cut between characters to size bytes with the NUL. size > 0. Returns the bytes
 * written without the NUL. */
size_t mfi_str_copy(char *to, size_t size, const char *text);
size_t mfi_str_copy_n(char *to, size_t size, const char *text, size_t length);
/* The same, for a text of a stranger that a terminal may show: newlines and tabs stay, "\r\n"
 * becomes a newline, every other control character becomes an escape ("\x1b"), and U+FFFD replaces
 * malformed UTF-8. Cut between characters and escapes. */
size_t mfi_str_copy_visible(char *to, size_t size, const char *text, size_t length);
/* As snprintf(), but always terminates, cuts between characters and returns the bytes written. */
size_t mfi_str_format(char *to, size_t size, const char *format, ...) MF_PRINTF(3, 4);

/* NULL for an empty text: a text that is absent has no field. */
static inline const char *mfi_str_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* Whether the first `length` bytes are the same but for the case of A to Z. Unlike strncasecmp() it
 * knows no locale: in a Turkish one, I and i are two letters. Both texts have that many bytes. */
bool mfi_str_same(const char *a, const char *b, size_t length);

/* ORs 8 bytes into one word. */
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
/* Whether all bytes are below 0x80. Reads whole words, the last two of which overlap, so that
 * texts of similar lengths take the same branches. */
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
/* length if it is at most max; else the longest prefix of at most max bytes that ends with a whole
 * character. Reads no more than max bytes. */
size_t mfi_utf8_prefix(const char *text, size_t length, size_t max);
/* Appends text; U+FFFD replaces every malformed sequence. */
void mfi_utf8_append_clean(mfi_buf *buf, const char *text, size_t length);

/* Appends text as the inside of a JSON string, without the quotes: escapes quotes, backslashes and
 * control characters (DEL and C1 too); U+FFFD replaces malformed UTF-8. */
void mfi_str_append_json(mfi_buf *buf, const char *text, size_t length);

/* Reads a decimal integer within [least, most] from the whole text; no blanks, no plus sign. */
bool mfi_parse_int(const char *text, int64_t least, int64_t most, int64_t *ret_value);
/* Writes decimal digits without a NUL and returns their end. The padded form writes exactly `width`
 * digits with leading zeros; the value must have no more. */
#define MFI_DIGITS_MAX 20 /* digits of UINT64_MAX */
char *mfi_str_put_u64(char *to, uint64_t value);
char *mfi_str_put_padded(char *to, uint64_t value, int width);
/* RFC 3339 in UTC with 0, 3, 6 or 9 decimals: "2026-11-24T04:00:00.120345Z". */
size_t mfi_format_rfc3339(char *to, size_t size, uint64_t wall_ns, int decimals);
void mfi_format_hex(char *to, const uint8_t *bytes, size_t count); /* 2 * count + NUL, lower case */

/* Whether text matches [A-Za-z0-9._:-]{1,128}, as a correlation id must. */
bool mfi_correlation_id_valid(const char *text, size_t length);
/* Whether the text is a token, as HTTP's field names are: RFC 9110, section 5.6.2. */
bool mfi_token_valid(const char *text, size_t length);

#endif
