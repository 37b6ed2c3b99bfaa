/* Decodes nearly every message in one pass.
 *
 * The fast functions take only the usual forms: short known keys, values of the expected types, all
 * of it sound. They return false for everything else, and the caller must then ignore what they
 * have filled in. Where they return true, the general functions give the same. The callers,
 * mfi_envelope_decode() and mfi_metadata_read(), try the fast function first. */
#ifndef MFI_WIRE_ENVELOPE_FAST_H
#define MFI_WIRE_ENVELOPE_FAST_H

#include "core/wire/envelope.h"

bool mfi_envelope_decode_fast(const void *bytes, size_t size, const mfi_limits *limits,
                              mfi_envelope *ret_envelope);
mf_status mfi_envelope_decode_general(const void *bytes, size_t size, const mfi_limits *limits,
                                      mfi_envelope *ret_envelope, mfi_reject *ret_reject,
                                      mf_error *error);

bool mfi_metadata_read_fast(mfi_slice metadata, mfi_metadata *ret_metadata);
void mfi_metadata_read_general(mfi_slice metadata, mfi_metadata *ret_metadata);

#endif
