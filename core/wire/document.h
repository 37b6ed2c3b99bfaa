/* A decoded tree and the bytes that it points to. */
#ifndef MFI_WIRE_DOCUMENT_H
#define MFI_WIRE_DOCUMENT_H

#include <multifrost/value.h>

#include "base/buf.h"
#include "core/wire/tree.h"

struct mf_document {
    mfi_tree tree;
    uint8_t bytes[];
};

/* Makes a document from packed bytes. Of equal keys a map keeps the first place and the last value.
 * MF_ERR_LIMIT, MF_ERR_NO_MEMORY, or the buffer's own failure. */
mf_status mfi_document_make(const mfi_buf *msgpack, mf_document **ret_document, mf_error *error);

#endif
