#include "core/wire/writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/limits.h"

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

void mfi_pack_text(msgpack_packer *packer, const char *text, size_t length)
{
    (void)msgpack_pack_str(packer, length);
    (void)msgpack_pack_str_body(packer, text, length);
}

void mfi_pack_key(msgpack_packer *packer, const char *key)
{
    mfi_pack_text(packer, key, strlen(key));
}

/* One open container while a tree is walked. */
typedef struct frame {
    const mf_value *items;
    uint32_t count; /* values, so twice the pairs of a map */
    uint32_t next;
    bool is_map;
} frame;

typedef struct tree_walk {
    msgpack_packer *packer;
    const char *where;
    const mfi_limits *limits;
    uint32_t depth;
    uint32_t open;
    frame frames[MFI_DEPTH_MAX + 1];
    mf_error *error;
} tree_walk;

/* "args[2].name: <what>" */
static mf_status fail_at(const tree_walk *walk, mf_status code, const char *what)
{
    char path[256];
    size_t length = mfi_str_copy(path, sizeof path, walk->where);
    for (uint32_t i = 1; i <= walk->open && length + 1 < sizeof path; i++) {
        const frame *at = &walk->frames[i];
        uint32_t index = at->next - 1;
        const mf_value *key = at->is_map ? &at->items[index & ~1u] : NULL;
        if (key != NULL && key->type == MF_TYPE_STR) {
            length += mfi_str_format(path + length, sizeof path - length, ".%.*s",
                                     (int)(key->length < 64 ? key->length : 64), key->as.str);
        } else {
            length += mfi_str_format(path + length, sizeof path - length, "[%u]",
                                     at->is_map ? index / 2 : index);
        }
    }
    return mfi_fail(walk->error, code, "%s: %s", path, what);
}

static mf_status pack_str(const tree_walk *walk, const mf_value *value)
{
    if (value->length > walk->limits->string_bytes) {
        return fail_at(walk, MF_ERR_LIMIT, "a str has more than 10485760 bytes");
    }
    if (value->length > 0 && !mfi_utf8_valid(value->as.str, value->length)) {
        return fail_at(walk, MF_ERR_INVALID_ARGUMENT, "a str is not UTF-8: send it as bin");
    }
    mfi_pack_text(walk->packer, value->as.str, value->length);
    return MF_OK;
}

static mf_status pack_bin(const tree_walk *walk, const mf_value *value)
{
    if (value->length > walk->limits->string_bytes) {
        return fail_at(walk, MF_ERR_LIMIT, "a bin has more than 10485760 bytes");
    }
    (void)msgpack_pack_bin(walk->packer, value->length);
    (void)msgpack_pack_bin_body(walk->packer, value->as.bytes, value->length);
    return MF_OK;
}

/* Keys are str; integers become their decimal text, as Python peers do it. */
static mf_status pack_map_key(const tree_walk *walk, const mf_value *key)
{
    char text[24];
    if (key->type == MF_TYPE_STR) {
        return pack_str(walk, key);
    }
    if (key->type == MF_TYPE_INT) {
        (void)snprintf(text, sizeof text, "%" PRId64, key->as.integer);
    } else if (key->type == MF_TYPE_UINT) {
        (void)snprintf(text, sizeof text, "%" PRIu64, key->as.unsigned_integer);
    } else {
        return fail_at(walk, MF_ERR_INVALID_ARGUMENT, "a map's key is neither str nor integer");
    }
    mfi_pack_key(walk->packer, text);
    return MF_OK;
}

static mf_status open_container(tree_walk *walk, const mf_value *value, bool is_map)
{
    if (value->length > walk->limits->items) {
        return fail_at(walk, MF_ERR_LIMIT, "a container has more than 100000 items");
    }
    if (walk->depth + walk->open + 1 > MFI_DEPTH_MAX) {
        return fail_at(walk, MF_ERR_LIMIT, "values nest deeper than 100");
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
    case MF_TYPE_UINT: /* beyond int64: not every peer reads it, so it is clamped */
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
        return fail_at(walk, MF_ERR_INVALID_ARGUMENT, "an ext cannot be sent");
    }
    return fail_at(walk, MF_ERR_INVALID_ARGUMENT, "a value has an unknown type");
}

mf_status mfi_pack_value(msgpack_packer *packer, const mf_value *value, uint32_t depth,
                         const char *where, const mfi_limits *limits, mf_error *error)
{
    tree_walk walk; /* not initialised as a whole: the frames alone have two kilobytes */
    walk.packer = packer;
    walk.where = where;
    walk.limits = limits != NULL ? limits : &mfi_limits_default;
    walk.depth = depth;
    walk.open = 0;
    walk.error = error;
    mf_status status = pack_one(&walk, value);
    while (status == MF_OK && walk.open > 0) {
        frame *top = &walk.frames[walk.open];
        if (top->next == top->count) {
            walk.open--;
            continue;
        }
        uint32_t index = top->next++;
        if (top->is_map && index % 2 == 0) {
            status = pack_map_key(&walk, &top->items[index]);
        } else {
            status = pack_one(&walk, &top->items[index]);
        }
    }
    return status;
}
