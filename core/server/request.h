/* One call as its handler sees it. */
#ifndef MFI_SERVER_REQUEST_H
#define MFI_SERVER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/child.h>

#include "core/server/message.h"
#include "core/wire/limits.h"
#include "core/wire/tree.h"

/* Decoded values. A thread keeps their memory from call to call. */
typedef struct mfi_request_trees {
    mfi_tree args, metadata;
} mfi_request_trees;

struct mf_request {
    mfi_request_trees *trees; /* the thread's */
    const mfi_incoming *call;
    const char *name; /* of the function */
    const mf_context *context;
    char function[MFI_NAME_MAX_BYTES + 1];    /* the name, if it is not registered */
    char client_name[MFI_NAME_MAX_BYTES + 1]; /* filled when the handler asks for it */
    uint64_t deadline_ns;
    bool metadata_decoded;
    mf_error error; /* of the last unpack that failed */
};

#endif
