/* What is JSON, and which numbers in it are integers. cJSON builds the tree afterwards: it is lax,
 * knows no offsets, and keeps no number's text. */
#ifndef MFI_WIRE_JSON_CHECK_H
#define MFI_WIRE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/error.h>

/* Checks the grammar of RFC 8259, the depth, and the rules of mf_value_from_json() for numbers and
 * texts, so that cJSON can fail for want of memory alone. Errors name the byte. */
mf_status mfi_json_check(const char *text, size_t length, mf_error *error);

typedef struct mfi_json_number {
    size_t start, size;
    bool is_integer; /* neither point nor exponent */
} mfi_json_number;
/* The first number at or behind `at`, of a text that was checked and holds one there. */
mfi_json_number mfi_json_next_number(const char *text, size_t length, size_t at);

#endif
