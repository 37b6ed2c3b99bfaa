/* Floating-point numbers as text, and back. Programs may set any locale, so the decimal point is
 * "." here whatever the C library's is. No other file of the library lets printf() write a double,
 * or lets strtod() read one; tests/tools/lint says so. */
#ifndef MFI_BASE_NUMBER_H
#define MFI_BASE_NUMBER_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

#define MFI_DOUBLE_DIGITS 17 /* suffice for every double */

/* Writes the shortest decimal text that reads back as the same double ("0.1"; "1.0", or "1" without
 * keep_point). NaN and infinities become "NaN", "+Inf", "-Inf". Returns the length. */
size_t mfi_format_double(char *to, size_t size, double value, bool keep_point);
/* The digits that mean something in a measured value: six significant ones, or three decimals where
 * these are more; no zeros at the end ("3.2", "0.613333", "1234567.891"). Else as above. */
size_t mfi_format_measured(char *to, size_t size, double value);
/* As printf()'s "%.*f" in the C locale; at most 9 decimals. */
size_t mfi_format_fixed(char *to, size_t size, double value, int decimals);
/* The same as an argument: mfi_fixed_text(seconds, 1).text lives until the statement ends. Values
 * of more than 20 digits are cut. */
typedef struct mfi_number_text {
    char text[32];
} mfi_number_text;
mfi_number_text mfi_fixed_text(double value, int decimals);
/* The fewest significant digits, at least `least`, from which the finite value can be read back;
 * NUL-terminated, without sign and point. The point belongs behind the first digit, times ten to
 * the power of *ret_exponent. Returns the number of digits. */
int mfi_double_digits(double value, int least, char digits[MFI_DOUBLE_DIGITS + 1],
                      int *ret_exponent);

/* Reads a decimal number ("-1.5e3"; no blanks, no hexadecimal digits, no words) from the start of
 * the text. Returns the bytes read; 0, with *ret_value unchanged, if there is no number. One beyond
 * the range of a double gives an infinity, or 0. */
size_t mfi_read_double(const char *text, size_t length, double *ret_value);
/* The same for the whole text. */
bool mfi_parse_double(const char *text, size_t length, double *ret_value);

/* For calls into libraries that read or write numbers: this thread uses the C locale until leave.
 * Allocates nothing. */
typedef struct mfi_plain_numbers {
    locale_t before;
} mfi_plain_numbers;
void mfi_plain_numbers_enter(mfi_plain_numbers *scope);
void mfi_plain_numbers_leave(const mfi_plain_numbers *scope);

#endif
