#include "core/wire/limits.h"

#include "base/error.h"

const mfi_limits mfi_limits_default = {.string_bytes = MFI_STRING_MAX_BYTES,
                                       .items = MFI_CONTAINER_MAX_ITEMS};

mf_status mfi_fail_string_bytes(const mfi_limits *limits, const char *path, mf_type type,
                                uint64_t size, mf_error *error)
{
    return mfi_fail(error, MF_ERR_LIMIT, "%s: %s of %llu bytes, more than max_string_bytes (%zu)",
                    path, mf_type_name(type), (unsigned long long)size, limits->string_bytes);
}

mf_status mfi_fail_items(const mfi_limits *limits, const char *path, mf_type type, uint64_t count,
                         mf_error *error)
{
    return mfi_fail(error, MF_ERR_LIMIT, "%s: %s of %llu items, more than max_items (%u)", path,
                    mf_type_name(type), (unsigned long long)count, (unsigned)limits->items);
}

mf_status mfi_fail_depth(const char *path, mf_error *error)
{
    return mfi_fail(error, MF_ERR_LIMIT, "%s: nests %d deep, more than the depth of %d", path,
                    MFI_DEPTH_MAX + 1, MFI_DEPTH_MAX);
}
