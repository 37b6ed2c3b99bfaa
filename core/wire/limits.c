/* The texts and checks of the caps, in one place, because readers, writers and options have to
 * agree on them. */
#include "core/wire/limits.h"

#include "base/error.h"

const mfi_limits mfi_limits_default = {.string_bytes = MFI_STRING_MAX_BYTES,
                                       .items = MFI_CONTAINER_MAX_ITEMS};

mf_status mfi_limits_fail_string_bytes(const mfi_limits *limits, const char *path, mf_type type,
                                       uint64_t size, mf_error *error)
{
    return mfi_fail(error, MF_ERR_LIMIT, "%s: %s of %llu bytes, more than max_string_bytes (%zu)",
                    path, mf_type_name(type), (unsigned long long)size, limits->string_bytes);
}

mf_status mfi_limits_fail_items(const mfi_limits *limits, const char *path, mf_type type,
                                uint64_t count, mf_error *error)
{
    return mfi_fail(error, MF_ERR_LIMIT, "%s: %s of %llu items, more than max_items (%u)", path,
                    mf_type_name(type), (unsigned long long)count, (unsigned)limits->items);
}

mf_status mfi_limits_fail_depth(const char *path, mf_error *error)
{
    return mfi_fail(error, MF_ERR_LIMIT, "%s: nests %d deep, more than the depth of %d", path,
                    MFI_DEPTH_MAX + 1, MFI_DEPTH_MAX);
}

mf_status mfi_limit_pick(const char *name, int64_t given, size_t preset, size_t least, size_t most,
                         size_t *ret_size, mf_error *error)
{
    if (given != 0 && (given < 0 || (uint64_t)given < least || (uint64_t)given > most)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be %zu to %zu, not %lld", name,
                        least, most, (long long)given);
    }
    *ret_size = given != 0 ? (size_t)given : preset;
    return MF_OK;
}

mf_status mfi_limits_pick(mfi_limits *ret_limits, int64_t max_string_bytes, int64_t max_items,
                          mf_error *error)
{
    size_t items = 0;
    mf_status status =
        mfi_limit_pick("max_string_bytes", max_string_bytes, mfi_limits_default.string_bytes,
                       MFI_STRING_LEAST, MFI_MESSAGE_MAX_BYTES, &ret_limits->string_bytes, error);
    if (status == MF_OK) {
        status = mfi_limit_pick("max_items", max_items, mfi_limits_default.items, MFI_ITEMS_LEAST,
                                MFI_ITEMS_MOST, &items, error);
    }
    ret_limits->items = (uint32_t)items;
    return status;
}
