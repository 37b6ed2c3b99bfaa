/* Times the codec alone: a whole call `add(1, 2)` and its response, as the engine encodes and
 * decodes them, against msgpack-c with the same content. CPU time of one thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "bench/harness.h"
#include "core/wire/envelope.h"
#include "core/wire/tree.h"

#define OPERATIONS 300000u  /* in a round */
#define ENCODE_TARGET_NS 60 /* goals for a whole call */
#define DECODE_TARGET_NS 90

#define ID "0190c2a4-7d5e-7c3b-9a55-3f1d2b6c8e01"
#define CORRELATION_ID "7f9c24e8-3b1d-4f6a-8c2e-5d0b9a7e6f13"
#define TRACEPARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define NOW 1764076364.123456
#define DEADLINE_MS 29999

static void must(bool holds, const char *what)
{
    if (!holds) {
        bench_die("%s failed", what);
    }
}

/* ---- This library ---- */

static mfi_buf own_buf;
static mfi_tree own_tree;

static void own_encode_call(void)
{
    static const char id[] = ID;
    static const char correlation_id[] = CORRELATION_ID;
    static const char traceparent[] = TRACEPARENT;
    mf_value args[] = {mf_int(1), mf_int(2)};
    mfi_call_fields call = {.id = id,
                            .function = {"add", 3},
                            .namespace_name = {MFI_DEFAULT_NAMESPACE, 7},
                            .args = {args, 2},
                            .correlation_id = correlation_id,
                            .traceparent = traceparent,
                            .timestamp = NOW,
                            .deadline_ms_left = DEADLINE_MS,
                            .attempt = 1};
    mfi_buf_clear(&own_buf);
    must(mfi_encode_call(&own_buf, &call, NULL) == MF_OK, "mfi_encode_call");
}

static void own_encode_response(void)
{
    mf_value result = mf_int(3);
    mfi_reply_times times = {
        .timestamp_received = NOW, .has_server_times = true, .queue_us = 12, .handler_us = 345};
    mfi_text id = {ID, sizeof ID - 1};
    mfi_buf_clear(&own_buf);
    must(mfi_encode_response_begin(&own_buf, id, &result, NOW, NULL, NULL) == MF_OK,
         "mfi_encode_response_begin");
    must(mfi_encode_response_end(&own_buf, &times, NULL) == MF_OK, "mfi_encode_response_end");
}

static void own_decode(mfi_message_type type)
{
    mfi_envelope envelope;
    mfi_metadata metadata;
    mfi_reject reject = MFI_REJECT_NONE;
    must(mfi_envelope_decode(own_buf.data, own_buf.size, NULL, &envelope, &reject, NULL) == MF_OK &&
             envelope.type == type,
         "mfi_envelope_decode");
    mfi_metadata_read(envelope.metadata, &metadata);
    mfi_slice value = type == MFI_MESSAGE_CALL ? envelope.args : envelope.result;
    must(mfi_tree_decode(&own_tree, value, NULL) == MF_OK, "mfi_tree_decode");
    must(type == MFI_MESSAGE_CALL ? own_tree.root.length == 2 && metadata.has_deadline
                                  : own_tree.root.as.integer == 3 && metadata.has_server_times,
         "reading the values");
}

static void own_decode_call(void)
{
    own_decode(MFI_MESSAGE_CALL);
}

static void own_decode_response(void)
{
    own_decode(MFI_MESSAGE_RESPONSE);
}

/* ---- msgpack-c, as a program uses it by hand ---- */

static msgpack_sbuffer peer_buffer;
static msgpack_zone peer_zone;

static void pack_text(msgpack_packer *packer, const char *text, size_t size)
{
    (void)msgpack_pack_str(packer, size);
    (void)msgpack_pack_str_body(packer, text, size);
}
#define PACK(packer, text) pack_text(packer, "" text, sizeof(text) - 1)

static void peer_begin(msgpack_packer *packer, size_t fields, const char *type, size_t type_size)
{
    msgpack_sbuffer_clear(&peer_buffer);
    msgpack_packer_init(packer, &peer_buffer, msgpack_sbuffer_write);
    (void)msgpack_pack_map(packer, fields);
    PACK(packer, "app");
    PACK(packer, MFI_APP);
    PACK(packer, "id");
    PACK(packer, ID);
    PACK(packer, "type");
    pack_text(packer, type, type_size);
    PACK(packer, "timestamp");
    (void)msgpack_pack_double(packer, NOW);
}

static void peer_encode_call(void)
{
    msgpack_packer packer;
    peer_begin(&packer, 8, "call", 4);
    PACK(&packer, "function");
    PACK(&packer, "add");
    PACK(&packer, "namespace");
    PACK(&packer, MFI_DEFAULT_NAMESPACE);
    PACK(&packer, "metadata");
    (void)msgpack_pack_map(&packer, 4);
    PACK(&packer, "timestamp_sent");
    (void)msgpack_pack_double(&packer, NOW);
    PACK(&packer, "correlation_id");
    PACK(&packer, CORRELATION_ID);
    PACK(&packer, "traceparent");
    PACK(&packer, TRACEPARENT);
    PACK(&packer, "deadline_ms_left");
    (void)msgpack_pack_int64(&packer, DEADLINE_MS);
    PACK(&packer, "args");
    (void)msgpack_pack_array(&packer, 2);
    (void)msgpack_pack_int64(&packer, 1);
    (void)msgpack_pack_int64(&packer, 2);
}

static void peer_encode_response(void)
{
    msgpack_packer packer;
    peer_begin(&packer, 6, "response", 8);
    PACK(&packer, "result");
    (void)msgpack_pack_int64(&packer, 3);
    PACK(&packer, "metadata");
    (void)msgpack_pack_map(&packer, 3);
    PACK(&packer, "timestamp_received");
    (void)msgpack_pack_double(&packer, NOW);
    PACK(&packer, "server_queue_us");
    (void)msgpack_pack_uint64(&packer, 12);
    PACK(&packer, "server_handler_us");
    (void)msgpack_pack_uint64(&packer, 345);
}

static const msgpack_object *find(const msgpack_object *map, const char *key, size_t size)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == size &&
            memcmp(pair->key.via.str.ptr, key, size) == 0) {
            return &pair->val;
        }
    }
    bench_die("msgpack-c: no '%s'", key);
}
#define FIND(map, key) find(map, "" key, sizeof(key) - 1)

/* The fields that a reader of either message needs. */
static void peer_decode(msgpack_object *ret_root, const msgpack_object **ret_metadata)
{
    size_t at = 0;
    msgpack_zone_clear(&peer_zone);
    must(msgpack_unpack(peer_buffer.data, peer_buffer.size, &at, &peer_zone, ret_root) ==
                 MSGPACK_UNPACK_SUCCESS &&
             ret_root->type == MSGPACK_OBJECT_MAP,
         "msgpack_unpack");
    *ret_metadata = FIND(ret_root, "metadata");
    must(FIND(ret_root, "app")->via.str.size == sizeof MFI_APP - 1 &&
             FIND(ret_root, "id")->via.str.size == sizeof ID - 1 &&
             FIND(ret_root, "type")->type == MSGPACK_OBJECT_STR &&
             FIND(ret_root, "timestamp")->type == MSGPACK_OBJECT_FLOAT64 &&
             (*ret_metadata)->type == MSGPACK_OBJECT_MAP,
         "reading msgpack-c's fields");
}

static void peer_decode_call(void)
{
    msgpack_object root;
    const msgpack_object *metadata = NULL;
    peer_decode(&root, &metadata);
    must(FIND(&root, "function")->via.str.size == 3 &&
             FIND(&root, "namespace")->via.str.size == 7 &&
             FIND(&root, "args")->via.array.size == 2 &&
             FIND(metadata, "correlation_id")->via.str.size == sizeof CORRELATION_ID - 1 &&
             FIND(metadata, "traceparent")->via.str.size == sizeof TRACEPARENT - 1 &&
             FIND(metadata, "deadline_ms_left")->via.i64 == DEADLINE_MS,
         "reading msgpack-c's call");
}

static void peer_decode_response(void)
{
    msgpack_object root;
    const msgpack_object *metadata = NULL;
    peer_decode(&root, &metadata);
    must(FIND(&root, "result")->via.i64 == 3 && FIND(metadata, "server_queue_us")->via.i64 == 12 &&
             FIND(metadata, "server_handler_us")->via.i64 == 345,
         "reading msgpack-c's response");
}

/* ---- Rounds ---- */

typedef struct subject {
    const char *name;
    void (*own)(void);
    void (*peer)(void);
    double target;
    bench_series own_ns, peer_ns;
} subject;

static double time_of(void (*operation)(void), unsigned operations)
{
    uint64_t start = bench_cpu_now_ns();
    for (unsigned i = 0; i < operations; i++) {
        operation();
    }
    return (double)(bench_cpu_now_ns() - start) / operations;
}

static void check_same_bytes(void)
{
    must(own_buf.size == peer_buffer.size &&
             memcmp(own_buf.data, peer_buffer.data, own_buf.size) == 0,
         "encoding the same bytes as msgpack-c");
}

static void report(const subject *of)
{
    char name[64];
    bench_report_ns("codec", of->name, &of->own_ns, NULL, NULL, of->target);
    (void)snprintf(name, sizeof name, "%s, against msgpack-c", of->name);
    bench_report_ns("codec", name, &of->own_ns, "msgpack-c", &of->peer_ns, 0);
}

int main(int argc, char **argv)
{
    /* Each message is first encoded, then decoded. */
    static subject subjects[] = {
        {"encode call", own_encode_call, peer_encode_call, ENCODE_TARGET_NS, {{0}, 0}, {{0}, 0}},
        {"decode call", own_decode_call, peer_decode_call, DECODE_TARGET_NS, {{0}, 0}, {{0}, 0}},
        {"encode response",
         own_encode_response,
         peer_encode_response,
         ENCODE_TARGET_NS,
         {{0}, 0},
         {{0}, 0}},
        {"decode response",
         own_decode_response,
         peer_decode_response,
         DECODE_TARGET_NS,
         {{0}, 0},
         {{0}, 0}},
    };
    int first = 0;
    bench_options options = bench_options_read(argc, argv, &first);
    unsigned operations = bench_scaled(&options, OPERATIONS);
    size_t count = sizeof subjects / sizeof subjects[0];
    bench_pin();
    mfi_buf_init(&own_buf, 0);
    mfi_tree_init(&own_tree);
    msgpack_sbuffer_init(&peer_buffer);
    must(msgpack_zone_init(&peer_zone, MSGPACK_ZONE_CHUNK_SIZE), "msgpack_zone_init");
    for (unsigned round = 0; round < options.rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            bench_add(&subjects[i].own_ns, time_of(subjects[i].own, operations));
            bench_add(&subjects[i].peer_ns, time_of(subjects[i].peer, operations));
            check_same_bytes();
        }
    }
    for (size_t i = 0; i < count; i++) {
        report(&subjects[i]);
    }
    msgpack_zone_destroy(&peer_zone);
    msgpack_sbuffer_destroy(&peer_buffer);
    mfi_tree_fini(&own_tree);
    mfi_buf_fini(&own_buf);
    return EXIT_SUCCESS;
}
