/* Writes map keys as text. Python peers turn keys into text with str(); paths and JSON use the same
 * form, so that a value has one name on every side. */
#include "core/wire/key.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/number.h"
#include "base/str.h"

/* Digits as in "12.5" or "0.00125". */
static void put_plain(char *to, const char *digits, int count, int exponent)
{
    int whole = exponent + 1; /* digits before the point; may be negative */
    if (whole <= 0) {
        *to++ = '0';
        *to++ = '.';
    }
    for (int i = whole; i < 0; i++) {
        *to++ = '0';
    }
    for (int i = 0; i < count || i < whole + 1; i++) { /* "5.0" has a digit behind its point */
        if (i == whole && i > 0) {
            *to++ = '.';
        }
        if (i < count) {
            *to++ = digits[i];
        } else {
            *to++ = '0';
        }
    }
    *to = '\0';
}

void mfi_double_text(double number, char to[MFI_KEY_TEXT])
{
    char digits[MFI_DOUBLE_DIGITS + 1];
    int exponent = 0;
    if (!isfinite(number)) {
        const char *word = isnan(number) ? "nan" : number > 0 ? "inf" : "-inf";
        (void)mfi_str_copy(to, MFI_KEY_TEXT, word);
        return;
    }
    int count = mfi_double_digits(number, 1, digits, &exponent);
    if (signbit(number)) {
        *to++ = '-';
    }
    if (exponent >= -4 && exponent < 16) {
        put_plain(to, digits, count, exponent);
    } else {
        (void)snprintf(to, MFI_KEY_TEXT - 1, "%c%s%se%c%02d", digits[0], count > 1 ? "." : "",
                       digits + 1, exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
    }
}

bool mfi_key_text(const mf_value *key, char to[MFI_KEY_TEXT])
{
    switch ((mf_type)key->type) {
    case MF_TYPE_NIL:
        (void)mfi_str_copy(to, MFI_KEY_TEXT, "None");
        return true;
    case MF_TYPE_BOOL:
        (void)mfi_str_copy(to, MFI_KEY_TEXT, key->as.boolean ? "True" : "False");
        return true;
    case MF_TYPE_INT:
        (void)snprintf(to, MFI_KEY_TEXT, "%" PRId64, key->as.integer);
        return true;
    case MF_TYPE_UINT:
        (void)snprintf(to, MFI_KEY_TEXT, "%" PRIu64, key->as.unsigned_integer);
        return true;
    case MF_TYPE_FLOAT:
        mfi_double_text(key->as.number, to);
        return true;
    case MF_TYPE_STR:
    case MF_TYPE_BIN:
    case MF_TYPE_ARRAY:
    case MF_TYPE_MAP:
    case MF_TYPE_EXT:
    case MF_TYPE_OBJECT:
        break;
    }
    return false;
}
