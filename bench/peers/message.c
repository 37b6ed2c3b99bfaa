/* Packs and reads the messages of add(1, 2) with msgpack-c, so that peers without a codec of their
 * own carry the same bytes. */
#include "bench/peers/message.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void pack_text(msgpack_packer *packer, const char *text, size_t size)
{
    (void)msgpack_pack_str(packer, size);
    (void)msgpack_pack_str_body(packer, text, size);
}

static void pack_pair(msgpack_packer *packer, const char *key, const char *value, size_t size)
{
    pack_text(packer, key, strlen(key));
    pack_text(packer, value, size);
}

static void pack_now(msgpack_packer *packer, const char *key)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    pack_text(packer, key, strlen(key));
    (void)msgpack_pack_double(packer, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
}

void bench_id(uint64_t number, char to[BENCH_ID_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(to, "5f0c2a4e-9b1d-4c3a-8e7f-000000000000", BENCH_ID_BYTES + 1);
    for (size_t i = BENCH_ID_BYTES; number > 0; number >>= 4) {
        to[--i] = digits[number & 15u];
    }
}

void bench_pack_call(msgpack_sbuffer *to, const char id[BENCH_ID_BYTES], int64_t a, int64_t b)
{
    msgpack_packer packer;
    msgpack_sbuffer_clear(to);
    msgpack_packer_init(&packer, to, msgpack_sbuffer_write);
    (void)msgpack_pack_map(&packer, 8);
    pack_pair(&packer, "app", "comlink_ipc_v3", 14);
    pack_pair(&packer, "id", id, BENCH_ID_BYTES);
    pack_pair(&packer, "type", "call", 4);
    pack_now(&packer, "timestamp");
    pack_pair(&packer, "function", "add", 3);
    pack_pair(&packer, "namespace", "default", 7);
    pack_pair(&packer, "client_name", "bench", 5);
    pack_text(&packer, "args", 4);
    (void)msgpack_pack_array(&packer, 2);
    (void)msgpack_pack_int64(&packer, a);
    (void)msgpack_pack_int64(&packer, b);
}

static const msgpack_object *find(const msgpack_object *map, const char *key)
{
    size_t length = strlen(key);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object *name = &map->via.map.ptr[i].key;
        if (name->type == MSGPACK_OBJECT_STR && name->via.str.size == length &&
            memcmp(name->via.str.ptr, key, length) == 0) {
            return &map->via.map.ptr[i].val;
        }
    }
    return NULL;
}

static bool is_text(const msgpack_object *object, const char *text)
{
    return object != NULL && object->type == MSGPACK_OBJECT_STR &&
           object->via.str.size == strlen(text) &&
           memcmp(object->via.str.ptr, text, object->via.str.size) == 0;
}

static bool unpack(const void *bytes, size_t size, msgpack_zone *zone, const char *type,
                   msgpack_object *ret_map)
{
    size_t at = 0;
    msgpack_zone_clear(zone);
    return msgpack_unpack(bytes, size, &at, zone, ret_map) == MSGPACK_UNPACK_SUCCESS &&
           ret_map->type == MSGPACK_OBJECT_MAP && is_text(find(ret_map, "app"), "comlink_ipc_v3") &&
           is_text(find(ret_map, "type"), type);
}

static void pack_response(msgpack_sbuffer *to, const msgpack_object *id, int64_t result)
{
    msgpack_packer packer;
    msgpack_sbuffer_clear(to);
    msgpack_packer_init(&packer, to, msgpack_sbuffer_write);
    (void)msgpack_pack_map(&packer, 6);
    pack_pair(&packer, "app", "comlink_ipc_v3", 14);
    pack_pair(&packer, "id", id->via.str.ptr, id->via.str.size);
    pack_pair(&packer, "type", "response", 8);
    pack_now(&packer, "timestamp");
    pack_text(&packer, "result", 6);
    (void)msgpack_pack_int64(&packer, result);
    pack_text(&packer, "metadata", 8);
    (void)msgpack_pack_map(&packer, 1);
    pack_now(&packer, "timestamp_received");
}

bool bench_answer_call(msgpack_sbuffer *to, const void *bytes, size_t size, msgpack_zone *zone)
{
    msgpack_object map;
    if (!unpack(bytes, size, zone, "call", &map) || !is_text(find(&map, "function"), "add") ||
        !is_text(find(&map, "namespace"), "default")) {
        return false;
    }
    const msgpack_object *id = find(&map, "id");
    const msgpack_object *args = find(&map, "args");
    if (id == NULL || id->type != MSGPACK_OBJECT_STR || args == NULL ||
        args->type != MSGPACK_OBJECT_ARRAY || args->via.array.size != 2) {
        return false;
    }
    pack_response(to, id, args->via.array.ptr[0].via.i64 + args->via.array.ptr[1].via.i64);
    return true;
}

bool bench_read_response(const void *bytes, size_t size, msgpack_zone *zone, const char *id,
                         int64_t *ret_result)
{
    msgpack_object map;
    if (!unpack(bytes, size, zone, "response", &map)) {
        return false;
    }
    const msgpack_object *result = find(&map, "result");
    if (result == NULL || (id != NULL && !is_text(find(&map, "id"), id))) {
        return false;
    }
    *ret_result = result->via.i64;
    return true;
}
