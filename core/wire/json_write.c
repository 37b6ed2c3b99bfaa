/* Writes values as JSON text, without recursion. A value that JSON cannot express is an error that
 * names its path. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <multifrost/json.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "core/wire/key.h"
#include "core/wire/limits.h"
#include "core/wire/path.h"
#include "core/wire/writer.h"

/* One open container. */
typedef struct frame {
    const mf_value *items;
    size_t count; /* of values: twice the pairs of a map */
    size_t next;
    bool is_map;
} frame;

typedef struct json_walk {
    mfi_buf *to;
    uint32_t open;
    frame frames[MFI_DEPTH_MAX + 1];
    mf_error *error;
} json_walk;

static const char *path_of(const json_walk *walk, mfi_path *path)
{
    mfi_path_begin(path, "value");
    for (uint32_t i = 1; i <= walk->open; i++) {
        const frame *at = &walk->frames[i];
        size_t index = at->next - 1;
        if (at->is_map) {
            mfi_path_pair(path, &at->items[index & ~(size_t)1], index / 2);
        } else {
            mfi_path_index(path, index);
        }
    }
    return path->text;
}

static mf_status refuse(const json_walk *walk, const mf_value *value, const char *why)
{
    mfi_path path;
    return mfi_fail(walk->error, MF_ERR_INVALID_ARGUMENT, "%s: %s %s", path_of(walk, &path),
                    mf_type_name((mf_type)value->type), why);
}

static mf_status write_str(const json_walk *walk, const mf_value *value)
{
    if (value->length > 0 && value->as.str == NULL) {
        return refuse(walk, value, "at NULL");
    }
    if (value->length > 0 && !mfi_utf8_valid(value->as.str, value->length)) {
        return refuse(walk, value, "that is not UTF-8");
    }
    mfi_buf_append_byte(walk->to, '"');
    mfi_str_append_json(walk->to, value->as.str, value->length);
    mfi_buf_append_byte(walk->to, '"');
    return MF_OK;
}

static void write_base64(mfi_buf *to, const uint8_t *bytes, size_t size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    mfi_buf_append_byte(to, '"');
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        char four[4] = {letters[group >> 18], letters[group >> 12 & 63], '=', '='};
        if (left > 1) {
            four[2] = letters[group >> 6 & 63];
        }
        if (left > 2) {
            four[3] = letters[group & 63];
        }
        mfi_buf_append(to, four, sizeof four);
    }
    mfi_buf_append_byte(to, '"');
}

static void write_float(mfi_buf *to, double number)
{
    char text[MFI_KEY_TEXT];
    mfi_double_text(number, text);
    mfi_buf_append_str(to, isfinite(number) ? text : "null");
}

static mf_status open_container(json_walk *walk, const mf_value *value, bool is_map)
{
    if (walk->open == MFI_DEPTH_MAX) {
        mfi_path path;
        return mfi_limits_fail_depth(path_of(walk, &path), walk->error);
    }
    if (value->length > 0 && value->as.items == NULL) {
        return refuse(walk, value, "at NULL");
    }
    mfi_buf_append_byte(walk->to, is_map ? '{' : '[');
    walk->frames[++walk->open] = (frame){.items = value->as.items,
                                         .count = (size_t)value->length * (is_map ? 2 : 1),
                                         .is_map = is_map};
    return MF_OK;
}

static mf_status write_one(json_walk *walk, const mf_value *value)
{
    switch ((mf_type)value->type) {
    case MF_TYPE_NIL:
        mfi_buf_append_str(walk->to, "null");
        return MF_OK;
    case MF_TYPE_BOOL:
        mfi_buf_append_str(walk->to, value->as.boolean ? "true" : "false");
        return MF_OK;
    case MF_TYPE_INT:
        mfi_buf_printf(walk->to, "%" PRId64, value->as.integer);
        return MF_OK;
    case MF_TYPE_UINT:
        mfi_buf_printf(walk->to, "%" PRIu64, value->as.unsigned_integer);
        return MF_OK;
    case MF_TYPE_FLOAT:
        write_float(walk->to, value->as.number);
        return MF_OK;
    case MF_TYPE_STR:
        return write_str(walk, value);
    case MF_TYPE_BIN:
        if (value->length > 0 && value->as.bytes == NULL) {
            return refuse(walk, value, "at NULL");
        }
        write_base64(walk->to, value->as.bytes, value->length);
        return MF_OK;
    case MF_TYPE_ARRAY:
        return open_container(walk, value, false);
    case MF_TYPE_MAP:
        return open_container(walk, value, true);
    case MF_TYPE_EXT:
    case MF_TYPE_OBJECT:
        break;
    }
    return refuse(walk, value, "has no JSON form");
}

static mf_status write_key(const json_walk *walk, const mf_value *key)
{
    char text[MFI_KEY_TEXT];
    mf_value str = *key;
    if (key->type != MF_TYPE_STR) {
        if (!mfi_key_text(key, text)) {
            return refuse(walk, key, "as a map's key has no text form");
        }
        str = mf_str(text);
    }
    mf_status status = write_str(walk, &str);
    mfi_buf_append_byte(walk->to, ':');
    return status;
}

static mf_status write_rest(json_walk *walk)
{
    mf_status status = MF_OK;
    while (status == MF_OK && walk->open > 0 && !walk->to->failed) {
        frame *top = &walk->frames[walk->open];
        if (top->next == top->count) {
            mfi_buf_append_byte(walk->to, top->is_map ? '}' : ']');
            walk->open--;
            continue;
        }
        size_t index = top->next++;
        bool is_key = top->is_map && index % 2 == 0;
        if (index > 0 && (is_key || !top->is_map)) {
            mfi_buf_append_byte(walk->to, ',');
        }
        status = is_key ? write_key(walk, &top->items[index]) : write_one(walk, &top->items[index]);
    }
    return status;
}

mf_status mf_value_to_json(const mf_value *value, char **ret_text, size_t *ret_length,
                           mf_error *error)
{
    mfi_buf buf;
    json_walk walk;
    if (value == NULL || ret_text == NULL) {
        return mfi_fail_null(error, value == NULL ? "value" : "ret_text");
    }
    mfi_buf_init(&buf, MFI_MESSAGE_MAX_BYTES);
    walk.to = &buf;
    walk.open = 0;
    walk.error = error;
    mf_status status = write_one(&walk, value);
    if (status == MF_OK) {
        status = write_rest(&walk);
    }
    mfi_buf_append_byte(&buf, '\0');
    if (status == MF_OK && buf.failed) {
        status = mfi_pack_failure(&buf, "value", error);
    }
    if (status == MF_OK) {
        size_t size = 0;
        *ret_text = (char *)mfi_buf_take(&buf, &size);
        if (ret_length != NULL) {
            *ret_length = size - 1;
        }
    }
    mfi_buf_fini(&buf);
    return status;
}
