/* Floating-point numbers as text, whatever the program's locale is. The C library converts between
 * digits and doubles; this file alone places the point. It exists because a German setlocale() made
 * metrics, logs and JSON unreadable for machines. */
#include "base/number.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* ---- Digits ---- */

/* Rounds to that many significant digits. */
static int round_digits(double value, int count, char digits[MFI_DOUBLE_DIGITS + 1],
                        int *ret_exponent)
{
    char text[48];
    int length = 0;
    (void)snprintf(text, sizeof text, "%.*e", count - 1, fabs(value)); /* point: the locale's */
    const char *exponent = strchr(text, 'e');
    for (const char *at = text; at < exponent && length < count; at++) {
        if (*at >= '0' && *at <= '9') {
            digits[length++] = *at;
        }
    }
    digits[length] = '\0';
    *ret_exponent = (int)strtol(exponent + 1, NULL, 10);
    return length;
}

/* Without a point there is nothing for the locale to change. */
static double from_digits(const char *digits, int count, long exponent)
{
    char text[MFI_DOUBLE_DIGITS + 32];
    (void)snprintf(text, sizeof text, "%.*se%ld", count, digits, exponent - (count - 1));
    return strtod(text, NULL);
}

int mfi_double_digits(double value, int least, char digits[MFI_DOUBLE_DIGITS + 1],
                      int *ret_exponent)
{
    int count = least;
    while (count < MFI_DOUBLE_DIGITS) {
        (void)round_digits(value, count, digits, ret_exponent);
        if (from_digits(digits, count, *ret_exponent) == fabs(value)) {
            return count;
        }
        count++;
    }
    return round_digits(value, count, digits, ret_exponent);
}

/* ---- Text ---- */

/* Whole numbers, and those of at most 9 decimals, as %.15g writes them; 0 for other numbers. Both
 * have at most 15 digits; among those, each double has one text and each text one double. */
static size_t format_short(char *to, double value)
{
    double size = fabs(value);
    char *at = to;
    bool whole = size < 1e15 && trunc(size) == size && (value > 0 || !signbit(value) || size > 0);
    bool decimal = !whole && size >= 1e-4 && size < 1e6;
    uint64_t billionths = decimal ? (uint64_t)llround(size * 1e9) : 0;
    if (!whole && (!decimal || (double)billionths / 1e9 != size)) {
        return 0;
    }
    if (value < 0) {
        *at++ = '-';
    }
    at = mfi_str_put_u64(at, whole ? (uint64_t)size : billionths / 1000000000);
    if (decimal) {
        *at++ = '.';
        at = mfi_str_put_padded(at, billionths % 1000000000, 9);
        while (at[-1] == '0') {
            at--;
        }
    }
    *at = '\0';
    return (size_t)(at - to);
}

static char *put_exponent(char *to, int exponent)
{
    int size = exponent < 0 ? -exponent : exponent;
    *to++ = 'e';
    *to++ = exponent < 0 ? '-' : '+';
    return mfi_str_put_padded(to, (uint64_t)size, size >= 100 ? 3 : 2);
}

/* As "%.*g" with as many digits as there are: zeros at the end are left out. */
static size_t put_digits(char *to, bool negative, const char *digits, int count, int exponent)
{
    char *at = to;
    int precision = count;
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    if (negative) {
        *at++ = '-';
    }
    bool scientific = exponent < -4 || exponent >= precision;
    int whole = scientific ? 1 : exponent + 1; /* digits before the point; may be negative */
    if (whole <= 0) {
        *at++ = '0';
        *at++ = '.';
        for (int i = whole; i < 0; i++) {
            *at++ = '0';
        }
    }
    for (int i = 0; i < count || i < whole; i++) {
        if (i == whole && i > 0) {
            *at++ = '.';
        }
        *at++ = (char)(i < count ? digits[i] : '0');
    }
    if (scientific) {
        at = put_exponent(at, exponent);
    }
    *at = '\0';
    return (size_t)(at - to);
}

static size_t format_any(char to[40], double value)
{
    char digits[MFI_DOUBLE_DIGITS + 1];
    int exponent = 0;
    int count = mfi_double_digits(value, 15, digits, &exponent);
    return put_digits(to, signbit(value), digits, count, exponent);
}

size_t mfi_format_double(char *to, size_t size, double value, bool keep_point)
{
    if (isnan(value)) {
        return mfi_str_copy(to, size, "NaN");
    }
    if (isinf(value)) {
        return mfi_str_copy(to, size, value > 0 ? "+Inf" : "-Inf");
    }
    char text[40];
    size_t length = format_short(text, value);
    if (length == 0) {
        length = format_any(text, value);
    }
    if (keep_point && strpbrk(text, ".e") == NULL && length + 2 < sizeof text) {
        memcpy(text + length, ".0", 3);
        length += 2;
    }
    return mfi_str_copy_n(to, size, text, length);
}

size_t mfi_format_measured(char *to, size_t size, double value)
{
    char digits[MFI_DOUBLE_DIGITS + 1];
    int exponent = 0;
    if (!isfinite(value) || trunc(value) == value) {
        return mfi_format_double(to, size, value, false);
    }
    (void)round_digits(value, 15, digits, &exponent);
    int count = exponent > 2 ? exponent + 4 : 6;
    (void)round_digits(value, count < 15 ? count : 15, digits, &exponent);
    count = (int)strlen(digits);
    return mfi_format_double(to, size, copysign(from_digits(digits, count, exponent), value),
                             false);
}

size_t mfi_format_fixed(char *to, size_t size, double value, int decimals)
{
    char text[400]; /* the largest double has 309 digits before its point */
    if (!isfinite(value)) {
        return mfi_format_double(to, size, value, false);
    }
    (void)snprintf(text, sizeof text, "%.*f", decimals < 9 ? decimals : 9, value);
    char *at = text;
    bool in_point = false;
    for (const char *from = text; *from != '\0'; from++) {
        bool is_plain = (*from >= '0' && *from <= '9') || *from == '-';
        if (is_plain) {
            *at++ = *from;
        } else if (!in_point) {
            *at++ = '.';
        }
        in_point = !is_plain; /* a locale's point may have several bytes */
    }
    return mfi_str_copy_n(to, size, text, (size_t)(at - text));
}

mfi_number_text mfi_fixed_text(double value, int decimals)
{
    mfi_number_text made;
    (void)mfi_format_fixed(made.text, sizeof made.text, value, decimals);
    return made;
}

/* ---- Reading ---- */

#define KEPT_DIGITS 800 /* a number exactly between two doubles has at most 768 */

/* Reads "e-3" at `at`. Returns its end; `at` itself, with an exponent of 0, if there is none. */
static size_t read_exponent(const char *text, size_t length, size_t at, long *ret_exponent)
{
    size_t end = at;
    long exponent = 0;
    bool negative = false;
    if (at + 1 < length && (text[at] == 'e' || text[at] == 'E')) {
        size_t next = at + 1;
        negative = text[next] == '-';
        next += text[next] == '-' || text[next] == '+' ? 1 : 0;
        for (; next < length && text[next] >= '0' && text[next] <= '9'; next++) {
            exponent = exponent < 100000000 ? exponent * 10 + (text[next] - '0') : exponent;
            end = next + 1;
        }
    }
    *ret_exponent = negative ? -exponent : exponent;
    return end;
}

size_t mfi_read_double(const char *text, size_t length, double *ret_value)
{
    char digits[KEPT_DIGITS + 40]; /* with sign and exponent */
    size_t at = 0;
    size_t kept = 0;
    size_t seen = 0;
    long shift = 0;
    bool has_point = false;
    if (at < length && text[at] == '-') {
        digits[kept++] = text[at++];
    }
    const size_t first = kept;
    for (; at < length; at++) {
        if (text[at] == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (text[at] < '0' || text[at] > '9') {
            break;
        }
        seen++;
        shift -= has_point ? 1 : 0;
        if (kept < KEPT_DIGITS && (text[at] != '0' || kept > first)) {
            digits[kept++] = text[at];
        } else if (kept > first) {
            shift++;
            digits[kept - 1] =
                (char)(text[at] != '0' ? '1' : digits[kept - 1]); /* not exactly between */
        }
    }
    if (seen == 0) {
        return 0;
    }
    digits[kept] = '0';
    kept += kept == first ? 1 : 0;
    long exponent = 0;
    size_t end = read_exponent(text, length, at, &exponent);
    (void)snprintf(digits + kept, sizeof digits - kept, "e%ld", exponent + shift);
    *ret_value = strtod(digits, NULL);
    return end;
}

bool mfi_parse_double(const char *text, size_t length, double *ret_value)
{
    double value = 0;
    if (length == 0 || mfi_read_double(text, length, &value) != length) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* ---- Other libraries ---- */

void mfi_plain_numbers_enter(mfi_plain_numbers *scope)
{
    /* Never freed: the C library's own locale, of which there is one. */
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    scope->before = plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
}

void mfi_plain_numbers_leave(const mfi_plain_numbers *scope)
{
    if (scope->before != (locale_t)0) {
        (void)uselocale(scope->before);
    }
}
