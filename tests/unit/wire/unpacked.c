/* Compares msgpack-c's view of a message with the library's, so that tests do not judge the library
 * by itself. */
#include "unpacked.h"

#include <string.h>

static bool elements_equal(const msgpack_object *object, const mf_value *value)
{
    bool is_map = object->type == MSGPACK_OBJECT_MAP;
    uint32_t count = is_map ? object->via.map.size : object->via.array.size;
    bool equal = value->type == (is_map ? MF_TYPE_MAP : MF_TYPE_ARRAY) && value->length == count;
    for (uint32_t i = 0; equal && i < count; i++) {
        if (is_map) {
            const msgpack_object_kv *pair = &object->via.map.ptr[i];
            equal = unpacked_equal(&pair->key, &value->as.items[(size_t)i * 2]) &&
                    unpacked_equal(&pair->val, &value->as.items[(size_t)i * 2 + 1]);
        } else {
            equal = unpacked_equal(&object->via.array.ptr[i], &value->as.items[i]);
        }
    }
    return equal;
}

static bool bytes_equal(const mf_value *value, mf_type type, const char *bytes, uint32_t size)
{
    return value->type == type && value->length == size &&
           (size == 0 || memcmp(value->as.bytes, bytes, size) == 0);
}

bool unpacked_equal(const msgpack_object *object, const mf_value *value)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        return value->type == MF_TYPE_NIL;
    case MSGPACK_OBJECT_BOOLEAN:
        return value->type == MF_TYPE_BOOL && value->as.boolean == object->via.boolean;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return value->type == (object->via.u64 > INT64_MAX ? MF_TYPE_UINT : MF_TYPE_INT) &&
               value->as.unsigned_integer == object->via.u64;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return value->type == MF_TYPE_INT && value->as.integer == object->via.i64;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return value->type == MF_TYPE_FLOAT &&
               memcmp(&value->as.number, &object->via.f64, sizeof(double)) == 0;
    case MSGPACK_OBJECT_STR:
        return bytes_equal(value, MF_TYPE_STR, object->via.str.ptr, object->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return bytes_equal(value, MF_TYPE_BIN, object->via.bin.ptr, object->via.bin.size);
    case MSGPACK_OBJECT_EXT:
        return value->ext_type == object->via.ext.type &&
               bytes_equal(value, MF_TYPE_EXT, object->via.ext.ptr, object->via.ext.size);
    case MSGPACK_OBJECT_ARRAY:
    case MSGPACK_OBJECT_MAP:
        return elements_equal(object, value);
    default:
        return false;
    }
}
