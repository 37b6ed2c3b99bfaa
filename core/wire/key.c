/* Writes map keys as text. Python peers turn keys into text with str(); paths and JSON use the same
 * form, so that a value has one name on every side. */
#include "core/wire/key.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* printf writes the locale's decimal point, which may have several bytes; this makes it ".". */
static void use_plain_point(char *text)
{
    char *to = text;
    bool in_point = false;
    for (const char *from = text; *from != '\0'; from++) {
        bool plain = strchr("0123456789+-e", *from) != NULL;
        if (plain) {
            *to++ = *from;
        } else if (!in_point) {
            *to++ = '.';
        }
        in_point = !plain;
    }
    *to = '\0';
}

void mfi_double_text(double number, char to[MFI_KEY_TEXT])
{
    if (!isfinite(number)) {
        const char *word = isnan(number) ? "nan" : number > 0 ? "inf" : "-inf";
        (void)mfi_str_copy(to, MFI_KEY_TEXT, word);
        return;
    }
    int decimals = 0; /* 17 significant digits suffice for every double */
    do {
        (void)snprintf(to, MFI_KEY_TEXT, "%.*e", decimals, number);
    } while (strtod(to, NULL) != number && ++decimals < 17);
    long exponent = strtol(strchr(to, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < 16) {
        int places = decimals - (int)exponent;
        (void)snprintf(to, MFI_KEY_TEXT, "%.*f", places > 1 ? places : 1, number);
    }
    use_plain_point(to);
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
