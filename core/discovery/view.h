/* One registry, shared by all parents of a runtime that use the same directory. The file is read
 * and watched once for all of them, because the system allows a user only so many watches. */
#ifndef MFI_DISCOVERY_VIEW_H
#define MFI_DISCOVERY_VIEW_H

#include <multifrost/registry.h>

#include "base/list.h"
#include "core/engine/loop.h"

/* A member of the struct that wants to know of changes. Zeroed before its first use. */
typedef struct mfi_view_subscriber {
    mfi_list_node node;
    void (*changed)(struct mfi_view_subscriber *subscriber); /* engine thread */
} mfi_view_subscriber;

typedef struct mfi_view {
    mfi_list_node node; /* in the runtime's list; guarded by its mutex, as is `users` */
    uint32_t users;
    mf_registry *registry;
    mf_runtime *runtime;
    /* The engine thread's alone. */
    mfi_source source; /* fd -1: changes are not watched */
    mfi_list subscribers;
} mfi_view;

/* Takes a view of a directory (NULL: the default directory). Errors of mf_registry_create(). */
mf_status mfi_view_take(mfi_view **ret_view, mf_runtime *runtime, const char *directory,
                        mf_error *error);
/* Engine thread: from now on calls `changed` after every change, if changes can be watched. */
void mfi_view_join(mfi_view *view, mfi_view_subscriber *subscriber);
/* Engine thread. The last subscriber that leaves frees the view. */
void mfi_view_leave(mfi_view *view, mfi_view_subscriber *subscriber);
/* Engine thread: true if changes are watched; else subscribers must read the file from time to
 * time. */
bool mfi_view_is_watched(const mfi_view *view);

#endif
