/* Map keys that are not str, as text: what Python's str() makes of them, since that is what the
 * peers send. */
#ifndef MFI_WIRE_KEY_H
#define MFI_WIRE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/value.h>

#define MFI_KEY_TEXT 40

/* NUL-terminated: "7", "1.5", "True", "None". False for what has no such form. */
bool mfi_key_text(const mf_value *key, char to[MFI_KEY_TEXT]);

/* Shortest decimal text that reads back as the same double, laid out as Python's repr() does it
 * ("1.0", "1e+16"), which is JSON too; "nan", "inf", "-inf". Whatever the locale. */
void mfi_double_text(double number, char to[MFI_KEY_TEXT]);

#endif
