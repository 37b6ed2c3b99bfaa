/* Compares the fast and the general decoder on one message, field by field, so that tests and the
 * fuzz target share one comparison. */
#include "paths.h"

#include <string.h>

#include "base/str.h"
#include "core/wire/envelope_fast.h"
#include "core/wire/tree.h"
#include "unpacked.h"

/* Views into the same bytes: the same place, not only the same content. */
static bool same_text(mfi_text a, mfi_text b)
{
    return a.data == b.data && a.size == b.size;
}

static bool same_slice(mfi_slice a, mfi_slice b)
{
    return a.data == b.data && a.size == b.size;
}

static bool same_metadata(const mfi_metadata *a, const mfi_metadata *b)
{
    return same_text(a->correlation_id, b->correlation_id) &&
           same_text(a->parent_request_id, b->parent_request_id) &&
           same_text(a->traceparent, b->traceparent) &&
           a->correlation_id_invalid == b->correlation_id_invalid &&
           a->has_server_times == b->has_server_times && a->server_queue_us == b->server_queue_us &&
           a->server_handler_us == b->server_handler_us && a->has_deadline == b->has_deadline &&
           a->deadline_ms_left == b->deadline_ms_left && a->attempt == b->attempt &&
           a->handlers == b->handlers && same_slice(a->hb_timestamp, b->hb_timestamp) &&
           a->says_busy == b->says_busy && a->busy_ms == b->busy_ms &&
           a->queue_length == b->queue_length && a->says_draining == b->says_draining &&
           a->has_load == b->has_load && a->load == b->load && a->has_pushback == b->has_pushback &&
           a->pushback_ms == b->pushback_ms;
}

static const char *metadata_differs(mfi_slice bytes)
{
    mfi_metadata fast;
    mfi_metadata general;
    if (!mfi_metadata_read_fast(bytes, &fast)) {
        return NULL;
    }
    mfi_metadata_read_general(bytes, &general);
    return same_metadata(&fast, &general) ? NULL : "metadata";
}

static bool same_envelope(const mfi_envelope *a, const mfi_envelope *b)
{
    return a->well_formed == b->well_formed && a->type == b->type &&
           memcmp(&a->timestamp, &b->timestamp, sizeof a->timestamp) == 0 &&
           same_text(a->id, b->id) && same_text(a->function, b->function) &&
           same_text(a->namespace_name, b->namespace_name) &&
           same_text(a->client_name, b->client_name) && same_text(a->error, b->error) &&
           same_text(a->output, b->output) && a->namespace_present == b->namespace_present &&
           same_slice(a->args, b->args) && same_slice(a->result, b->result) &&
           same_slice(a->metadata, b->metadata);
}

static const char *envelope_differs(const uint8_t *data, size_t size, const mfi_limits *limits)
{
    mfi_envelope fast;
    mfi_envelope general;
    mfi_reject reject = MFI_REJECT_NONE;
    bool taken = mfi_envelope_decode_fast(data, size, limits, &fast);
    mf_status status = mfi_envelope_decode_general(data, size, limits, &general, &reject, NULL);
    if (taken && (status != MF_OK || reject != MFI_REJECT_NONE)) {
        return "the outcome";
    }
    if (taken && !same_envelope(&fast, &general)) {
        return "the envelope";
    }
    return general.metadata.data != NULL ? metadata_differs(general.metadata) : NULL;
}

/* What msgpack-c does not look at. */
static bool strs_are_utf8(const msgpack_object *object)
{
    bool valid = true;
    if (object->type == MSGPACK_OBJECT_STR) {
        return mfi_utf8_valid_slow(object->via.str.ptr, object->via.str.size);
    }
    if (object->type == MSGPACK_OBJECT_ARRAY) {
        for (uint32_t i = 0; valid && i < object->via.array.size; i++) {
            valid = strs_are_utf8(&object->via.array.ptr[i]);
        }
    }
    if (object->type == MSGPACK_OBJECT_MAP) {
        for (uint32_t i = 0; valid && i < object->via.map.size; i++) {
            valid = strs_are_utf8(&object->via.map.ptr[i].key) &&
                    strs_are_utf8(&object->via.map.ptr[i].val);
        }
    }
    return valid;
}

/* Whether there may be an array or map that claims more elements than there are bytes: msgpack-c
 * asks for memory by such a claim. */
static bool may_claim_much(const uint8_t *data, size_t size)
{
    bool found = false;
    for (size_t i = 0; !found && i + 4 < size; i++) {
        uint32_t count = (uint32_t)data[i + 1] << 24 | (uint32_t)data[i + 2] << 16 |
                         (uint32_t)data[i + 3] << 8 | data[i + 4];
        found = (data[i] == 0xdd || data[i] == 0xdf) && count > size;
    }
    return found;
}

/* Texts are copies that end with a NUL. */
static bool texts_end(const mfi_tree *tree)
{
    const mf_value *values = tree->memory;
    bool ended = true;
    for (size_t i = 0; ended && i < tree->count; i++) {
        ended = values[i].type != MF_TYPE_STR || values[i].as.str[values[i].length] == '\0';
    }
    return ended;
}

/* Reading twice into one tree finds memory that was used before. */
static const char *value_differs(const uint8_t *data, size_t size, mfi_tree *tree)
{
    const char *difference = NULL;
    size_t at = 0;
    msgpack_unpacked unpacked;
    mf_status status = mfi_tree_decode(tree, (mfi_slice){data, size}, NULL);
    if (may_claim_much(data, size)) {
        return NULL;
    }
    msgpack_unpacked_init(&unpacked);
    msgpack_unpack_return seen = msgpack_unpack_next(&unpacked, (const char *)data, size, &at);
    bool whole = seen == MSGPACK_UNPACK_SUCCESS && at == size;
    if (seen == MSGPACK_UNPACK_NOMEM_ERROR || status == MF_ERR_LIMIT) {
        difference = NULL; /* deeper than 32 levels to msgpack-c, or over limits that are ours */
    } else if (status != MF_OK) {
        difference = whole && strs_are_utf8(&unpacked.data) ? "a value that is refused" : NULL;
    } else if (!whole) {
        difference = "a value that msgpack-c refuses";
    } else {
        difference = unpacked_equal(&unpacked.data, &tree->root) ? NULL : "a value";
        difference = difference != NULL || texts_end(tree) ? difference : "a text's end";
    }
    msgpack_unpacked_destroy(&unpacked);
    return difference;
}

const char *paths_differ(const uint8_t *data, size_t size)
{
    static const mfi_limits least = {.string_bytes = MFI_STRING_LEAST, .items = MFI_ITEMS_LEAST};
    mfi_tree tree;
    mfi_tree_init(&tree);
    const char *difference = envelope_differs(data, size, NULL);
    difference = difference != NULL ? difference : envelope_differs(data, size, &least);
    difference = difference != NULL ? difference : metadata_differs((mfi_slice){data, size});
    for (int i = 0; difference == NULL && i < 2; i++) {
        difference = value_differs(data, size, &tree);
    }
    mfi_tree_fini(&tree);
    return difference;
}
