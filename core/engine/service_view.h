/* One registry, seen by all parents of a runtime that look into the same directory: what is read
 * and what is watched is so once. The system allows a user only so many watches. */
#ifndef MFI_ENGINE_SERVICE_VIEW_H
#define MFI_ENGINE_SERVICE_VIEW_H

#include <multifrost/registry.h>

#include "base/list.h"
#include "core/engine/loop.h"

struct mf_parent;

typedef struct mfi_service_view {
    mfi_list_node node; /* in runtime->views; guarded by the runtime's mutex, as is the next */
    uint32_t users;
    mf_registry *registry;
    /* The engine thread's own. */
    mfi_source source; /* fd -1: nothing tells of changes */
    mfi_list parents;  /* those that are to be told, by their view_node */
} mfi_service_view;

/* Takes a view of a directory (NULL: the default one). Errors of mf_registry_create(). */
mf_status mfi_service_view_take(mfi_service_view **ret_view, mf_runtime *runtime,
                                const char *directory, mf_error *error);
/* Engine thread: tells mfi_service_changed() of changes from now on, if it can be watched. */
void mfi_service_view_join(mfi_service_view *view, struct mf_parent *parent);
/* Engine thread. The last one who leaves ends the view. */
void mfi_service_view_leave(mfi_service_view *view, struct mf_parent *parent);

#endif
