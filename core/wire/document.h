/* A decoded tree together with its bytes. */
#ifndef MFI_WIRE_DOCUMENT_H
#define MFI_WIRE_DOCUMENT_H

#include <multifrost/value.h>

#include "core/wire/tree.h"

struct mf_document {
    mfi_tree tree;
    uint8_t bytes[];
};

/* Of keys that are equal str, every map keeps the first place and the last value. Returns MF_OK or
 * MF_ERR_NO_MEMORY; the tree is then only partly done. */
mf_status mfi_document_unite_keys(mf_document *document, mf_error *error);

#endif
