/* One change of the registry's file, under all locks. */
#ifndef MFI_DISCOVERY_CHANGE_H
#define MFI_DISCOVERY_CHANGE_H

#include <stdint.h>

#include "core/discovery/folder.h"

typedef struct mfi_registry_change {
    const char *id;
    uint16_t port;         /* 0: removes the entry of this process */
    uint64_t lock_wait_ns; /* is set to the wait for the locks */
} mfi_registry_change;

/* Makes the change, and takes the entries of ended processes out. A file that a peer is writing in
 * place is waited for, without a lock, as long as for the locks. MF_OK; MF_ERR_EXISTS; errors of
 * mfi_registry_lock_take() and mfi_registry_file_load(). */
mf_status mfi_registry_change_file(const mfi_registry_dir *dir, mfi_registry_change *wanted,
                                   int64_t lock_timeout_ms, mf_error *error);

#endif
