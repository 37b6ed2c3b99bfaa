/* Writes values as msgpack with msgpack-c. A stack of open containers, as deep as the limits allow,
 * walks a tree, and gives the path of a value that cannot be sent. */
#include "core/wire/writer.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/codec.h"
#include "core/wire/key.h"
#include "core/wire/limits.h"
#include "core/wire/path.h"

static int append(void *data, const char *bytes, size_t size)
{
    mfi_buf *buf = data;
    mfi_buf_append(buf, bytes, size);
    return buf->failed ? -1 : 0;
}

void mfi_packer_init(msgpack_packer *packer, mfi_buf *buf)
{
    msgpack_packer_init(packer, buf, append);
}

static void pack_text(msgpack_packer *packer, const char *text, size_t length)
{
    (void)msgpack_pack_str(packer, length);
    (void)msgpack_pack_str_body(packer, text, length);
}

void mfi_pack_key(msgpack_packer *packer, const char *key)
{
    pack_text(packer, key, strlen(key));
}

mf_status mfi_pack_failure(const mfi_buf *buf, const char *where, mf_error *error)
{
    if (buf->no_memory) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "%s: no memory for more than %zu bytes", where,
                        buf->capacity);
    }
    return mfi_fail(error, MF_ERR_LIMIT, "%s: larger than max_message_bytes (%zu)", where,
                    buf->max != 0 ? buf->max : MFI_MESSAGE_MAX_BYTES);
}

/* One open container while a tree is walked. */
typedef struct frame {
    const mf_value *items;
    uint32_t count; /* of values: twice the pairs of a map */
    uint32_t next;
    bool is_map;
} frame;

typedef struct tree_walk {
    msgpack_packer *packer;
    const char *where;
    const mfi_limits *limits;
    uint32_t depth;
    uint32_t open;
    bool sanitize;
    frame frames[MFI_DEPTH_MAX + 1];
    mf_error *error;
} tree_walk;

static const char *path_of(const tree_walk *walk, mfi_path *path)
{
    mfi_path_begin(path, walk->where);
    for (uint32_t i = 1; i <= walk->open; i++) {
        const frame *at = &walk->frames[i];
        uint32_t index = at->next - 1;
        if (at->is_map) {
            mfi_path_pair(path, &at->items[index & ~1u], index / 2);
        } else {
            mfi_path_index(path, index);
        }
    }
    return path->text;
}

/* "args[2].name: <what>" */
static mf_status fail_at(const tree_walk *walk, mf_status code, const char *what)
{
    mfi_path path;
    return mfi_fail(walk->error, code, "%s: %s", path_of(walk, &path), what);
}

/* Refuses bytes or elements that are not there. */
static mf_status check_there(const tree_walk *walk, const mf_value *value)
{
    mfi_path path;
    const void *at = value->type == MF_TYPE_ARRAY || value->type == MF_TYPE_MAP
                         ? (const void *)value->as.items
                         : value->as.bytes;
    return at != NULL || value->length == 0
               ? MF_OK
               : mfi_fail(walk->error, MF_ERR_INVALID_ARGUMENT, "%s: %s at NULL of length %u",
                          path_of(walk, &path), mf_type_name((mf_type)value->type),
                          (unsigned)value->length);
}

static mf_status check_bytes(const tree_walk *walk, const mf_value *value)
{
    mfi_path path;
    if (value->as.bytes == NULL) {
        return check_there(walk, value);
    }
    return value->length <= walk->limits->string_bytes
               ? MF_OK
               : mfi_limits_fail_string_bytes(walk->limits, path_of(walk, &path),
                                              (mf_type)value->type, value->length, walk->error);
}

/* Packs a str or bin as a str; U+FFFD replaces malformed bytes. */
static mf_status pack_clean(const tree_walk *walk, const mf_value *value)
{
    mfi_buf clean;
    mfi_buf_init(&clean, 0);
    mfi_utf8_append_clean(&clean, value->as.str, value->length);
    mf_status status = MF_OK;
    if (clean.failed) {
        status = fail_at(walk, MF_ERR_NO_MEMORY, "no memory for a text");
    } else {
        mf_value text = mf_str_n((const char *)clean.data, clean.size);
        status = check_bytes(walk, &text);
    }
    if (status == MF_OK) {
        pack_text(walk->packer, (const char *)clean.data, clean.size);
    }
    mfi_buf_fini(&clean);
    return status;
}

static mf_status pack_str(const tree_walk *walk, const mf_value *value)
{
    mf_status status = check_bytes(walk, value);
    if (status != MF_OK) {
        return status;
    }
    if (value->length > 0 && !mfi_utf8_valid(value->as.str, value->length)) {
        return walk->sanitize ? pack_clean(walk, value)
                              : fail_at(walk, MF_ERR_INVALID_ARGUMENT,
                                        "a str that is not UTF-8: send it as bin");
    }
    pack_text(walk->packer, value->as.str, value->length);
    return MF_OK;
}

static mf_status pack_bin(const tree_walk *walk, const mf_value *value)
{
    mf_status status = check_bytes(walk, value);
    if (status == MF_OK) {
        (void)msgpack_pack_bin(walk->packer, value->length);
        (void)msgpack_pack_bin_body(walk->packer, value->as.bytes, value->length);
    }
    return status;
}

static void pack_ext_bytes(const tree_walk *walk, int8_t code, const uint8_t *bytes, size_t size)
{
    (void)msgpack_pack_ext(walk->packer, size, code);
    (void)msgpack_pack_ext_body(walk->packer, bytes, size);
}

static mf_status pack_ext(const tree_walk *walk, const mf_value *value)
{
    mfi_path path;
    mf_status status = check_bytes(walk, value);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_codec_known(value->ext_type) &&
        (value->ext_type != MF_EXT_TIMESTAMP || mfi_timestamp_valid(value))) {
        pack_ext_bytes(walk, value->ext_type, value->as.bytes, value->length);
        return MF_OK;
    }
    if (walk->sanitize) {
        return pack_bin(walk, value);
    }
    return mfi_fail(walk->error, MF_ERR_INVALID_ARGUMENT,
                    value->ext_type == MF_EXT_TIMESTAMP
                        ? "%s: an ext of code %d that is no timestamp"
                        : "%s: an ext of code %d, for which no codec is registered",
                    path_of(walk, &path), value->ext_type);
}

static mf_status pack_object(const tree_walk *walk, const mf_value *value)
{
    mfi_path path;
    mfi_buf body;
    mfi_buf_init(&body, walk->limits->string_bytes);
    mf_status status = mfi_codec_pack(value->ext_type, value->as.object, &body);
    if (body.failed && !body.no_memory) {
        status = mfi_fail(walk->error, MF_ERR_LIMIT,
                          "%s: an object of ext code %d has more than max_string_bytes (%zu)",
                          path_of(walk, &path), value->ext_type, walk->limits->string_bytes);
    } else if (body.failed) {
        status = fail_at(walk, MF_ERR_NO_MEMORY, "no memory for an object");
    } else if (status == MF_ERR_NOT_FOUND) {
        status =
            mfi_fail(walk->error, MF_ERR_INVALID_ARGUMENT,
                     "%s: an object of ext code %d, for which no codec that packs is registered",
                     path_of(walk, &path), value->ext_type);
    } else if (status != MF_OK) {
        status = mfi_fail(walk->error, status, "%s: the codec of ext code %d failed: %s",
                          path_of(walk, &path), value->ext_type, mf_strerror(status));
    } else {
        pack_ext_bytes(walk, value->ext_type, body.data, body.size);
    }
    mfi_buf_fini(&body);
    return status;
}

static mf_status pack_map_key(const tree_walk *walk, const mf_value *key)
{
    mfi_path path;
    char text[MFI_KEY_TEXT];
    if (key->type == MF_TYPE_STR) {
        return pack_str(walk, key);
    }
    if (key->type == MF_TYPE_BIN && walk->sanitize) {
        mf_status status = check_there(walk, key);
        return status == MF_OK ? pack_clean(walk, key) : status;
    }
    if (!mfi_key_text(key, text)) {
        return mfi_fail(walk->error, MF_ERR_INVALID_ARGUMENT,
                        "%s: a map's key of type %s, which has no text form", path_of(walk, &path),
                        mf_type_name((mf_type)key->type));
    }
    mfi_pack_key(walk->packer, text);
    return MF_OK;
}

static mf_status open_container(tree_walk *walk, const mf_value *value, bool is_map)
{
    mfi_path path;
    if (value->length > walk->limits->items) {
        return mfi_limits_fail_items(walk->limits, path_of(walk, &path), (mf_type)value->type,
                                     value->length, walk->error);
    }
    mf_status status = check_there(walk, value);
    if (status != MF_OK) {
        return status;
    }
    if (walk->depth + walk->open + 1 > MFI_DEPTH_MAX) {
        return mfi_limits_fail_depth(path_of(walk, &path), walk->error);
    }
    if (is_map) {
        (void)msgpack_pack_map(walk->packer, value->length);
    } else {
        (void)msgpack_pack_array(walk->packer, value->length);
    }
    walk->frames[++walk->open] = (frame){.items = value->as.items,
                                         .count = is_map ? value->length * 2 : value->length,
                                         .is_map = is_map};
    return MF_OK;
}

static mf_status pack_one(tree_walk *walk, const mf_value *value)
{
    msgpack_packer *packer = walk->packer;
    switch ((mf_type)value->type) {
    case MF_TYPE_NIL:
        (void)msgpack_pack_nil(packer);
        return MF_OK;
    case MF_TYPE_BOOL:
        (void)(value->as.boolean ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
        return MF_OK;
    case MF_TYPE_INT:
        (void)msgpack_pack_int64(packer, value->as.integer);
        return MF_OK;
    case MF_TYPE_UINT: /* beyond int64: clamped, because not every peer can read such a value */
        (void)msgpack_pack_int64(packer, INT64_MAX);
        return MF_OK;
    case MF_TYPE_FLOAT:
        if (isfinite(value->as.number)) {
            (void)msgpack_pack_double(packer, value->as.number);
        } else {
            (void)msgpack_pack_nil(packer);
        }
        return MF_OK;
    case MF_TYPE_STR:
        return pack_str(walk, value);
    case MF_TYPE_BIN:
        return pack_bin(walk, value);
    case MF_TYPE_ARRAY:
        return open_container(walk, value, false);
    case MF_TYPE_MAP:
        return open_container(walk, value, true);
    case MF_TYPE_EXT:
        return pack_ext(walk, value);
    case MF_TYPE_OBJECT:
        return pack_object(walk, value);
    }
    return fail_at(walk, MF_ERR_INVALID_ARGUMENT, "a value of unknown type");
}

/* Sets members one by one, because the frames alone have 2 KiB that need no clearing. */
static void begin(tree_walk *walk, msgpack_packer *packer, const char *where,
                  const mfi_limits *limits, mf_error *error)
{
    walk->packer = packer;
    walk->where = where;
    walk->limits = limits != NULL ? limits : &mfi_limits_default;
    walk->depth = 0;
    walk->open = 0;
    walk->sanitize = false;
    walk->error = error;
}

/* Packs all values that are left in the open containers. */
static mf_status pack_rest(tree_walk *walk)
{
    mf_status status = MF_OK;
    /* A tree that shares its branches can be far larger than its memory: what no longer fits is not
     * walked. The caller sees by the buffer that it failed. */
    const mfi_buf *to = walk->packer->data;
    while (status == MF_OK && walk->open > 0 && !to->failed) {
        frame *top = &walk->frames[walk->open];
        if (top->next == top->count) {
            walk->open--;
            continue;
        }
        uint32_t index = top->next++;
        if (top->is_map && index % 2 == 0) {
            status = pack_map_key(walk, &top->items[index]);
        } else {
            status = pack_one(walk, &top->items[index]);
        }
    }
    return status;
}

mf_status mfi_pack_value(msgpack_packer *packer, const mf_value *value, uint32_t depth,
                         const char *where, const mfi_limits *limits, mf_error *error)
{
    tree_walk walk;
    begin(&walk, packer, where, limits, error);
    walk.depth = depth;
    mf_status status = pack_one(&walk, value);
    return status == MF_OK ? pack_rest(&walk) : status;
}

mf_status mfi_pack_pair(msgpack_packer *packer, const mf_value *pair, uint32_t depth,
                        const char *where, const mfi_limits *limits, mf_error *error)
{
    tree_walk walk;
    begin(&walk, packer, where, limits, error);
    walk.depth = depth - 1; /* the map around the pair counts as the first open container */
    walk.open = 1;
    walk.frames[1] = (frame){.items = pair, .count = 2, .is_map = true};
    return pack_rest(&walk);
}

mf_status mfi_pack_sanitized(msgpack_packer *packer, const mf_value *value, mf_error *error)
{
    tree_walk walk;
    begin(&walk, packer, "value", NULL, error);
    walk.sanitize = true;
    mf_status status = pack_one(&walk, value);
    return status == MF_OK ? pack_rest(&walk) : status;
}
