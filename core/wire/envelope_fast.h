/* Decoding in one pass what nearly every message is, and what decides on all others.
 *
 * The fast functions take the usual forms alone: short keys that are known, values of the expected
 * types, everything sound. On anything else they return false, whatever it is; what they filled in
 * until then is to be forgotten. Where they return true, the general ones would have given the
 * same. mfi_envelope_decode() and mfi_metadata_read() try the one, then the other. */
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
