/**
 * @file ext.h
 * Extension values: timestamps, and types of your own.
 *
 * msgpack has typed bytes, "ext", beside its plain types. Codes 0 to 127 belong to programs,
 * negative codes to msgpack itself, which uses only -1, the timestamp.
 *
 * A received ext is always an MF_TYPE_EXT, whether its code is known or not. An ext that is sent
 * must be a timestamp or have a code that was passed to mf_ext_register(), because a peer that does
 * not know a code loses the whole message. A program sends its own objects as MF_TYPE_OBJECT
 * values, which the codec of their code turns into bytes when the value is encoded:
 *
 *     mf_call(parent, "area", MF_ARGS(mf_object(SHAPE, &shape)), &result, &err);
 */
#ifndef MULTIFROST_EXT_H
#define MULTIFROST_EXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/value.h>

MF_EXTERN_C_BEGIN

#define MF_EXT_CODE_MAX 127   /**< Codes of programs: 0 to this. */
#define MF_EXT_TIMESTAMP (-1) /**< The code of timestamps. */
#define MF_TIMESTAMP_BYTES 12 /**< Bytes of the longest timestamp. */

/** A value of `size` bytes of an extension type; borrowed. @par Threads Thread-safe. */
static inline mf_value mf_ext(int8_t code, const void *bytes, size_t size)
{
    mf_value value = mf_bin(bytes, size);
    value.type = MF_TYPE_EXT;
    value.ext_type = code;
    return value;
}

/** An object that the codec of `code` packs when the value is encoded; borrowed, so it must not
 *  change until then. @par Threads Thread-safe. */
static inline mf_value mf_object(int8_t code, const void *object)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_OBJECT;
    value.ext_type = code;
    value.as.object = object;
    return value;
}

/* ---- Codecs ---- */

typedef struct mf_ext_writer mf_ext_writer; /**< Takes the bytes that a codec writes. */

/**
 * Appends bytes of an object that is being packed. If they do not fit, the encoding fails with
 * MF_ERR_LIMIT (max_string_bytes) or MF_ERR_NO_MEMORY; a codec need not check.
 *
 * @param writer As it was passed to the codec; NULL is a no-op.
 * @param bytes  `size` bytes; copied. NULL is a no-op.
 * @param size   Bytes.
 * @par Threads On the thread that runs the codec.
 */
MF_API void mf_ext_write(mf_ext_writer *writer, const void *bytes, size_t size);

/**
 * Packs an object with mf_ext_write().
 *
 * @param object    As it was passed to mf_object(). Borrowed.
 * @param writer    Valid until the function returns.
 * @param user_data Of the codec.
 * @return MF_OK; any other code becomes the status of the call, reply or encoding.
 * @par Threads Runs on the thread that encodes; several threads may run it at once. Must not block.
 */
typedef mf_status (*mf_ext_pack_fn)(const void *object, mf_ext_writer *writer, void *user_data);

/**
 * Makes an object of received bytes. They come from a stranger, so the function must check them.
 *
 * @param bytes      `size` bytes. Borrowed.
 * @param size       Bytes.
 * @param ret_object On MF_OK the object; the caller of mf_value_get_object() owns it.
 * @param user_data  Of the codec.
 * @return MF_OK; any other code becomes the status of mf_value_get_object().
 * @par Threads Runs on the thread that calls mf_value_get_object().
 */
typedef mf_status (*mf_ext_unpack_fn)(const uint8_t *bytes, size_t size, void **ret_object,
                                      void *user_data);

/** The functions that write and read objects of one code. */
typedef struct mf_ext_codec {
    size_t struct_size;      /**< Set by MF_EXT_CODEC_INIT. */
    mf_ext_pack_fn pack;     /**< NULL: objects of this code cannot be sent, bytes can. */
    mf_ext_unpack_fn unpack; /**< NULL: mf_value_get_object() fails, bytes can be read. */
    void *user_data;         /**< Passed to both; must live until the program ends, or until the
                                  code is unregistered and its callbacks have returned. */
} mf_ext_codec;

/** Initial value of an mf_ext_codec. */
#define MF_EXT_CODEC_INIT MF_DETAIL_INIT(mf_ext_codec)

/**
 * Registers a code for the whole process.
 *
 * @param code  0 to MF_EXT_CODE_MAX.
 * @param codec Copied. NULL: bytes of this code may be sent, objects may not.
 * @param error NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (code out of range); MF_ERR_EXISTS.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_ext_register(int code, const mf_ext_codec *codec, mf_error *error);
/**
 * Unregisters a code. A callback of the code may still be running on another thread.
 *
 * @param code A code that is not registered is a no-op.
 * @par Threads Thread-safe.
 */
MF_API void mf_ext_unregister(int code);

/**
 * Makes an object of a received value with the codec of its code.
 *
 * @param value      Borrowed; NULL gives MF_ERR_TYPE.
 * @param code       The code that the value must have.
 * @param ret_object Not NULL. On MF_OK the object that the codec made; the caller owns it.
 * @param error      NULL, or filled on failure.
 * @return MF_OK; MF_ERR_TYPE (no ext of that code); MF_ERR_NOT_FOUND (no codec for that code
 *         unpacks); MF_ERR_INVALID_ARGUMENT; the code that the codec returned.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_get_object(const mf_value *value, int code,
                                                  void **ret_object, mf_error *error);

/* ---- Timestamps ---- */

/**
 * Makes a timestamp value, in the shortest of msgpack's three forms.
 *
 * @param seconds     Since the Unix epoch; negative before it.
 * @param nanoseconds Whole seconds in it are added to seconds.
 * @param storage     MF_TIMESTAMP_BYTES bytes. Borrowed; must live as long as the value. NULL gives
 *                    nil.
 * @return The value.
 * @par Threads Thread-safe.
 */
MF_API mf_value mf_timestamp(int64_t seconds, uint32_t nanoseconds, uint8_t *storage);

/**
 * Reads a timestamp of any of the three forms.
 *
 * @param value           Borrowed; NULL gives MF_ERR_TYPE.
 * @param ret_seconds     Not NULL. On MF_OK the seconds since the Unix epoch; untouched on failure.
 * @param ret_nanoseconds Not NULL. On MF_OK 0 to 999,999,999; untouched on failure.
 * @return MF_OK; MF_ERR_TYPE (no ext of code -1, not 4, 8 or 12 bytes, or more than 999,999,999
 *         nanoseconds); MF_ERR_INVALID_ARGUMENT.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_get_timestamp(const mf_value *value, int64_t *ret_seconds,
                                                     uint32_t *ret_nanoseconds);

MF_EXTERN_C_END

#endif
