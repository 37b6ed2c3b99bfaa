/* Writes plain values without msgpack-c: one reservation for the upper bound of all bytes, then
 * stores. */
#include "core/wire/put.h"

#include <math.h>

#include "base/str.h"

/* Larger values take the general way, so that they are not read twice; the hot path has few. */
#define PLAIN_ITEMS_MAX 32u
#define PLAIN_TEXT_MAX ((size_t)4096)

/* An upper bound of a scalar's bytes; 0 if the value is not plain. */
static size_t bound_of(const mf_value *value, const mfi_limits *limits)
{
    if (value->type <= MF_TYPE_FLOAT) {
        return MFI_PUT_NUMBER_MAX;
    }
    bool plain = value->type == MF_TYPE_STR && value->length <= PLAIN_TEXT_MAX &&
                 (value->as.str != NULL || value->length == 0) &&
                 value->length <= limits->string_bytes &&
                 mfi_utf8_valid(value->as.str, value->length);
    return plain ? MFI_PUT_HEADER_MAX + value->length : 0;
}

static uint8_t *put_scalar(uint8_t *to, const mf_value *value)
{
    switch (value->type) {
    case MF_TYPE_BOOL:
        return mfi_put_byte(to, value->as.boolean ? 0xc3 : 0xc2);
    case MF_TYPE_INT:
        return mfi_put_int(to, value->as.integer);
    case MF_TYPE_UINT: /* beyond int64: clamped, because not every peer can read such a value */
        return mfi_put_int(to, INT64_MAX);
    case MF_TYPE_FLOAT:
        return isfinite(value->as.number) ? mfi_put_double(to, value->as.number)
                                          : mfi_put_byte(to, 0xc0);
    case MF_TYPE_STR:
        return mfi_put_text(to, value->as.str, value->length);
    default:
        return mfi_put_byte(to, 0xc0);
    }
}

bool mfi_put_plain(mfi_buf *to, const mf_value *value, const mfi_limits *limits)
{
    const mfi_limits *caps = limits != NULL ? limits : &mfi_limits_default;
    bool is_array = value->type == MF_TYPE_ARRAY;
    const mf_value *items = is_array ? value->as.items : value;
    uint32_t count = is_array ? value->length : 1;
    size_t bound = MFI_PUT_HEADER_MAX;
    if (is_array &&
        (count > PLAIN_ITEMS_MAX || count > caps->items || (items == NULL && count > 0))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t more = bound_of(&items[i], caps);
        if (more == 0) {
            return false;
        }
        bound += more;
    }
    uint8_t *at = mfi_buf_room(to, bound);
    if (at != NULL) {
        at = is_array ? mfi_put_array(at, count) : at;
        for (uint32_t i = 0; i < count; i++) {
            at = put_scalar(at, &items[i]);
        }
        mfi_buf_advance(to, at);
    }
    return true;
}
