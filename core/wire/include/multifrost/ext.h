/**
 * @file ext.h
 * Extension values: timestamps, and types of your own.
 *
 * msgpack carries typed bytes, "ext", beside its plain types. Codes 0 to 127 belong to programs;
 * negative ones to msgpack itself, of which -1, the timestamp, is in use.
 *
 * What comes in is always an MF_TYPE_EXT, whether its code is known or not. What goes out must be
 * known, because a peer that does not know a code loses the whole message: a timestamp, or a code
 * that mf_ext_register() was called for. Objects of your own travel as MF_TYPE_OBJECT values, which
 * the code's codec turns into bytes when the value is encoded:
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
#define MF_TIMESTAMP_BYTES 12 /**< Storage that every timestamp fits into. */

/** Bytes of an extension type; borrowed. */
static inline mf_value mf_ext(int8_t code, const void *bytes, size_t size)
{
    mf_value value = mf_bin(bytes, size);
    value.type = MF_TYPE_EXT;
    value.ext_type = code;
    return value;
}

/** An object that the codec of `code` packs when the value is encoded; borrowed, so it must stay as
 *  it is until then. */
static inline mf_value mf_object(int8_t code, const void *object)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_OBJECT;
    value.ext_type = code;
    value.as.object = object;
    return value;
}

/* ---- Codecs ---- */

typedef struct mf_ext_writer mf_ext_writer; /**< Where a codec puts its bytes. */

/** Appends bytes of an object that is being packed. What does not fit makes the encoding fail with
 *  MF_ERR_LIMIT (max_string_bytes) or MF_ERR_NO_MEMORY; a codec need not check. */
MF_API void mf_ext_write(mf_ext_writer *writer, const void *bytes, size_t size);

/**
 * Packs an object with mf_ext_write().
 * @return MF_OK; anything else becomes the status of the call, reply or encoding.
 * @par Threads Runs on the thread that encodes, at the same time as others; must not block.
 */
typedef mf_status (*mf_ext_pack_fn)(const void *object, mf_ext_writer *writer, void *user_data);

/**
 * Makes an object of received bytes, which come from a stranger: check them.
 * @param ret_object On MF_OK the object; it belongs to whoever called mf_value_get_object().
 * @return MF_OK; anything else becomes the status of mf_value_get_object().
 * @par Threads Runs on the thread that calls mf_value_get_object().
 */
typedef mf_status (*mf_ext_unpack_fn)(const uint8_t *bytes, size_t size, void **ret_object,
                                      void *user_data);

/** How objects of one code are written and read. */
typedef struct mf_ext_codec {
    size_t struct_size;      /**< Set by MF_EXT_CODEC_INIT. */
    mf_ext_pack_fn pack;     /**< NULL: objects of this code cannot be sent, bytes can. */
    mf_ext_unpack_fn unpack; /**< NULL: mf_value_get_object() is refused, bytes can be read. */
    void *user_data;         /**< Given to both; must live until the program ends or the code is
                                  unregistered and no longer in use. */
} mf_ext_codec;

/** Initial value of an mf_ext_codec. */
#define MF_EXT_CODEC_INIT MF_DETAIL_INIT(mf_ext_codec)

/**
 * Makes a code known to the whole process.
 * @param code  0 to MF_EXT_CODE_MAX.
 * @param codec Copied. NULL: bytes of this code may be sent, objects may not.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (code out of range); MF_ERR_EXISTS.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_ext_register(int code, const mf_ext_codec *codec, mf_error *error);
/** Forgets a code. One that is not registered is ignored. A callback that is running goes on.
 *  @par Threads Thread-safe. */
MF_API void mf_ext_unregister(int code);

/**
 * Makes an object of a received value, by the codec of its code.
 * @param code       The code that the value must have.
 * @param ret_object On MF_OK what the codec's unpack made; yours.
 * @return MF_OK; MF_ERR_TYPE (no ext of that code); MF_ERR_NOT_FOUND (no codec that unpacks is
 *         registered); what the codec returned.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_get_object(const mf_value *value, int code,
                                                  void **ret_object, mf_error *error);

/* ---- Timestamps ---- */

/**
 * A timestamp value, in the shortest of msgpack's three forms.
 * @param seconds     Since the epoch, also before it.
 * @param nanoseconds Whole seconds in it are carried over.
 * @param storage     MF_TIMESTAMP_BYTES of the caller's, which must live as long as the value.
 * @par Threads Thread-safe.
 */
MF_API mf_value mf_timestamp(int64_t seconds, uint32_t nanoseconds, uint8_t *storage);

/**
 * Reads a timestamp of any of the three forms.
 * @return MF_OK; MF_ERR_TYPE (no ext of code -1, not 4, 8 or 12 bytes, or a second's nanoseconds
 *         beyond 999,999,999: ret_* untouched).
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_get_timestamp(const mf_value *value, int64_t *ret_seconds,
                                                     uint32_t *ret_nanoseconds);

MF_EXTERN_C_END

#endif
