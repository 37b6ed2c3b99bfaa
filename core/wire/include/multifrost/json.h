/**
 * @file json.h
 * Values as JSON text, and back.
 *
 * JSON has fewer types than the wire. The rules below say what becomes of a value that has no exact
 * form on the other side; no integer becomes another integer.
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
 * Integers are written as digits, also those that a reader whose numbers are doubles would round.
 * Floats are written in the shortest form with a point or exponent, so that they read back as
 * floats; NaN and infinities as null; bin as text in base64 (RFC 4648, with padding); keys that are
 * no str as by mf_value_encode(). A key that occurs twice is written twice.
 *
 * @param value      Borrowed; not NULL.
 * @param ret_text   Not NULL. On MF_OK a NUL-terminated text for free(); untouched on failure.
 * @param ret_length NULL, or set to the text's bytes without the NUL.
 * @param error      NULL, or filled on failure.
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
 * A number without point and exponent becomes an int, any other number a float. These are refused,
 * naming the byte: an integer beyond 2^53 or below -2^53, which most JSON readers would round; a
 * number that is too large for a double or has more than 63 characters; NUL in a str, escaped or
 * not. Of equal keys the first place and the last value are kept.
 *
 * @param text         UTF-8, `length` bytes. Borrowed; not NULL.
 * @param length       Bytes.
 * @param ret_document Not NULL. On MF_OK a document for mf_document_destroy(), which owns a copy of
 *                     everything; untouched on failure.
 * @param error        NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (malformed, or refused); MF_ERR_LIMIT (nested deeper than
 *         MF_VALUE_DEPTH_MAX, longer than 64 MiB, more than 100,000 items or 10,485,760 bytes in
 *         one value); MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_value_from_json(const char *text, size_t length,
                                                 mf_document **ret_document, mf_error *error);

MF_EXTERN_C_END

#endif
