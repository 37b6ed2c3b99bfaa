/* The result of a call: the memory of the answer, and its value, decoded when the user first reads
 * it. It exists so that an answer is received where the user reads it, without a copy. */
#include "core/client/calls/result.h"

#include <stdlib.h>

#include "base/cache.h"
#include "base/error.h"
#include "core/wire/tree.h"

/* Bytes of decoded values that a freed result keeps for the next one. */
#define KEPT_TREE_BYTES 4096

struct mf_result {
    mfi_message message;
    mfi_slice bytes;
    mfi_slice metadata_bytes;
    mfi_limits limits;
    mfi_tree tree, metadata;
    bool decoded, metadata_decoded;
#ifndef NDEBUG
    bool is_out; /* the user has it, or a call that will give it to the user */
#endif
};

static const mf_value nil_value = {.type = MF_TYPE_NIL};

static void empty_result(void *object)
{
    mf_result *result = object;
    mfi_tree_fini(&result->tree);
    mfi_tree_fini(&result->metadata);
}

static mfi_cache results = MFI_CACHE_INIT(mf_result, empty_result);

mf_result *mfi_result_new(void)
{
    mf_result *result = mfi_cache_get(&results);
#ifndef NDEBUG
    if (result != NULL) {
        result->is_out = true;
    }
#endif
    return result;
}

/* A result that is destroyed twice would be given to two calls. Builds for tests stop there, where
 * the fault is (a debugger shows the caller; AddressSanitizer tells of the first place too). */
static void end_of_use(mf_result *result)
{
#ifndef NDEBUG
    if (!result->is_out) {
        __builtin_trap();
    }
    result->is_out = false;
#else
    (void)result;
#endif
}

mfi_message *mfi_result_message(mf_result *result)
{
    return &result->message;
}

void mfi_result_set(mf_result *result, mfi_slice value, mfi_slice metadata,
                    const mfi_limits *limits)
{
    result->bytes = value;
    result->metadata_bytes = metadata;
    result->limits = *limits;
    result->decoded = value.data == NULL;
    result->metadata_decoded = metadata.data == NULL;
    result->tree.root = nil_value;
    result->metadata.root = nil_value;
    result->tree.limits = &result->limits;
    result->metadata.limits = &result->limits;
}

void mf_result_destroy(mf_result *result)
{
    if (result == NULL) {
        return;
    }
    end_of_use(result);
    mfi_message_release(&result->message);
    mfi_tree_trim(&result->tree, KEPT_TREE_BYTES);
    mfi_tree_trim(&result->metadata, KEPT_TREE_BYTES);
    mfi_cache_put(&results, result);
}

static mf_status decode(mf_result *result, mf_error *error)
{
    mf_status status = MF_OK;
    if (!result->decoded) {
        status = mfi_tree_decode(&result->tree, result->bytes, error);
        result->decoded = status == MF_OK;
    }
    return status;
}

const mf_value *mf_result_value(mf_result *result)
{
    if (result == NULL || decode(result, NULL) != MF_OK) {
        return &nil_value;
    }
    return &result->tree.root;
}

const mf_value *mf_result_metadata(mf_result *result)
{
    if (result == NULL) {
        return &nil_value;
    }
    if (!result->metadata_decoded) {
        result->metadata_decoded =
            mfi_tree_decode(&result->metadata, result->metadata_bytes, NULL) == MF_OK;
    }
    return result->metadata.root.type == MF_TYPE_MAP ? &result->metadata.root : &nil_value;
}

mf_status mf_result_read(mf_result *result, mf_out out, mf_error *error)
{
    if (result == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "result is NULL");
    }
    mf_status status = decode(result, error);
    if (status == MF_OK) {
        status = mfi_value_read(&result->tree.root, &out, "the result", error);
    }
    return status;
}

int64_t mf_result_int(mf_result *result)
{
    int64_t integer = 0;
    (void)!mf_value_get_int64(mf_result_value(result), &integer);
    return integer;
}

double mf_result_double(mf_result *result)
{
    double number = 0;
    (void)!mf_value_get_double(mf_result_value(result), &number);
    return number;
}

bool mf_result_bool(mf_result *result)
{
    bool boolean = false;
    (void)!mf_value_get_bool(mf_result_value(result), &boolean);
    return boolean;
}

const char *mf_result_str(mf_result *result)
{
    const char *text = "";
    (void)!mf_value_get_str(mf_result_value(result), &text);
    return text;
}
