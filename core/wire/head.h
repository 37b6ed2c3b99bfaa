/* Reads the header of one msgpack value. All readers are made of these functions. */
#ifndef MFI_WIRE_HEAD_H
#define MFI_WIRE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <multifrost/value.h>

#include "base/bytes.h"
#include "base/str.h"
#include "core/wire/limits.h"
#include "core/wire/slice.h"

static inline double mfi_load_double(const uint8_t *at)
{
    uint64_t bits = mfi_load_be64(at);
    double number = 0;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* A str, bin or ext whose bytes begin at `at`; NULL if bytes are missing. */
static inline const uint8_t *mfi_head_bytes(const uint8_t *at, const uint8_t *end, mf_type type,
                                            size_t length, mf_value *ret_value)
{
    if (length > (size_t)(end - at)) {
        return NULL;
    }
    *ret_value = (mf_value){.type = (uint8_t)type, .length = (uint32_t)length, .as.bytes = at};
    return at + length;
}

/* An array or map whose elements begin at `at`; NULL if fewer bytes than elements follow. */
static inline const uint8_t *mfi_head_items(const uint8_t *at, const uint8_t *end, mf_type type,
                                            uint32_t count, mf_value *ret_value)
{
    uint64_t least = type == MF_TYPE_MAP ? (uint64_t)count * 2 : count;
    if (least > (uint64_t)(end - at)) {
        return NULL;
    }
    *ret_value = (mf_value){.type = (uint8_t)type, .length = count, .as.items = NULL};
    return at;
}

/* The rarer headers, from 0xc0 to 0xdf; `at` is behind the first byte. */
const uint8_t *mfi_head_marked(uint8_t first, const uint8_t *at, const uint8_t *end,
                               mf_value *ret_value);

/* Reads one header at `at`, which is before `end`, and passes over the bytes of str, bin and ext.
 * Returns the position behind, or NULL if the bytes are no msgpack or cut short. Checks no limits.
 * Always inlined, so that the value stays in registers. */
__attribute__((always_inline)) static inline const uint8_t *
mfi_head(const uint8_t *at, const uint8_t *end, mf_value *ret_value)
{
    if (at == end) {
        return NULL;
    }
    uint8_t first = *at++;
    if (first <= 0x7f || first >= 0xe0) {
        *ret_value = (mf_value){.type = MF_TYPE_INT, .as.integer = (int8_t)first};
        return at;
    }
    if (first >= 0xa0 && first <= 0xbf) {
        return mfi_head_bytes(at, end, MF_TYPE_STR, first & 31u, ret_value);
    }
    if (first <= 0x9f) {
        mf_type type = first <= 0x8f ? MF_TYPE_MAP : MF_TYPE_ARRAY;
        return mfi_head_items(at, end, type, first & 15u, ret_value);
    }
    if (first == 0xd9 && at < end) {
        return mfi_head_bytes(at + 1, end, MF_TYPE_STR, *at, ret_value);
    }
    if (first == 0xcb && end - at >= 8) {
        *ret_value = (mf_value){.type = MF_TYPE_FLOAT, .as.number = mfi_load_double(at)};
        return at + 8;
    }
    mf_value rare; /* a separate variable, so that common values stay in registers */
    at = mfi_head_marked(first, at, end, &rare);
    *ret_value = at != NULL ? rare : (mf_value){.type = MF_TYPE_NIL};
    return at;
}

/* Whether a value with this header is within the limits, and a str is UTF-8. */
static inline bool mfi_head_fits(const mf_value *value, const mfi_limits *limits)
{
    if (value->type <= MF_TYPE_FLOAT) {
        return true;
    }
    if (value->type == MF_TYPE_ARRAY || value->type == MF_TYPE_MAP) {
        return value->length <= limits->items;
    }
    return value->length <= limits->string_bytes &&
           (value->type != MF_TYPE_STR || mfi_utf8_valid(value->as.str, value->length));
}

/* Checks and passes over one whole value that lies `depth` containers deep. Returns the position
 * behind; NULL if the value is malformed or beyond a limit: *ret_fault is then the faulty value. */
const uint8_t *mfi_head_pass(const uint8_t *at, const uint8_t *end, uint32_t depth,
                             const mfi_limits *limits, const uint8_t **ret_fault);
/* The same, and adds the value's totals to extent. */
const uint8_t *mfi_head_count(const uint8_t *at, const uint8_t *end, uint32_t depth,
                              const mfi_limits *limits, mfi_extent *extent,
                              const uint8_t **ret_fault);

#endif
