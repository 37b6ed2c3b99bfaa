#include "core/wire/reader.h"

#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/limits.h"
#include "core/wire/path.h"

static const mfi_limits *limits_of(const mfi_reader *reader)
{
    return reader->limits != NULL ? reader->limits : &mfi_limits_default;
}

/* Path of the value that is being read, for an error. */
static const char *path_of(const mfi_reader *reader, mfi_path *path)
{
    mfi_path_find(path, reader->root, reader->data, reader->size, reader->start);
    return path->text;
}

static mf_status malformed(const mfi_reader *reader, const char *what, mf_error *error)
{
    mfi_path path;
    if (error == NULL) {
        return MF_ERR_PROTOCOL;
    }
    return mfi_fail(error, MF_ERR_PROTOCOL, "%s: %s", path_of(reader, &path), what);
}

static mf_status cut_short(const mfi_reader *reader, mf_error *error)
{
    return malformed(reader, "the msgpack ends too early", error);
}

static mf_status take(mfi_reader *reader, size_t count, const uint8_t **ret_bytes, mf_error *error)
{
    if (count > reader->size - reader->at) {
        return cut_short(reader, error);
    }
    *ret_bytes = reader->data + reader->at;
    reader->at += count;
    return MF_OK;
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static mf_status take_number(mfi_reader *reader, size_t width, uint64_t *ret_number,
                             mf_error *error)
{
    const uint8_t *bytes = NULL;
    mf_status status = take(reader, width, &bytes, error);
    uint64_t number = 0;
    for (size_t i = 0; status == MF_OK && i < width; i++) {
        number = number << 8 | bytes[i];
    }
    *ret_number = number;
    return status;
}

static mf_status take_bytes(mfi_reader *reader, mf_type type, uint64_t length, mf_value *ret_value,
                            mf_error *error)
{
    const uint8_t *bytes = NULL;
    mf_status status = take(reader, (size_t)length, &bytes, error);
    if (status != MF_OK) {
        return status;
    }
    if (!reader->structure_only && length > limits_of(reader)->string_bytes) {
        mfi_path path;
        return error == NULL ? MF_ERR_LIMIT
                             : mfi_fail_string_bytes(limits_of(reader), path_of(reader, &path),
                                                     type, length, error);
    }
    if (!reader->structure_only && type == MF_TYPE_STR &&
        !mfi_utf8_valid((const char *)bytes, (size_t)length)) {
        return malformed(reader, "a str that is not UTF-8", error);
    }
    *ret_value = mf_bin(bytes, (size_t)length);
    ret_value->type = (uint8_t)type;
    return MF_OK;
}

static mf_status take_container(mfi_reader *reader, mf_type type, uint64_t count,
                                mf_value *ret_value, mf_error *error)
{
    uint64_t least = type == MF_TYPE_MAP ? count * 2 : count; /* each element has a byte at least */
    if (least > reader->size - reader->at) {
        return cut_short(reader, error);
    }
    if (!reader->structure_only && count > limits_of(reader)->items) {
        mfi_path path;
        return error == NULL
                   ? MF_ERR_LIMIT
                   : mfi_fail_items(limits_of(reader), path_of(reader, &path), type, count, error);
    }
    *ret_value =
        type == MF_TYPE_MAP ? mf_map(NULL, (uint32_t)count) : mf_array(NULL, (uint32_t)count);
    return MF_OK;
}

static mf_status take_ext(mfi_reader *reader, uint64_t length, mf_value *ret_value, mf_error *error)
{
    if (reader->at >= reader->size) {
        return cut_short(reader, error);
    }
    int8_t kind = (int8_t)reader->data[reader->at++];
    mf_status status = take_bytes(reader, MF_TYPE_EXT, length, ret_value, error);
    if (status == MF_OK) {
        ret_value->ext_type = kind;
    }
    return status;
}

static mf_status take_float(mfi_reader *reader, size_t width, mf_value *ret_value, mf_error *error)
{
    uint64_t bits = 0;
    mf_status status = take_number(reader, width, &bits, error);
    if (width == 4) {
        uint32_t narrow = (uint32_t)bits;
        float number = 0;
        memcpy(&number, &narrow, sizeof number);
        *ret_value = mf_float((double)number);
    } else {
        double number = 0;
        memcpy(&number, &bits, sizeof number);
        *ret_value = mf_float(number);
    }
    return status;
}

static mf_status take_signed(mfi_reader *reader, size_t width, mf_value *ret_value, mf_error *error)
{
    uint64_t bits = 0;
    mf_status status = take_number(reader, width, &bits, error);
    if (width < 8 && (bits >> (width * 8 - 1)) != 0) {
        bits |= UINT64_MAX << (width * 8); /* sign */
    }
    *ret_value = mf_int((int64_t)bits);
    return status;
}

/* A header whose first byte is followed by a length of `width` bytes. */
static mf_status take_sized(mfi_reader *reader, mf_type type, size_t width, mf_value *ret_value,
                            mf_error *error)
{
    uint64_t length = 0;
    mf_status status = take_number(reader, width, &length, error);
    if (status != MF_OK) {
        return status;
    }
    if (type == MF_TYPE_ARRAY || type == MF_TYPE_MAP) {
        return take_container(reader, type, length, ret_value, error);
    }
    if (type == MF_TYPE_EXT) {
        return take_ext(reader, length, ret_value, error);
    }
    return take_bytes(reader, type, length, ret_value, error);
}

/* First bytes 0xc0 to 0xdf. */
static mf_status take_marked(mfi_reader *reader, uint8_t first, mf_value *ret_value,
                             mf_error *error)
{
    uint64_t number = 0;
    mf_status status = MF_OK;
    switch (first) {
    case 0xc0:
        *ret_value = mf_nil();
        return MF_OK;
    case 0xc2:
    case 0xc3:
        *ret_value = mf_bool(first == 0xc3);
        return MF_OK;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_sized(reader, MF_TYPE_BIN, (size_t)1 << (first - 0xc4), ret_value, error);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_sized(reader, MF_TYPE_EXT, (size_t)1 << (first - 0xc7), ret_value, error);
    case 0xca:
    case 0xcb:
        return take_float(reader, first == 0xca ? 4 : 8, ret_value, error);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        status = take_number(reader, (size_t)1 << (first - 0xcc), &number, error);
        *ret_value = mf_uint(number);
        return status;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_signed(reader, (size_t)1 << (first - 0xd0), ret_value, error);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_ext(reader, UINT64_C(1) << (first - 0xd4), ret_value, error);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_sized(reader, MF_TYPE_STR, (size_t)1 << (first - 0xd9), ret_value, error);
    case 0xdc:
    case 0xdd:
        return take_sized(reader, MF_TYPE_ARRAY, first == 0xdc ? 2 : 4, ret_value, error);
    case 0xde:
    case 0xdf:
        return take_sized(reader, MF_TYPE_MAP, first == 0xde ? 2 : 4, ret_value, error);
    default:
        return malformed(reader, "byte 0xc1 begins no msgpack value", error);
    }
}

mf_status mfi_reader_next(mfi_reader *reader, mf_value *ret_value, mf_error *error)
{
    reader->start = reader->at;
    if (reader->at >= reader->size) {
        return cut_short(reader, error);
    }
    uint8_t first = reader->data[reader->at++];
    if (first <= 0x7f) {
        *ret_value = mf_int(first);
        return MF_OK;
    }
    if (first >= 0xe0) {
        *ret_value = mf_int((int8_t)first);
        return MF_OK;
    }
    if (first <= 0x8f) {
        return take_container(reader, MF_TYPE_MAP, first & 15u, ret_value, error);
    }
    if (first <= 0x9f) {
        return take_container(reader, MF_TYPE_ARRAY, first & 15u, ret_value, error);
    }
    if (first <= 0xbf) {
        return take_bytes(reader, MF_TYPE_STR, first & 31u, ret_value, error);
    }
    return take_marked(reader, first, ret_value, error);
}

mf_status mfi_reader_skip(mfi_reader *reader, uint32_t depth, mfi_extent *extent, mf_error *error)
{
    uint32_t left[MFI_DEPTH_MAX + 1]; /* values still to come, by open container */
    uint32_t open = 0;
    left[0] = 1;
    for (;;) {
        mf_value value;
        mf_status status = mfi_reader_next(reader, &value, error);
        if (status != MF_OK) {
            return status;
        }
        extent->values++;
        extent->string_bytes += value.type == MF_TYPE_STR ? (size_t)value.length + 1 : 0;
        left[open]--;
        if (value.type == MF_TYPE_ARRAY || value.type == MF_TYPE_MAP) {
            if (depth + open + 1 > MFI_DEPTH_MAX) {
                mfi_path path;
                return error == NULL ? MF_ERR_LIMIT : mfi_fail_depth(path_of(reader, &path), error);
            }
            open++;
            left[open] = value.type == MF_TYPE_MAP ? value.length * 2 : value.length;
        }
        while (open > 0 && left[open] == 0) {
            open--;
        }
        if (open == 0 && left[0] == 0) {
            return MF_OK;
        }
    }
}

mf_status mfi_reader_skip_structure(mfi_reader *reader, mf_error *error)
{
    mfi_reader plain = *reader;
    plain.structure_only = true;
    mf_status status = MF_OK;
    /* No count of levels is needed, nor can this overflow: lengths are within the bytes left. */
    for (uint64_t left = 1; left > 0 && status == MF_OK; left--) {
        mf_value value;
        status = mfi_reader_next(&plain, &value, error);
        if (status == MF_OK && value.type == MF_TYPE_MAP) {
            left += (uint64_t)value.length * 2;
        } else if (status == MF_OK && value.type == MF_TYPE_ARRAY) {
            left += value.length;
        }
    }
    reader->at = plain.at;
    return status;
}
