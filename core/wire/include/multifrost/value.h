/**
 * @file value.h
 * The values of messages: arguments, results and metadata.
 *
 * An mf_value is 16 bytes of tag and payload, passed by value. Texts, bytes and elements are
 * *borrowed*: a value owns no memory. A value that a caller builds points to the caller's memory. A
 * value that the library returns points into its result or request, and is valid as long as that.
 */
#ifndef MULTIFROST_VALUE_H
#define MULTIFROST_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <multifrost/error.h>
#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

/** The type of a value. */
typedef enum mf_type {
    MF_TYPE_NIL = 0,
    MF_TYPE_BOOL = 1,
    MF_TYPE_INT = 2,  /**< Fits int64_t. */
    MF_TYPE_UINT = 3, /**< Above INT64_MAX only. */
    MF_TYPE_FLOAT = 4,
    MF_TYPE_STR = 5, /**< UTF-8. */
    MF_TYPE_BIN = 6,
    MF_TYPE_ARRAY = 7,
    MF_TYPE_MAP = 8,     /**< Keys of any type when received; str keys when sent. */
    MF_TYPE_EXT = 9,     /**< Bytes of an extension type: see ext.h. */
    MF_TYPE_OBJECT = 10, /**< Never received: an object of the program, encoded as an ext. */
} mf_type;

/** One value. Read it with the mf_value_* functions or through the members that fit `type`. */
typedef struct mf_value {
    uint8_t type;    /**< An mf_type. */
    int8_t ext_type; /**< Code of an ext or object. */
    uint16_t reserved;
    uint32_t length; /**< Bytes of str, bin, ext; elements of an array; pairs of a map. */
    union {
        bool boolean;
        int64_t integer;
        uint64_t unsigned_integer;
        double number;
        const char *str; /**< In received values also NUL-terminated. */
        const uint8_t *bytes;
        const void *object;
        const struct mf_value *items; /**< Array: length values. Map: key, value, key, value, ... */
    } as;
} mf_value;

/** Arguments of a call: borrowed values. Made by MF_ARGS() or MF_NO_ARGS. */
typedef struct mf_args {
    const mf_value *items;
    uint32_t count;
} mf_args;

/* ---- Plain constructors: all are thread-safe and allocate nothing ---- */

static inline mf_value mf_nil(void)
{
    mf_value value;
    memset(&value, 0, sizeof value);
    return value;
}

static inline mf_value mf_bool(bool boolean)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_BOOL;
    value.as.boolean = boolean;
    return value;
}

static inline mf_value mf_int(int64_t integer)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_INT;
    value.as.integer = integer;
    return value;
}

static inline mf_value mf_uint(uint64_t integer)
{
    mf_value value = mf_nil();
    value.type = integer > (uint64_t)INT64_MAX ? MF_TYPE_UINT : MF_TYPE_INT;
    value.as.unsigned_integer = integer;
    return value;
}

static inline mf_value mf_float(double number)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_FLOAT;
    value.as.number = number;
    return value;
}

/** A text with its length in bytes; borrowed. Must be valid UTF-8 when it is sent. */
static inline mf_value mf_str_n(const char *text, size_t length)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_STR;
    value.length = length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;
    value.as.str = text;
    return value;
}

/** A NUL-terminated text; borrowed. NULL gives nil. */
static inline mf_value mf_str(const char *text)
{
    return text == NULL ? mf_nil() : mf_str_n(text, strlen(text));
}

/** Bytes; borrowed. */
static inline mf_value mf_bin(const void *bytes, size_t length)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_BIN;
    value.length = length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;
    value.as.bytes = (const uint8_t *)bytes;
    return value;
}

/** An array of `count` values; borrowed. */
static inline mf_value mf_array(const mf_value *items, uint32_t count)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_ARRAY;
    value.length = count;
    value.as.items = items;
    return value;
}

/** A map of `pairs` keys, each followed by its value; borrowed. */
static inline mf_value mf_map(const mf_value *keys_and_values, uint32_t pairs)
{
    mf_value value = mf_nil();
    value.type = MF_TYPE_MAP;
    value.length = pairs;
    value.as.items = keys_and_values;
    return value;
}

static inline mf_value mf_value_self(mf_value value)
{
    return value;
}

/** No arguments. */
#ifdef __cplusplus
#define MF_NO_ARGS (mf_args{nullptr, 0})
#else
#define MF_NO_ARGS ((mf_args){NULL, 0})
#endif

#ifndef __cplusplus
/* In C11 `true` is an int, so that _Generic cannot tell it from 1. */
#define MF_TRUE (mf_bool(true))
#define MF_FALSE (mf_bool(false))
#define MF_BOOL(x) (mf_bool((x) ? true : false))

/** One value. The C type of x chooses the constructor; the compiler refuses other types. */
#define MF_VALUE(x)                                                                                \
    _Generic((x),                                                                                  \
        mf_value: mf_value_self,                                                                   \
        _Bool: mf_bool,                                                                            \
        signed char: mf_int,                                                                       \
        short: mf_int,                                                                             \
        int: mf_int,                                                                               \
        long: mf_int,                                                                              \
        long long: mf_int,                                                                         \
        unsigned char: mf_uint,                                                                    \
        unsigned short: mf_uint,                                                                   \
        unsigned int: mf_uint,                                                                     \
        unsigned long: mf_uint,                                                                    \
        unsigned long long: mf_uint,                                                               \
        float: mf_float,                                                                           \
        double: mf_float,                                                                          \
        char *: mf_str,                                                                            \
        const char *: mf_str)(x)

#include <multifrost/detail/for_each.h>

/** Up to 32 arguments of a call: MF_ARGS(1, "two", 3.0, MF_MAP("k", MF_TRUE)). They are valid until
 *  the enclosing block ends. */
#define MF_ARGS(...)                                                                               \
    ((mf_args){(const mf_value[]){MF_DETAIL_FOR_EACH(MF_VALUE, __VA_ARGS__)},                      \
               MF_DETAIL_COUNT(__VA_ARGS__)})
/** An array value of up to 32 elements; valid as long as MF_ARGS(). */
#define MF_ARRAY(...)                                                                              \
    (mf_array((const mf_value[]){MF_DETAIL_FOR_EACH(MF_VALUE, __VA_ARGS__)},                       \
              MF_DETAIL_COUNT(__VA_ARGS__)))
/** A map value of up to 16 pairs: MF_MAP("a", 1, "b", 2); valid as long as MF_ARGS(). */
#define MF_MAP(...)                                                                                \
    (mf_map((const mf_value[]){MF_DETAIL_FOR_EACH(MF_VALUE, __VA_ARGS__)},                         \
            MF_DETAIL_COUNT(__VA_ARGS__) / 2 +                                                     \
                0 * sizeof(char[MF_DETAIL_COUNT(__VA_ARGS__) % 2 == 0 ? 1 : -1])))
#endif

/* ---- Reading ---- */

/**  Reads a value as a C type. Converts where nothing is lost: an integer from any encoding, also
 * from a whole float; a float from an integer that is exact in a double.
 *
 * @param value       Borrowed; NULL gives MF_ERR_TYPE, so that mf_value_find() can be the argument.
 * @param ret_boolean Not NULL. On MF_OK the C value, as are ret_integer and ret_number; untouched
 *                    on failure.
 * @return MF_OK; MF_ERR_TYPE (another type, or out of range); MF_ERR_INVALID_ARGUMENT.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_get_bool(const mf_value *value, bool *ret_boolean);
MF_API MF_NODISCARD mf_status mf_value_get_int64(const mf_value *value, int64_t *ret_integer);
MF_API MF_NODISCARD mf_status mf_value_get_uint64(const mf_value *value, uint64_t *ret_integer);
MF_API MF_NODISCARD mf_status mf_value_get_double(const mf_value *value, double *ret_number);
/**
 * Reads the text of a received str.
 *
 * @param value    A received value. Borrowed; NULL gives MF_ERR_TYPE.
 * @param ret_text Not NULL. On MF_OK the NUL-terminated text, borrowed from the value's owner;
 * untouched on failure.
 * @return MF_OK; MF_ERR_TYPE (no str, or a NUL inside); MF_ERR_INVALID_ARGUMENT.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_get_str(const mf_value *value, const char **ret_text);

/**
 * Returns an element of an array.
 *
 * @param array Borrowed; NULL gives NULL.
 * @param index From 0.
 * @return The element, borrowed from the array; NULL if the value is no array or has no such
 *         element.
 * @par Threads Thread-safe.
 */
MF_API const mf_value *mf_value_at(const mf_value *array, uint32_t index);
/**
 * Returns the value of a str key in a map.
 *
 * @param map Borrowed; NULL gives NULL.
 * @param key NUL-terminated. Borrowed; NULL gives NULL.
 * @return The value of the last such key, borrowed from the map; NULL if the value is no map or has
 *         no such key.
 * @par Threads Thread-safe.
 */
MF_API const mf_value *mf_value_find(const mf_value *map, const char *key);
/**
 * Compares two trees: types, numbers and order. NaN equals NaN. Trees that are too deep to be sent
 * (MF_VALUE_DEPTH_MAX) are not equal.
 *
 * @param a Borrowed. NULL equals NULL alone.
 * @param b Borrowed. NULL equals NULL alone.
 * @return Whether they are equal.
 * @par Threads Thread-safe.
 */
MF_API bool mf_value_equal(const mf_value *a, const mf_value *b);
/** Returns the name of a type ("str"). Never NULL; a static string. @par Threads Thread-safe. */
MF_API const char *mf_type_name(mf_type type);

/** The place for one argument of mf_*_unpack(). Made by MF_OUT(). */
typedef struct mf_out {
    int kind;
    void *to;
} mf_out;

enum {
    MF_OUT_BOOL,
    MF_OUT_INT32,
    MF_OUT_INT64,
    MF_OUT_UINT64,
    MF_OUT_DOUBLE,
    MF_OUT_STR,
    MF_OUT_VALUE
};

static inline mf_out mf_out_bool(bool *to)
{
    mf_out out = {MF_OUT_BOOL, to};
    return out;
}

static inline mf_out mf_out_int32(int32_t *to)
{
    mf_out out = {MF_OUT_INT32, to};
    return out;
}

static inline mf_out mf_out_int64(int64_t *to)
{
    mf_out out = {MF_OUT_INT64, to};
    return out;
}

static inline mf_out mf_out_uint64(uint64_t *to)
{
    mf_out out = {MF_OUT_UINT64, to};
    return out;
}

static inline mf_out mf_out_double(double *to)
{
    mf_out out = {MF_OUT_DOUBLE, to};
    return out;
}

static inline mf_out mf_out_str(const char **to)
{
    mf_out out = {MF_OUT_STR, (void *)to};
    return out;
}

static inline mf_out mf_out_value(mf_value *to)
{
    mf_out out = {MF_OUT_VALUE, to};
    return out;
}

#ifndef __cplusplus
/** One place for an unpack. The pointer's type chooses how the value is read. */
#define MF_OUT(p)                                                                                  \
    _Generic((p),                                                                                  \
        bool *: mf_out_bool,                                                                       \
        int32_t *: mf_out_int32,                                                                   \
        int64_t *: mf_out_int64,                                                                   \
        uint64_t *: mf_out_uint64,                                                                 \
        double *: mf_out_double,                                                                   \
        const char **: mf_out_str,                                                                 \
        mf_value *: mf_out_value)(p)
#endif

/**
 * Reads values into as many C variables.
 *
 * @param values      `value_count` values. Borrowed; not NULL.
 * @param value_count Must equal count.
 * @param outs        `count` places. Borrowed; not NULL.
 * @param count       Number of places.
 * @param error       NULL, or filled on failure.
 * @return MF_OK; MF_ERR_TYPE naming the position and the two types (the places before it are
 *         filled), or the two counts; MF_ERR_INVALID_ARGUMENT.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_values_unpack(const mf_value *values, uint32_t value_count,
                                               const mf_out *outs, uint32_t count, mf_error *error);

/* ---- Bytes ---- */

#define MF_VALUE_DEPTH_MAX 100 /**< Levels of containers that are sent and received. */

typedef struct mf_document mf_document; /**< A decoded tree and its memory. Immutable. */

/**
 * Decodes one msgpack value. Checks every length against the bytes that follow before it allocates.
 *
 * @param bytes        `size` bytes from any source. Borrowed; not NULL.
 * @param size         Bytes.
 * @param ret_document Not NULL. On MF_OK a document for mf_document_destroy(), which owns a copy of
 *                     everything; untouched on failure.
 * @param error        NULL, or filled on failure.
 * @return MF_OK; MF_ERR_PROTOCOL; MF_ERR_LIMIT naming the limit and the size; both name the path of
 *         the value ("value[1].name") and its offset; MF_ERR_INVALID_ARGUMENT; MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_document_decode(const void *bytes, size_t size,
                                                 mf_document **ret_document, mf_error *error);
/**
 * Frees a document.
 *
 * @param document NULL is a no-op.
 * @par Threads No other thread may use the document any more.
 */
MF_API void mf_document_destroy(mf_document *document);
/**
 * Returns the root of the tree.
 *
 * @param document NULL gives nil.
 * @return The root, borrowed from the document; never NULL.
 * @par Threads Thread-safe.
 */
MF_API const mf_value *mf_document_root(const mf_document *document);

/**
 * Encodes a value in a form that every peer can read: integers in the shortest form, floats as
 * float64, NaN and infinities as nil, integers above INT64_MAX as INT64_MAX. Keys of maps that are
 * no str become the text that Python's str() gives: 7, 1.5, True, None. Keys that become equal are
 * all sent; mf_value_sanitize() keeps the last one. An ext is sent if it is a timestamp or its code
 * is registered; the codec of its code packs an object.
 *
 * @param value     Borrowed; not NULL.
 * @param ret_bytes Not NULL. On MF_OK memory for free(); untouched on failure.
 * @param ret_size  Not NULL. On MF_OK the number of bytes.
 * @param error     NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (malformed UTF-8, a key that is a bin, ext, object, array
 *         or map, an ext or object without codec, bytes or elements at NULL); MF_ERR_LIMIT (depth,
 * max_items, max_string_bytes, or total size), both naming the path of the value ("value[1].name")
 * and the fault; the code that a codec returned; MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_encode(const mf_value *value, uint8_t **ret_bytes,
                                              size_t *ret_size, mf_error *error);

/**
 * Copies a value, and changes all that a peer could not read:
 *
 * - NaN and infinities become nil, integers above INT64_MAX become INT64_MAX;
 * - each byte of a str that is not UTF-8 becomes U+FFFD;
 * - keys become str as by mf_value_encode(), and the bytes of a bin become its text; of keys that
 *   are or become equal the first place and the last value are kept, as in a Python dict;
 * - an ext that cannot be sent (no timestamp, its code not registered) becomes a bin;
 * - an object becomes the ext that its codec makes.
 *
 * @param value        Borrowed; not NULL.
 * @param ret_document Not NULL. On MF_OK the copy, which borrows nothing, for
 * mf_document_destroy(); untouched on failure.
 * @param error        NULL, or filled on failure.
 * @return MF_OK; MF_ERR_LIMIT (depth, max_items, max_string_bytes or total size);
 *         MF_ERR_INVALID_ARGUMENT (a key that is an array, map, ext or object; an object without
 *         codec), both naming the path; the code that a codec returned; MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_sanitize(const mf_value *value, mf_document **ret_document,
                                                mf_error *error);

MF_EXTERN_C_END

#endif
