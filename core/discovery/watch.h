/* Watches the registry's file for every kind of change: moved to its name, written in place, made,
 * removed. One thread at a time. */
#ifndef MFI_DISCOVERY_WATCH_H
#define MFI_DISCOVERY_WATCH_H

#include <stdbool.h>

#include <multifrost/error.h>

typedef struct mfi_registry_watch {
    int fd;     /* kept until close, so that a poll set can hold it */
    int folder; /* -1 while nothing is watched */
} mfi_registry_watch;
#define MFI_REGISTRY_WATCH_INIT                                                                    \
    {                                                                                              \
        .fd = -1, .folder = -1                                                                     \
    }

/* Begins to watch, unless it watches already. MF_ERR_IO without a folder; MF_ERR_SYSTEM. */
mf_status mfi_registry_watch_open(mfi_registry_watch *watch, const char *directory,
                                  mf_error *error);
/* Reads all events. True if the file was changed. Does not wait. */
bool mfi_registry_watch_drain(mfi_registry_watch *watch);
void mfi_registry_watch_close(mfi_registry_watch *watch);

#endif
