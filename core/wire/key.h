/* Map keys that are not str, as text: in the form of Python's str(), because that is what peers
 * send. */
#ifndef MFI_WIRE_KEY_H
#define MFI_WIRE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/value.h>

#define MFI_KEY_TEXT 40

/* NUL-terminated: "7", "1.5", "True", "None". False if the key has no text form. */
bool mfi_key_text(const mf_value *key, char to[MFI_KEY_TEXT]);

/* The shortest decimal text that reads back as the same double, in the form of Python's repr()
 * ("1.0", "1e+16"), which is JSON too; "nan", "inf", "-inf". Ignores the locale. */
void mfi_double_text(double number, char to[MFI_KEY_TEXT]);

#endif
