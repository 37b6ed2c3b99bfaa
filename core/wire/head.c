/* The rarer headers of msgpack values, and the pass that checks a whole value. The pass keeps a
 * stack of its own, because the depth of a stranger's value must not become the depth of calls. */
#include "core/wire/head.h"

/* Bytes of the number behind a first byte from 0xc0 to 0xdf; for an ext, without its code. */
static const uint8_t widths[32] = {0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,
                                   1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};

static uint64_t load(const uint8_t *at, size_t width)
{
    switch (width) {
    case 1:
        return at[0];
    case 2:
        return mfi_load_be16(at);
    case 4:
        return mfi_load_be32(at);
    case 8:
        return mfi_load_be64(at);
    default:
        return 0;
    }
}

static const uint8_t *head_ext(const uint8_t *at, const uint8_t *end, size_t length,
                               mf_value *ret_value)
{
    if (at == end) {
        return NULL;
    }
    int8_t code = (int8_t)*at;
    at = mfi_head_bytes(at + 1, end, MF_TYPE_EXT, length, ret_value);
    if (at != NULL) {
        ret_value->ext_type = code;
    }
    return at;
}

/* The value of a signed number of `width` bytes. */
static mf_value integer_of(uint64_t bits, size_t width)
{
    if (width < 8 && (bits >> (width * 8 - 1)) != 0) {
        bits |= UINT64_MAX << (width * 8);
    }
    return mf_int((int64_t)bits);
}

static mf_value narrow_float(uint32_t bits)
{
    float number = 0;
    memcpy(&number, &bits, sizeof number);
    return mf_float((double)number);
}

const uint8_t *mfi_head_marked(uint8_t first, const uint8_t *at, const uint8_t *end,
                               mf_value *ret_value)
{
    size_t width = widths[first & 31u];
    if (width > (size_t)(end - at) || first == 0xc1) {
        return NULL;
    }
    uint64_t number = load(at, width);
    at += width;
    if (first <= 0xc3) {
        *ret_value = first == 0xc0 ? mf_nil() : mf_bool(first == 0xc3);
        return at;
    }
    if (first <= 0xc6) {
        return mfi_head_bytes(at, end, MF_TYPE_BIN, (size_t)number, ret_value);
    }
    if (first <= 0xc9) {
        return head_ext(at, end, (size_t)number, ret_value);
    }
    if (first == 0xca) {
        *ret_value = narrow_float((uint32_t)number);
        return at;
    }
    if (first == 0xcb) {
        *ret_value = mf_float(mfi_load_double(at - 8));
        return at;
    }
    if (first <= 0xcf) {
        *ret_value = mf_uint(number);
        return at;
    }
    if (first <= 0xd3) {
        *ret_value = integer_of(number, width);
        return at;
    }
    if (first <= 0xd8) {
        return head_ext(at, end, (size_t)1 << (first - 0xd4), ret_value);
    }
    if (first <= 0xdb) {
        return mfi_head_bytes(at, end, MF_TYPE_STR, (size_t)number, ret_value);
    }
    return mfi_head_items(at, end, first <= 0xdd ? MF_TYPE_ARRAY : MF_TYPE_MAP, (uint32_t)number,
                          ret_value);
}

/* Passes over a str with a header of one or two bytes, a number, nil or a bool. NULL: the value is
 * of another form, malformed, or not ASCII. */
static inline const uint8_t *pass_common(const uint8_t *at, const uint8_t *end, size_t string_bytes)
{
    uint8_t first = *at++;
    size_t left = (size_t)(end - at);
    if (first >= 0xa0 && first <= 0xbf) {
        size_t length = first & 31u;
        bool sound =
            length <= left && length <= string_bytes && mfi_ascii((const char *)at, length);
        return sound ? at + length : NULL;
    }
    if (first <= 0x7f || first >= 0xe0) {
        return at;
    }
    if (first >= 0xca && first <= 0xd3) { /* numbers: the last 2 bits are log2 of the width */
        size_t width = (size_t)1 << (first & 3u);
        return width <= left ? at + width : NULL;
    }
    if (first == 0xd9 && left >= 1) {
        size_t length = *at++;
        bool sound = length < left && length <= string_bytes && mfi_ascii((const char *)at, length);
        return sound ? at + length : NULL;
    }
    return first == 0xc0 || first == 0xc2 || first == 0xc3 ? at : NULL;
}

/* Bytes that a tree needs for the text of a value: of a str with its NUL. */
static inline size_t text_of(const uint8_t *at, const uint8_t *next)
{
    size_t size = (size_t)(next - at);
    return *at >= 0xa0 && *at <= 0xbf ? size : *at == 0xd9 ? size - 1 : 0;
}

/* Where nothing is counted, extent is a constant NULL. The counters stay in registers. */
__attribute__((always_inline)) static inline const uint8_t *
pass(const uint8_t *at, const uint8_t *end, uint32_t depth, const mfi_limits *limits,
     mfi_extent *extent, const uint8_t **ret_fault)
{
    uint64_t outer[MFI_DEPTH_MAX + 1]; /* values left in each of the containers around */
    uint32_t open = 0;
    uint64_t left = 1; /* values left in the innermost container */
    mfi_extent seen = {0, 0};
    while (at < end) {
        const uint8_t *next = pass_common(at, end, limits->string_bytes);
        left--;
        if (extent != NULL) {
            seen.values++;
            seen.string_bytes += next != NULL ? text_of(at, next) : 0;
        }
        if (next == NULL) {
            mf_value value;
            next = mfi_head(at, end, &value);
            bool is_container =
                next != NULL && (value.type == MF_TYPE_ARRAY || value.type == MF_TYPE_MAP);
            if (next == NULL || !mfi_head_fits(&value, limits) ||
                (is_container && depth + open + 1 > MFI_DEPTH_MAX)) {
                break;
            }
            if (extent != NULL && value.type == MF_TYPE_STR) {
                seen.string_bytes += (size_t)value.length + 1;
            }
            if (is_container) {
                outer[open++] = left;
                left = value.type == MF_TYPE_MAP ? (uint64_t)value.length * 2 : value.length;
            }
        }
        at = next;
        while (left == 0) {
            if (open == 0) {
                if (extent != NULL) {
                    extent->values += seen.values;
                    extent->string_bytes += seen.string_bytes;
                }
                return at;
            }
            left = outer[--open];
        }
    }
    *ret_fault = at;
    return NULL;
}

/* Passes over a small array or map of common values. NULL: another form, or malformed. */
static inline const uint8_t *pass_flat(const uint8_t *at, const uint8_t *end, uint32_t depth,
                                       const mfi_limits *limits)
{
    if (at >= end || *at < 0x80 || *at > 0x9f || depth >= MFI_DEPTH_MAX || limits->items < 15 ||
        limits->string_bytes < UINT8_MAX) {
        return NULL;
    }
    size_t count = *at <= 0x8f ? (*at & 15u) * 2u : *at & 15u;
    at++;
    while (count > 0) {
        at = at < end ? pass_common(at, end, UINT8_MAX) : NULL;
        if (at == NULL) {
            return NULL;
        }
        count--;
    }
    return at;
}

static const uint8_t *pass_any(const uint8_t *at, const uint8_t *end, uint32_t depth,
                               const mfi_limits *limits, const uint8_t **ret_fault)
{
    return pass(at, end, depth, limits, NULL, ret_fault);
}

const uint8_t *mfi_head_pass(const uint8_t *at, const uint8_t *end, uint32_t depth,
                             const mfi_limits *limits, const uint8_t **ret_fault)
{
    const uint8_t *next = pass_flat(at, end, depth, limits);
    return next != NULL ? next : pass_any(at, end, depth, limits, ret_fault);
}

const uint8_t *mfi_head_count(const uint8_t *at, const uint8_t *end, uint32_t depth,
                              const mfi_limits *limits, mfi_extent *extent,
                              const uint8_t **ret_fault)
{
    return pass(at, end, depth, limits, extent, ret_fault);
}
