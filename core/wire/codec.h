/* The codecs of extension types, as the writer sees them. */
#ifndef MFI_WIRE_CODEC_H
#define MFI_WIRE_CODEC_H

#include <stdbool.h>

#include <multifrost/ext.h>

#include "base/buf.h"

/* Whether values of this code may be sent: timestamps, and what is registered. */
bool mfi_codec_known(int8_t code);
/* Appends the object's bytes. MF_ERR_NOT_FOUND without a codec that packs; what the codec returned.
 * The buffer's own failure is to be looked at as well. */
mf_status mfi_codec_pack(int8_t code, const void *object, mfi_buf *to);
/* Whether an ext of code -1 has one of the three forms. */
bool mfi_timestamp_valid(const mf_value *value);

#endif
