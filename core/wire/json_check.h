/* Checks JSON, and tells integers from other numbers. cJSON builds the tree afterwards; it accepts
 * too much, reports no offsets, and does not keep the text of numbers. */
#ifndef MFI_WIRE_JSON_CHECK_H
#define MFI_WIRE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/error.h>

/* Checks the grammar of RFC 8259, the depth, and the rules of mf_value_from_json() for numbers and
 * texts. Afterwards cJSON can fail only without memory. Errors name the byte. */
mf_status mfi_json_check(const char *text, size_t length, mf_error *error);

typedef struct mfi_json_number {
    size_t start, size;
    bool is_integer; /* it has neither point nor exponent */
} mfi_json_number;
/* The first number at or behind `at`, in a checked text that has one there. */
mfi_json_number mfi_json_next_number(const char *text, size_t length, size_t at);

#endif
