/* The public bridge between values and bytes: decodes, encodes and sanitizes values. */
#include "core/wire/document.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/wire/limits.h"
#include "core/wire/writer.h"

mf_status mf_document_decode(const void *bytes, size_t size, mf_document **ret_document,
                             mf_error *error)
{
    if (ret_document == NULL || (bytes == NULL && size > 0)) {
        return mfi_fail_null(error, ret_document == NULL ? "ret_document" : "bytes");
    }
    if (size > MFI_MESSAGE_MAX_BYTES) {
        return mfi_fail(error, MF_ERR_LIMIT, "value: %zu bytes, more than max_message_bytes (%zu)",
                        size, MFI_MESSAGE_MAX_BYTES);
    }
    mf_document *document = malloc(sizeof *document + size);
    if (document == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a value of %zu bytes", size);
    }
    if (size > 0) {
        memcpy(document->bytes, bytes, size);
    }
    mfi_tree_init(&document->tree);
    mf_status status = mfi_tree_decode(&document->tree, (mfi_slice){document->bytes, size}, error);
    if (status == MF_OK) {
        *ret_document = document;
        document = NULL;
    }
    mf_document_destroy(document);
    return status;
}

void mf_document_destroy(mf_document *document)
{
    if (document != NULL) {
        mfi_tree_fini(&document->tree);
        free(document);
    }
}

const mf_value *mf_document_root(const mf_document *document)
{
    static const mf_value nil;
    return document != NULL ? &document->tree.root : &nil;
}

mf_status mf_value_encode(const mf_value *value, uint8_t **ret_bytes, size_t *ret_size,
                          mf_error *error)
{
    mfi_buf buf;
    msgpack_packer packer;
    if (value == NULL || ret_bytes == NULL || ret_size == NULL) {
        return mfi_fail_null(error, value == NULL       ? "value"
                                    : ret_bytes == NULL ? "ret_bytes"
                                                        : "ret_size");
    }
    mfi_buf_init(&buf, MFI_MESSAGE_MAX_BYTES);
    mfi_packer_init(&packer, &buf);
    mf_status status = mfi_pack_value(&packer, value, 0, "value", NULL, error);
    if (status == MF_OK && buf.failed) {
        status = mfi_pack_failure(&buf, "value", error);
    }
    if (status == MF_OK) {
        *ret_bytes = mfi_buf_take(&buf, ret_size);
    }
    mfi_buf_fini(&buf);
    return status;
}

/* ---- Equal keys ---- */

#define DROPPED 0xff /* type of a key whose pair is removed */

static int compare_texts(const mf_value *a, const mf_value *b)
{
    int order = memcmp(a->as.str, b->as.str, a->length < b->length ? a->length : b->length);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* Orders keys by text, and equal keys by their place in the map. */
static int compare_keys(const void *left, const void *right)
{
    const mf_value *a = *(mf_value *const *)left;
    const mf_value *b = *(mf_value *const *)right;
    int order = compare_texts(a, b);
    return order != 0 ? order : (a > b) - (a < b);
}

/* The first of several equal keys gets the value of the last; the others are marked. */
static void unite_runs(mf_value **keys, uint32_t count)
{
    for (uint32_t i = 0; i < count;) {
        uint32_t last = i;
        while (last + 1 < count && compare_texts(keys[i], keys[last + 1]) == 0) {
            last++;
        }
        keys[i][1] = keys[last][1];
        for (uint32_t gone = i + 1; gone <= last; gone++) {
            keys[gone]->type = DROPPED;
        }
        i = last + 1;
    }
}

static mf_status unite_map(mf_value *map, mf_value *pairs, mf_error *error)
{
    uint32_t kept = 0;
    mf_value **keys = malloc(map->length * sizeof(mf_value *));
    if (keys == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a map of %u pairs",
                        (unsigned)map->length);
    }
    for (uint32_t i = 0; i < map->length; i++) {
        keys[i] = &pairs[(size_t)i * 2];
    }
    qsort(keys, map->length, sizeof(mf_value *), compare_keys);
    unite_runs(keys, map->length);
    for (uint32_t i = 0; i < map->length; i++) {
        if (pairs[(size_t)i * 2].type != DROPPED) {
            pairs[(size_t)kept * 2] = pairs[(size_t)i * 2];
            pairs[(size_t)kept * 2 + 1] = pairs[(size_t)i * 2 + 1];
            kept++;
        }
    }
    for (size_t i = (size_t)kept * 2; i < (size_t)map->length * 2; i++) {
        pairs[i] = mf_nil(); /* so that the loop over all values visits no map twice */
    }
    map->length = kept;
    free(keys);
    return MF_OK;
}

static mf_status unite_keys(mf_document *document, mf_error *error)
{
    mf_value *values = document->tree.memory;
    mf_status status = MF_OK;
    /* A container's elements lie behind it, so the loop visits moved values later. */
    for (size_t i = 0; i < document->tree.count && status == MF_OK; i++) {
        if (values[i].type == MF_TYPE_MAP && values[i].length > 1) {
            status = unite_map(&values[i], &values[values[i].as.items - values], error);
        }
    }
    document->tree.root = values[0];
    return status;
}

/* ---- Sanitizing ---- */

mf_status mfi_document_make(const mfi_buf *msgpack, mf_document **ret_document, mf_error *error)
{
    mf_document *document = NULL;
    if (msgpack->failed) {
        return mfi_pack_failure(msgpack, "value", error);
    }
    mf_status status = mf_document_decode(msgpack->data, msgpack->size, &document, error);
    if (status == MF_OK) {
        status = unite_keys(document, error);
    }
    if (status == MF_OK) {
        *ret_document = document;
        document = NULL;
    }
    mf_document_destroy(document);
    return status;
}

mf_status mf_value_sanitize(const mf_value *value, mf_document **ret_document, mf_error *error)
{
    mfi_buf buf;
    msgpack_packer packer;
    if (value == NULL || ret_document == NULL) {
        return mfi_fail_null(error, value == NULL ? "value" : "ret_document");
    }
    mfi_buf_init(&buf, MFI_MESSAGE_MAX_BYTES);
    mfi_packer_init(&packer, &buf);
    mf_status status = mfi_pack_sanitized(&packer, value, error);
    if (status == MF_OK) {
        status = mfi_document_make(&buf, ret_document, error);
    }
    mfi_buf_fini(&buf);
    return status;
}
