/* Makes a document of JSON text: checks the text, lets cJSON build a tree, and packs the tree as
 * msgpack, from which documents are made. */
#include <math.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <multifrost/json.h>

#include "base/error.h"
#include "base/number.h"
#include "core/wire/document.h"
#include "core/wire/json_check.h"
#include "core/wire/limits.h"
#include "core/wire/writer.h"

/* The state of packing a cJSON tree. */
typedef struct build {
    msgpack_packer packer;
    const char *text;
    size_t length;
    size_t at; /* behind the last number; tree and text have numbers in the same order */
    mf_error *error;
} build;

static mf_status pack_number(build *to, const cJSON *item)
{
    mfi_json_number number = mfi_json_next_number(to->text, to->length, to->at);
    to->at = number.start + number.size;
    if (!isfinite(item->valuedouble)) {
        return mfi_fail(to->error, MF_ERR_INVALID_ARGUMENT,
                        "JSON, byte %zu: a number too large for a double", number.start);
    }
    if (number.is_integer) { /* within 2^53, so the double is exact */
        (void)msgpack_pack_int64(&to->packer, (int64_t)item->valuedouble);
    } else {
        (void)msgpack_pack_double(&to->packer, item->valuedouble);
    }
    return MF_OK;
}

/* The recursion is bounded, because the depth of the text was checked. */
static mf_status pack_item(build *to, const cJSON *item)
{
    mf_status status = MF_OK;
    bool is_map = cJSON_IsObject(item);
    if (is_map || cJSON_IsArray(item)) {
        size_t count = (size_t)cJSON_GetArraySize(item);
        (void)(is_map ? msgpack_pack_map(&to->packer, count)
                      : msgpack_pack_array(&to->packer, count));
        for (const cJSON *child = item->child; child != NULL && status == MF_OK;
             child = child->next) {
            if (is_map) {
                mfi_pack_key(&to->packer, child->string);
            }
            status = pack_item(to, child);
        }
    } else if (cJSON_IsNumber(item)) {
        status = pack_number(to, item);
    } else if (cJSON_IsString(item)) {
        mfi_pack_key(&to->packer, item->valuestring);
    } else if (cJSON_IsBool(item)) {
        (void)(cJSON_IsTrue(item) ? msgpack_pack_true(&to->packer)
                                  : msgpack_pack_false(&to->packer));
    } else {
        (void)msgpack_pack_nil(&to->packer);
    }
    return status;
}

mf_status mf_value_from_json(const char *text, size_t length, mf_document **ret_document,
                             mf_error *error)
{
    mfi_buf buf;
    cJSON *tree = NULL;
    build to = {.text = text, .length = length, .error = error};
    if (ret_document == NULL || (text == NULL && length > 0)) {
        return mfi_fail_null(error, ret_document == NULL ? "ret_document" : "text");
    }
    if (length > MFI_MESSAGE_MAX_BYTES) {
        return mfi_fail(error, MF_ERR_LIMIT, "JSON: %zu bytes, more than %zu", length,
                        MFI_MESSAGE_MAX_BYTES);
    }
    mfi_buf_init(&buf, 0);
    mfi_packer_init(&to.packer, &buf);
    mf_status status = mfi_json_check(text, length, error);
    if (status == MF_OK) {
        mfi_plain_numbers plain;
        mfi_plain_numbers_enter(&plain);
        tree = cJSON_ParseWithLength(text, length);
        mfi_plain_numbers_leave(&plain);
        status = tree != NULL ? pack_item(&to, tree)
                              : mfi_fail(error, MF_ERR_NO_MEMORY,
                                         "no memory for a JSON text of %zu bytes", length);
    }
    if (status == MF_OK) {
        status = mfi_document_make(&buf, ret_document, error);
    }
    cJSON_Delete(tree);
    mfi_buf_fini(&buf);
    return status;
}
