/* The locks of all languages together: Python's registry.lock, Go's services.lock, JavaScript's
 * services.json.lock. All or none: while a process waits for one, it holds none. */
#ifndef MFI_DISCOVERY_LOCK_H
#define MFI_DISCOVERY_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/discovery/folder.h"

typedef struct mfi_registry_lock {
    const mfi_registry_dir *dir;
    int fd; /* the word: one file that becomes the first two locks */
    ino_t word_inode;
    ino_t folder_inode;   /* the folder that becomes the third lock */
    uint64_t folder_time; /* its time stamp, which no other folder has */
    unsigned taken;       /* number of locks taken, in their order */
    char word_name[MFI_TEMP_NAME_MAX], folder_name[MFI_TEMP_NAME_MAX];
} mfi_registry_lock;

/* Waits until deadline_ns (monotonic). MF_OK; MF_ERR_TIMEOUT naming the lock and its holder;
 * MF_ERR_IO. To be released only after MF_OK. */
mf_status mfi_registry_lock_take(mfi_registry_lock *ret_lock, const mfi_registry_dir *dir,
                                 uint64_t deadline_ns, mf_error *error);
/* True if all three locks are still ours. A process that was stopped for long may have lost them.
 */
bool mfi_registry_lock_kept(const mfi_registry_lock *lock);
void mfi_registry_lock_release(mfi_registry_lock *lock);

#endif
