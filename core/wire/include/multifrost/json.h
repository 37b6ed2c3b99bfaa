/**
 * @file json.h
 * Values as JSON text, and back.
 *
 * JSON has fewer types than the wire. Where a value has no exact form on the other side the rule is
 * written below; no integer silently becomes another one.
 */
#ifndef MULTIFROST_JSON_H
#define MULTIFROST_JSON_H

#include <stddef.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/value.h>

MF_EXTERN_C_BEGIN

/**
 * Writes a value as one line of JSON.
 *
 * Integers are written as digits, also those that a reader whose numbers are doubles would round;
 * floats shortest and always with a point or exponent, so that they read back as floats; NaN and
 * infinities as null; bin as text in base64 (RFC 4648, with padding); keys that are no str as
 * mf_value_encode() does it. Keys that are there twice are written twice.
 *
 * @param ret_text   On MF_OK a NUL-terminated text for free().
 * @param ret_length NULL, or where the text's length goes.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming the path (an ext or object, a str that is not
 *         UTF-8, a key without a text form); MF_ERR_LIMIT (deeper than MF_VALUE_DEPTH_MAX, or a
 *         text of more than 64 MiB); MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_to_json(const mf_value *value, char **ret_text,
                                               size_t *ret_length, mf_error *error);

/**
 * Reads one JSON text (RFC 8259, UTF-8, without a byte order mark).
 *
 * A number without point and exponent becomes an int, any other a float. Refused, naming the byte:
 * an integer beyond 2^53 in size, which most JSON readers would round; a number too large for a
 * double or written with more than 63 characters; NUL in a str, escaped or not. Of equal keys the
 * first place and the last value are kept.
 *
 * @param ret_document On MF_OK owns a copy of everything; for mf_document_destroy().
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (malformed, or refused); MF_ERR_LIMIT (nested deeper than
 *         MF_VALUE_DEPTH_MAX, longer than 64 MiB, more than 100,000 items or 10,485,760 bytes in
 *         one value); MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_from_json(const char *text, size_t length,
                                                 mf_document **ret_document, mf_error *error);

MF_EXTERN_C_END

#endif
