/* Text from users and peers. Every function is bounded, cuts between characters, and ignores the
 * locale. */
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

/* ---- UTF-8 ---- */

/* Bytes of the well-formed sequence at text, 0 if malformed or cut (RFC 3629, section 4). */
static size_t sequence_length(const unsigned char *text, size_t length)
{
    unsigned char first = text[0];
    if (first < 0x80) {
        return 1;
    }
    size_t need = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length < need) {
        return 0;
    }
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return need;
}

bool mfi_utf8_valid_slow(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;
    while (at < length) {
        if (length - at >= 8) { /* 8 ASCII characters at once */
            uint64_t word = 0;
            memcpy(&word, bytes + at, sizeof word);
            if ((word & MFI_EACH_BYTE(0x80)) == 0) {
                at += 8;
                continue;
            }
        }
        size_t step = sequence_length(bytes + at, length - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

size_t mfi_utf8_prefix(const char *text, size_t length, size_t max)
{
    size_t cut = max;
    if (length <= max) {
        return length;
    }
    /* Walk back to the start of the last character; keep that only if it is whole. */
    size_t start = cut;
    for (int i = 0; i < 4 && start > 0; i++) {
        start--;
        if (((unsigned char)text[start] & 0xc0) != 0x80) {
            return sequence_length((const unsigned char *)text + start, cut - start) != 0 ? cut
                                                                                          : start;
        }
    }
    return cut;
}

void mfi_utf8_append_clean(mfi_buf *buf, const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t step = sequence_length((const unsigned char *)text + at, length - at);
        if (step == 0) {
            mfi_buf_append_str(buf, "\xef\xbf\xbd");
            at++;
        } else {
            mfi_buf_append(buf, text + at, step);
            at += step;
        }
    }
}

/* ---- Case ---- */

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool mfi_str_same(const char *a, const char *b, size_t length)
{
    size_t i = 0;
    while (i < length && lower(a[i]) == lower(b[i])) {
        i++;
    }
    return i == length;
}

/* ---- Bounded texts ---- */

size_t mfi_str_copy_n(char *to, size_t size, const char *text, size_t length)
{
    size_t cut = length < size ? length : mfi_utf8_prefix(text, length, size - 1);
    memcpy(to, text, cut);
    to[cut] = '\0';
    return cut;
}

size_t mfi_str_copy(char *to, size_t size, const char *text)
{
    return mfi_str_copy_n(to, size, text, strlen(text));
}

size_t mfi_str_format(char *to, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(to, size, format, args);
    va_end(args);
    if (length < 0) {
        to[0] = '\0';
        return 0;
    }
    if ((size_t)length < size) {
        return (size_t)length;
    }
    size_t cut = mfi_utf8_prefix(to, (size_t)length, size - 1);
    to[cut] = '\0';
    return cut;
}

/* Whether the sequence is a control character of U+0080 to U+009F. */
static bool is_c1(const unsigned char *text, size_t step)
{
    return step == 2 && text[0] == 0xc2 && text[1] < 0xa0;
}

/* Writes the visible form of the sequence of `step` bytes at text (0: malformed), at most
 * VISIBLE_LONGEST bytes. Returns their number. */
enum { VISIBLE_LONGEST = 4 };
static size_t put_visible(char *to, const unsigned char *text, size_t step)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char c = is_c1(text, step) ? text[1] : text[0];
    bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || is_c1(text, step);
    if (step == 0) {
        const char replacement[] = {'\xef', '\xbf', '\xbd'};
        memcpy(to, replacement, sizeof replacement);
        return sizeof replacement;
    }
    if (control) {
        to[0] = '\\';
        to[1] = 'x';
        to[2] = digits[c >> 4];
        to[3] = digits[c & 15];
        return 4;
    }
    memcpy(to, text, step);
    return step;
}

size_t mfi_str_copy_visible(char *to, size_t size, const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        char visible[VISIBLE_LONGEST];
        size_t step = sequence_length(bytes + at, length - at);
        bool line_end = bytes[at] == '\r' && at + 1 < length && bytes[at + 1] == '\n';
        size_t more = line_end ? 0 : put_visible(visible, bytes + at, step);
        if (used + more >= size) {
            break;
        }
        memcpy(to + used, visible, more);
        used += more;
        at += step > 0 ? step : 1;
    }
    to[used] = '\0';
    return used;
}

/* ---- JSON ---- */

static void append_escape(mfi_buf *buf, unsigned c)
{
    static const char digits[] = "0123456789abcdef";
    static const char named[] = "b\bf\fn\nr\rt\t\"\"\\\\";
    for (size_t i = 0; i + 1 < sizeof named; i += 2) {
        if ((unsigned char)named[i + 1] == c) {
            mfi_buf_append_byte(buf, '\\');
            mfi_buf_append_byte(buf, (uint8_t)named[i]);
            return;
        }
    }
    const char code[] = {'\\', 'u', '0', '0', digits[c >> 4 & 15], digits[c & 15]};
    mfi_buf_append(buf, code, sizeof code);
}

void mfi_str_append_json(mfi_buf *buf, const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t plain = 0; /* start of the bytes that are copied unchanged */
    size_t at = 0;
    while (at < length) {
        unsigned char c = bytes[at];
        size_t step = c < 0x80 ? 1 : sequence_length(bytes + at, length - at);
        bool escape = c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
        if (step == 0 || escape || is_c1(bytes + at, step)) {
            mfi_buf_append(buf, text + plain, at - plain);
            if (step == 0) {
                mfi_buf_append_str(buf, "\xef\xbf\xbd");
                step = 1;
            } else {
                append_escape(buf, escape ? c : bytes[at + 1]);
            }
            plain = at + step;
        }
        at += step;
    }
    mfi_buf_append(buf, text + plain, length - plain);
}

/* ---- Numbers and times ---- */

bool mfi_parse_int(const char *text, int64_t least, int64_t most, int64_t *ret_value)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] < '0' || digits[0] > '9') {
        return false;
    }
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < least || value > most) {
        return false;
    }
    *ret_value = value;
    return true;
}

char *mfi_str_put_padded(char *to, uint64_t value, int width)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    int left = width;
    for (; left >= 2; left -= 2, value /= 100) {
        memcpy(to + left - 2, pairs + value % 100 * 2, 2);
    }
    if (left == 1) {
        to[0] = (char)('0' + value % 10);
    }
    return to + width;
}

char *mfi_str_put_u64(char *to, uint64_t value)
{
    int width = 1;
    for (uint64_t more = 10; width < MFI_DIGITS_MAX && value >= more; width++) {
        more *= 10; /* 10^20 overflows, but that value is never compared */
    }
    return mfi_str_put_padded(to, value, width);
}

/* The civil date of a day since 1970-01-01, counted in years that begin with March, so that a leap
 * day is the last of its year. gmtime_r() takes a lock, which a signal handler must not. */
static void put_date(char *to, uint64_t days)
{
    const uint64_t era_days = 146097; /* of 400 years */
    uint64_t since = days + 719468;   /* since 0000-03-01 */
    uint64_t era = since / era_days;
    uint64_t day = since % era_days;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint64_t of_year = day - (365 * year + year / 4 - year / 100);
    uint64_t march = (5 * of_year + 2) / 153; /* months since March */
    uint64_t month = march < 10 ? march + 3 : march - 9;
    (void)mfi_str_put_padded(to, era * 400 + year + (month <= 2 ? 1 : 0), 4);
    (void)mfi_str_put_padded(to + 5, month, 2);
    (void)mfi_str_put_padded(to + 8, of_year - (153 * march + 2) / 5 + 1, 2);
}

size_t mfi_format_rfc3339(char *to, size_t size, uint64_t wall_ns, int decimals)
{
    char text[] = "0000-00-00T00:00:00.000000000";
    uint64_t seconds = wall_ns / UINT64_C(1000000000);
    put_date(text, seconds / 86400);
    (void)mfi_str_put_padded(text + 11, seconds / 3600 % 24, 2);
    (void)mfi_str_put_padded(text + 14, seconds / 60 % 60, 2);
    (void)mfi_str_put_padded(text + 17, seconds % 60, 2);
    (void)mfi_str_put_padded(text + 20, wall_ns % UINT64_C(1000000000), 9);
    size_t most = decimals > 0 ? 20 + (size_t)decimals : 19; /* bytes before the Z */
    size_t length = mfi_str_copy_n(to, size, text, most);
    return length + mfi_str_copy(to + length, size - length, "Z");
}

void mfi_format_hex(char *to, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        mfi_hex_write8(to + 2 * i, mfi_load_be32(bytes + i));
    }
    for (; i < count; i++) {
        to[2 * i] = digits[bytes[i] >> 4];
        to[2 * i + 1] = digits[bytes[i] & 15];
    }
    to[2 * count] = '\0';
}

/* 16 characters at once: gcc's vectors exist on every target, made of words where need be. */
typedef uint8_t characters __attribute__((vector_size(16)));

/* All bits of each character that a correlation id may contain; no bits of the others. */
static inline characters fit_for_id(const char *text)
{
    characters all;
    memcpy(&all, text, sizeof all);
    characters lower = all | 0x20; /* turns no other character into a letter */
    return (characters)((lower - 'a' <= 'z' - 'a') | (all - '0' <= ':' - '0') | (all == '-') |
                        (all == '.') | (all == '_'));
}

bool mfi_correlation_id_valid(const char *text, size_t length)
{
    char filled[] = "0000000000000000";
    uint64_t halves[2];
    if (length < 1 || length > 128) {
        return false;
    }
    if (length < sizeof(characters)) {
        memcpy(filled, text, length);
        text = filled;
        length = sizeof(characters);
    }
    characters fit = fit_for_id(text + length - sizeof fit); /* overlaps the ones below */
    for (size_t at = 0; at + sizeof fit < length; at += sizeof fit) {
        fit &= fit_for_id(text + at);
    }
    memcpy(halves, &fit, sizeof halves);
    return (halves[0] & halves[1]) == UINT64_MAX;
}

bool mfi_token_valid(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
            return false;
        }
    }
    return length > 0;
}
