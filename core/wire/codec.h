/* The codecs of extension types, as the writer uses them. */
#ifndef MFI_WIRE_CODEC_H
#define MFI_WIRE_CODEC_H

#include <stdbool.h>

#include <multifrost/ext.h>

#include "base/buf.h"

/* Whether values of this code may be sent: timestamps and registered codes. */
bool mfi_codec_known(int8_t code);
/* Appends the object's bytes. MF_ERR_NOT_FOUND if no codec packs this code, or the codec's status.
 * The caller must also check the buffer for failure. */
mf_status mfi_codec_pack(int8_t code, const void *object, mfi_buf *to);
/* Whether an ext of code -1 has one of the three forms. */
bool mfi_timestamp_valid(const mf_value *value);

#endif
