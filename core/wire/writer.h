/* Values to msgpack, in the form that every peer can read. */
#ifndef MFI_WIRE_WRITER_H
#define MFI_WIRE_WRITER_H

#include <msgpack.h>

#include <multifrost/value.h>

#include "base/buf.h"
#include "core/wire/limits.h"

/* A packer that appends to buf; its errors show as buf->failed. */
void mfi_packer_init(msgpack_packer *packer, mfi_buf *buf);
void mfi_pack_key(msgpack_packer *packer, const char *key); /* NUL-terminated */

/* Appends one value that lies `depth` containers deep. where ("args", "result") begins the path
 * that an error names. On failure what was appended before stays. */
mf_status mfi_pack_value(msgpack_packer *packer, const mf_value *value, uint32_t depth,
                         const char *where, const mfi_limits *limits, mf_error *error);
/* One pair of the map `where`, whose header was written by the caller: pair[0] is the key. */
mf_status mfi_pack_pair(msgpack_packer *packer, const mf_value *pair, uint32_t depth,
                        const char *where, const mfi_limits *limits, mf_error *error);
/* As mfi_pack_value, but changes what cannot be sent where that is possible: see
 * mf_value_sanitize(). Keys that become equal stay. */
mf_status mfi_pack_sanitized(msgpack_packer *packer, const mf_value *value, mf_error *error);

/* Why buf->failed: MF_ERR_NO_MEMORY or MF_ERR_LIMIT. */
mf_status mfi_pack_failure(const mfi_buf *buf, const char *where, mf_error *error);

#endif
