/* The table of codecs, the only state of this room. The lock is held while an entry is copied,
 * never across a callback. */
#include <string.h>

#include "base/error.h"
#include "base/mutex.h"
#include "core/wire/codec.h"

#define LEAST_CODEC_SIZE offsetof(mf_ext_codec, user_data) + sizeof(void *)
#define NANOSECONDS 1000000000u

typedef struct entry {
    bool registered;
    mf_ext_codec codec;
} entry;

static mfi_mutex table_mutex = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static entry table[MF_EXT_CODE_MAX + 1]; /* guarded by table_mutex */

struct mf_ext_writer {
    mfi_buf *to;
};

static entry look_up(int code)
{
    entry found = {0};
    if (code >= 0 && code <= MF_EXT_CODE_MAX) {
        mfi_mutex_lock(&table_mutex);
        found = table[code];
        mfi_mutex_unlock(&table_mutex);
    }
    return found;
}

mf_status mf_ext_register(int code, const mf_ext_codec *codec, mf_error *error)
{
    entry added = {.registered = true};
    if (code < 0 || code > MF_EXT_CODE_MAX) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ext code %d is not within 0 to %d", code,
                        MF_EXT_CODE_MAX);
    }
    mf_status status = mfi_options_copy(&added.codec, sizeof added.codec, LEAST_CODEC_SIZE, codec,
                                        "mf_ext_codec", error);
    if (status != MF_OK) {
        return status;
    }
    mfi_mutex_lock(&table_mutex);
    bool taken = table[code].registered;
    if (!taken) {
        table[code] = added;
    }
    mfi_mutex_unlock(&table_mutex);
    return taken ? mfi_fail(error, MF_ERR_EXISTS, "ext code %d is registered already", code)
                 : MF_OK;
}

void mf_ext_unregister(int code)
{
    if (code >= 0 && code <= MF_EXT_CODE_MAX) {
        mfi_mutex_lock(&table_mutex);
        table[code] = (entry){0};
        mfi_mutex_unlock(&table_mutex);
    }
}

bool mfi_codec_known(int8_t code)
{
    return code == MF_EXT_TIMESTAMP || look_up(code).registered;
}

void mf_ext_write(mf_ext_writer *writer, const void *bytes, size_t size)
{
    if (writer != NULL && bytes != NULL) {
        mfi_buf_append(writer->to, bytes, size);
    }
}

mf_status mfi_codec_pack(int8_t code, const void *object, mfi_buf *to)
{
    entry found = look_up(code);
    mf_ext_writer writer = {.to = to};
    return found.codec.pack != NULL ? found.codec.pack(object, &writer, found.codec.user_data)
                                    : MF_ERR_NOT_FOUND;
}

mf_status mf_value_get_object(const mf_value *value, int code, void **ret_object, mf_error *error)
{
    if (ret_object == NULL) {
        return mfi_fail_null(error, "ret_object");
    }
    if (value == NULL) {
        return mfi_fail(error, MF_ERR_TYPE, "expected an ext of code %d, got no value", code);
    }
    if (value->type != MF_TYPE_EXT) {
        return mfi_fail(error, MF_ERR_TYPE, "expected an ext of code %d, got %s", code,
                        mf_type_name((mf_type)value->type));
    }
    if (value->ext_type != code) {
        return mfi_fail(error, MF_ERR_TYPE, "expected an ext of code %d, got one of code %d", code,
                        value->ext_type);
    }
    entry found = look_up(code);
    if (found.codec.unpack == NULL) {
        return mfi_fail(error, MF_ERR_NOT_FOUND, "no codec that unpacks ext code %d is registered",
                        code);
    }
    void *object = NULL;
    mf_status status =
        found.codec.unpack(value->as.bytes, value->length, &object, found.codec.user_data);
    if (status != MF_OK) {
        return mfi_fail(error, status, "the codec of ext code %d failed: %s", code,
                        mf_strerror(status));
    }
    *ret_object = object;
    return MF_OK;
}

/* ---- Timestamps ---- */

/* Writes a big-endian number, as msgpack does. */
static void put_number(uint8_t *to, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        to[i] = (uint8_t)(number >> (8 * (width - 1 - i)));
    }
}

static uint64_t get_number(const uint8_t *from, size_t width)
{
    uint64_t number = 0;
    for (size_t i = 0; i < width; i++) {
        number = number << 8 | from[i];
    }
    return number;
}

mf_value mf_timestamp(int64_t seconds, uint32_t nanoseconds, uint8_t *storage)
{
    if (storage == NULL) {
        return mf_nil();
    }
    int64_t carried = (int64_t)(nanoseconds / NANOSECONDS);
    uint32_t rest = nanoseconds % NANOSECONDS;
    if (seconds > INT64_MAX - carried) { /* the latest time that fits */
        seconds = INT64_MAX;
        rest = NANOSECONDS - 1;
    } else {
        seconds += carried;
    }
    if (seconds < 0 || (uint64_t)seconds >> 34 != 0) {
        put_number(storage, rest, 4);
        put_number(storage + 4, (uint64_t)seconds, 8);
        return mf_ext(MF_EXT_TIMESTAMP, storage, 12);
    }
    if (rest != 0 || (uint64_t)seconds >> 32 != 0) {
        put_number(storage, (uint64_t)rest << 34 | (uint64_t)seconds, 8);
        return mf_ext(MF_EXT_TIMESTAMP, storage, 8);
    }
    put_number(storage, (uint64_t)seconds, 4);
    return mf_ext(MF_EXT_TIMESTAMP, storage, 4);
}

mf_status mf_value_get_timestamp(const mf_value *value, int64_t *ret_seconds,
                                 uint32_t *ret_nanoseconds)
{
    uint64_t seconds = 0;
    uint64_t nanoseconds = 0;
    if (ret_seconds == NULL || ret_nanoseconds == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (value == NULL || value->type != MF_TYPE_EXT || value->ext_type != MF_EXT_TIMESTAMP) {
        return MF_ERR_TYPE;
    }
    if (value->length == 4) {
        seconds = get_number(value->as.bytes, 4);
    } else if (value->length == 8) {
        uint64_t both = get_number(value->as.bytes, 8);
        nanoseconds = both >> 34;
        seconds = both & ((UINT64_C(1) << 34) - 1);
    } else if (value->length == 12) {
        nanoseconds = get_number(value->as.bytes, 4);
        seconds = get_number(value->as.bytes + 4, 8);
    } else {
        return MF_ERR_TYPE;
    }
    if (nanoseconds >= NANOSECONDS) {
        return MF_ERR_TYPE;
    }
    *ret_seconds = (int64_t)seconds;
    *ret_nanoseconds = (uint32_t)nanoseconds;
    return MF_OK;
}

bool mfi_timestamp_valid(const mf_value *value)
{
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;
    return mf_value_get_timestamp(value, &seconds, &nanoseconds) == MF_OK;
}
