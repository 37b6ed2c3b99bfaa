/* Writes values as msgpack, in the form that every peer can read. */
#ifndef MFI_WIRE_WRITER_H
#define MFI_WIRE_WRITER_H

#include <msgpack.h>

#include <multifrost/value.h>

#include "base/buf.h"
#include "core/wire/limits.h"

/* A packer that appends to buf. The caller checks buf->failed for errors. */
void mfi_packer_init(msgpack_packer *packer, mfi_buf *buf);
void mfi_pack_key(msgpack_packer *packer, const char *key); /* NUL-terminated */

/* Appends one value that lies `depth` containers deep. An error's path begins with `where` ("args",
 * "result"). On failure the buffer keeps the bytes appended so far. */
mf_status mfi_pack_value(msgpack_packer *packer, const mf_value *value, uint32_t depth,
                         const char *where, const mfi_limits *limits, mf_error *error);
/* Appends one pair of the map `where`, whose header is written already: pair[0] is the key. */
mf_status mfi_pack_pair(msgpack_packer *packer, const mf_value *pair, uint32_t depth,
                        const char *where, const mfi_limits *limits, mf_error *error);
/* As mfi_pack_value(), but replaces values that cannot be sent, as mf_value_sanitize() says. Keys
 * that become equal are all kept. */
mf_status mfi_pack_sanitized(msgpack_packer *packer, const mf_value *value, mf_error *error);

/* Why buf->failed: MF_ERR_NO_MEMORY or MF_ERR_LIMIT. */
mf_status mfi_pack_failure(const mfi_buf *buf, const char *where, mf_error *error);

#endif
