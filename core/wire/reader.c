/* Reads values and names the place of a fault. A reader keeps only the start of a value; the path
 * is found when an error needs it. */
#include "core/wire/reader.h"

#include "base/error.h"
#include "core/wire/head.h"
#include "core/wire/limits.h"
#include "core/wire/path.h"

static const mfi_limits *limits_of(const mfi_reader *reader)
{
    return reader->limits != NULL ? reader->limits : &mfi_limits_default;
}

/* The path of the value that is being read, for an error. */
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

/* The error for a value whose header cannot be read. */
static mf_status no_value(mfi_reader *reader, mf_error *error)
{
    if (reader->at < reader->size) {
        reader->at++; /* so that a caller that reads on reaches the end */
    }
    return reader->start < reader->size && reader->data[reader->start] == 0xc1
               ? malformed(reader, "byte 0xc1 begins no msgpack value", error)
               : malformed(reader, "the msgpack ends too early", error);
}

/* The error for a value that mfi_head_fits() refuses. */
static mf_status no_fit(const mfi_reader *reader, const mf_value *value, mf_error *error)
{
    mfi_path path;
    const mfi_limits *limits = limits_of(reader);
    if (value->type == MF_TYPE_ARRAY || value->type == MF_TYPE_MAP) {
        return error == NULL ? MF_ERR_LIMIT
                             : mfi_limits_fail_items(limits, path_of(reader, &path),
                                                     (mf_type)value->type, value->length, error);
    }
    if (value->length > limits->string_bytes) {
        return error == NULL
                   ? MF_ERR_LIMIT
                   : mfi_limits_fail_string_bytes(limits, path_of(reader, &path),
                                                  (mf_type)value->type, value->length, error);
    }
    return malformed(reader, "a str that is not UTF-8", error);
}

mf_status mfi_reader_next(mfi_reader *reader, mf_value *ret_value, mf_error *error)
{
    reader->start = reader->at;
    if (reader->at >= reader->size) {
        return no_value(reader, error);
    }
    const uint8_t *next =
        mfi_head(reader->data + reader->at, reader->data + reader->size, ret_value);
    if (next == NULL) {
        return no_value(reader, error);
    }
    reader->at = (size_t)(next - reader->data);
    return reader->structure_only || mfi_head_fits(ret_value, limits_of(reader))
               ? MF_OK
               : no_fit(reader, ret_value, error);
}

mf_status mfi_reader_skip(mfi_reader *reader, uint32_t depth, mfi_extent *extent, mf_error *error)
{
    mf_value value;
    if (reader->at >= reader->size) {
        return mfi_reader_next(reader, &value, error);
    }
    const uint8_t *fault = NULL;
    const uint8_t *next = mfi_head_count(reader->data + reader->at, reader->data + reader->size,
                                         depth, limits_of(reader), extent, &fault);
    if (next != NULL) {
        reader->at = (size_t)(next - reader->data);
        return MF_OK;
    }
    reader->at = (size_t)(fault - reader->data);
    mf_status status = mfi_reader_next(reader, &value, error);
    if (status == MF_OK) { /* the header fits, so the fault is a container too deep */
        mfi_path path;
        status =
            error == NULL ? MF_ERR_LIMIT : mfi_limits_fail_depth(path_of(reader, &path), error);
    }
    return status;
}

mf_status mfi_reader_skip_structure(mfi_reader *reader, mf_error *error)
{
    mfi_reader plain = *reader;
    plain.structure_only = true;
    mf_status status = MF_OK;
    /* This needs no count of levels and cannot overflow, because lengths are within the bytes left.
     * */
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
