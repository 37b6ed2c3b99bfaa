/* Checks JSON text in one pass with a stack of open containers, and finds the text of its numbers,
 * which cJSON does not keep. */
#include "core/wire/json_check.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/limits.h"

#define NUMBER_MAX_BYTES ((size_t)63)  /* of a number; cJSON reads no longer ones */
#define INTEGER_MAX (INT64_C(1) << 53) /* all up to here are exact in a double */

/* The tokens that may follow. */
typedef enum expected {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END,
    EXPECT_KEY,
    EXPECT_KEY_OR_END,
    EXPECT_REST /* a comma, or the end of the container or text */
} expected;

typedef struct check {
    const char *text;
    size_t length;
    size_t at;
    char ends[MFI_DEPTH_MAX]; /* closing characters of the open containers */
    uint32_t open;
    mf_error *error;
} check;

/* The byte `ahead` bytes from here; NUL behind the end, because NUL is allowed nowhere. */
static char peek(const check *in, size_t ahead)
{
    if (ahead >= in->length - in->at) {
        return '\0';
    }
    return in->text[in->at + ahead];
}

static mf_status refuse(const check *in, size_t at, const char *what)
{
    return mfi_fail(in->error, MF_ERR_INVALID_ARGUMENT, "JSON, byte %zu: %s", at, what);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(const check *in, size_t from)
{
    size_t count = 0;
    while (is_digit(peek(in, from + count))) {
        count++;
    }
    return count;
}

/* ---- Texts ---- */

/* The value of 4 hexadecimal digits, or -1. */
static int32_t read_hex(const check *in, size_t from)
{
    int32_t unit = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = peek(in, from + i);
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *found = c != '\0' ? strchr(digits, c) : NULL;
        if (found == NULL) {
            return -1;
        }
        unit = unit << 4 | (int32_t)((found - digits) & 15);
    }
    return unit;
}

/* Checks an escape, together with the other half of a surrogate pair. */
static mf_status check_escape(check *in)
{
    char c = peek(in, 1);
    if (c != 'u') {
        if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL) {
            return refuse(in, in->at, "unknown escape");
        }
        in->at += 2;
        return MF_OK;
    }
    int32_t unit = read_hex(in, 2);
    bool is_high = unit >= 0xd800 && unit < 0xdc00;
    if (unit < 0) {
        return refuse(in, in->at, "\\u needs four hexadecimal digits");
    }
    if (unit == 0) {
        return refuse(in, in->at, "NUL in a str");
    }
    if (is_high) {
        int32_t low = peek(in, 6) == '\\' && peek(in, 7) == 'u' ? read_hex(in, 8) : -1;
        is_high = low >= 0xdc00 && low < 0xe000;
    }
    if (unit >= 0xd800 && unit < 0xe000 && !is_high) {
        return refuse(in, in->at, "half of a surrogate pair");
    }
    in->at += is_high ? 12 : 6;
    return MF_OK;
}

static mf_status check_str(check *in)
{
    size_t start = in->at++;
    mf_status status = MF_OK;
    while (status == MF_OK && peek(in, 0) != '"') {
        if (in->at >= in->length) {
            return refuse(in, start, "a str without end");
        }
        unsigned char c = (unsigned char)peek(in, 0);
        if (c < 0x20) {
            return refuse(in, in->at, c == 0 ? "NUL in a str" : "control character in a str");
        }
        if (c == '\\') {
            status = check_escape(in);
        } else {
            in->at++;
        }
    }
    if (status == MF_OK && !mfi_utf8_valid(in->text + start, in->at - start)) {
        status = refuse(in, start, "a str that is not UTF-8");
    }
    in->at++;
    return status;
}

/* ---- Numbers ---- */

static bool fits_double(const char *digits, size_t count)
{
    int64_t number = 0;
    for (size_t i = 0; i < count && number <= INTEGER_MAX; i++) {
        number = number * 10 + (digits[i] - '0');
    }
    return number <= INTEGER_MAX;
}

static mf_status check_number(check *in)
{
    size_t sign = peek(in, 0) == '-' ? 1 : 0;
    size_t whole = count_digits(in, sign);
    size_t size = sign + whole;
    bool is_integer = true;
    bool well_formed = whole == 1 || (whole > 1 && peek(in, sign) != '0');
    if (peek(in, size) == '.') {
        size_t digits = count_digits(in, size + 1);
        well_formed = well_formed && digits > 0;
        size += 1 + digits;
        is_integer = false;
    }
    if (peek(in, size) == 'e' || peek(in, size) == 'E') {
        size_t exponent_sign = peek(in, size + 1) == '+' || peek(in, size + 1) == '-' ? 1 : 0;
        size_t digits = count_digits(in, size + 1 + exponent_sign);
        well_formed = well_formed && digits > 0;
        size += 1 + exponent_sign + digits;
        is_integer = false;
    }
    if (!well_formed) {
        return refuse(in, in->at, "malformed number");
    }
    if (is_integer && !fits_double(in->text + in->at + sign, whole)) {
        return refuse(in, in->at, "an integer beyond 2^53");
    }
    if (size > NUMBER_MAX_BYTES) {
        return refuse(in, in->at, "a number of more than 63 characters");
    }
    in->at += size;
    return MF_OK;
}

/* ---- Structure ---- */

static mf_status check_open(check *in, char end, expected next, expected *ret_next)
{
    if (in->open == MFI_DEPTH_MAX) {
        return mfi_fail(in->error, MF_ERR_LIMIT,
                        "JSON, byte %zu: nests %d deep, more than the depth of %d", in->at,
                        MFI_DEPTH_MAX + 1, MFI_DEPTH_MAX);
    }
    in->ends[in->open++] = end;
    in->at++;
    *ret_next = next;
    return MF_OK;
}

static mf_status check_value(check *in, expected *ret_next)
{
    static const char *const words[] = {"true", "false", "null"};
    char c = peek(in, 0);
    *ret_next = EXPECT_REST;
    if (c == '{') {
        return check_open(in, '}', EXPECT_KEY_OR_END, ret_next);
    }
    if (c == '[') {
        return check_open(in, ']', EXPECT_VALUE_OR_END, ret_next);
    }
    if (c == '"') {
        return check_str(in);
    }
    if (c == '-' || is_digit(c)) {
        return check_number(in);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t size = strlen(words[i]);
        if (in->length - in->at >= size && memcmp(in->text + in->at, words[i], size) == 0) {
            in->at += size;
            return MF_OK;
        }
    }
    return refuse(in, in->at,
                  in->at < in->length ? "no value begins so" : "the text ends too early");
}

static void skip_blanks(check *in)
{
    while (peek(in, 0) != '\0' && strchr(" \t\r\n", peek(in, 0)) != NULL) {
        in->at++;
    }
}

static mf_status check_key(check *in)
{
    if (peek(in, 0) != '"') {
        return refuse(in, in->at, "a key was expected");
    }
    mf_status status = check_str(in);
    if (status != MF_OK) {
        return status;
    }
    skip_blanks(in);
    if (peek(in, 0) != ':') {
        return refuse(in, in->at, "':' was expected");
    }
    in->at++;
    return MF_OK;
}

/* Checks what follows a value in a container. */
static mf_status check_rest(check *in, expected *ret_next)
{
    char end = in->ends[in->open - 1];
    char c = peek(in, 0);
    if (c == end) {
        in->open--;
        *ret_next = EXPECT_REST;
    } else if (c == ',') {
        *ret_next = end == '}' ? EXPECT_KEY : EXPECT_VALUE;
    } else {
        return refuse(in, in->at,
                      end == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
    }
    in->at++;
    return MF_OK;
}

mf_status mfi_json_check(const char *text, size_t length, mf_error *error)
{
    check in = {.text = text, .length = length, .error = error};
    expected next = EXPECT_VALUE;
    mf_status status = MF_OK;
    while (status == MF_OK) {
        skip_blanks(&in);
        bool may_end = next == EXPECT_VALUE_OR_END || next == EXPECT_KEY_OR_END;
        if (next == EXPECT_REST && in.open == 0) {
            break;
        }
        if (next == EXPECT_REST || (may_end && peek(&in, 0) == in.ends[in.open - 1])) {
            status = check_rest(&in, &next);
        } else if (next == EXPECT_KEY || next == EXPECT_KEY_OR_END) {
            status = check_key(&in);
            next = EXPECT_VALUE;
        } else {
            status = check_value(&in, &next);
        }
    }
    if (status == MF_OK && in.at < length) {
        status = refuse(&in, in.at, "something follows the value");
    }
    return status;
}

/* The text was checked before, so every number has an end. */
mfi_json_number mfi_json_next_number(const char *text, size_t length, size_t at)
{
    mfi_json_number number = {.start = at, .is_integer = true};
    while (number.start < length && text[number.start] != '-' && !is_digit(text[number.start])) {
        bool is_str = text[number.start++] == '"';
        while (is_str) {
            is_str = text[number.start] != '"';
            number.start += text[number.start] == '\\' ? 2 : 1;
        }
    }
    for (size_t i = number.start; i < length && strchr("+-.eE0123456789", text[i]) != NULL; i++) {
        number.is_integer = number.is_integer && strchr(".eE", text[i]) == NULL;
        number.size++;
    }
    return number;
}
