/* Views of the registry. It exists so that parents of one runtime that use the same directory share
 * one inotify watch, and one reading of the file for every change. */
#include "core/discovery/view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "core/discovery/inside.h"
#include "core/runtime/runtime.h"

static void on_change(mfi_source *source, uint32_t events)
{
    (void)events;
    mfi_view *view = MFI_CONTAINER(source, mfi_view, source);
    if (mf_registry_wait(view->registry, 0, NULL) != MF_OK) {
        return; /* another file in the folder has changed */
    }
    mfi_list_node *next = NULL;
    for (mfi_list_node *at = view->subscribers.first; at != NULL; at = next) {
        next = at->next;
        mfi_view_subscriber *subscriber = MFI_CONTAINER(at, mfi_view_subscriber, node);
        subscriber->changed(subscriber);
    }
}

static mfi_view *find_locked(mf_runtime *runtime, const mf_registry *registry)
{
    const char *directory = mfi_registry_directory(registry);
    for (mfi_list_node *node = runtime->views.first; node != NULL; node = node->next) {
        mfi_view *view = MFI_CONTAINER(node, mfi_view, node);
        if (strcmp(mfi_registry_directory(view->registry), directory) == 0) {
            return view;
        }
    }
    return NULL;
}

mf_status mfi_view_take(mfi_view **ret_view, mf_runtime *runtime, const char *directory,
                        mf_error *error)
{
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    mf_registry *registry = NULL;
    options.directory = directory;
    options.runtime = runtime;
    mf_status status = mf_registry_create(&registry, &options, error);
    mfi_view *fresh = status == MF_OK ? calloc(1, sizeof *fresh) : NULL;
    if (status == MF_OK && fresh == NULL) {
        status = mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a view of the registry");
    }
    if (status == MF_OK) {
        mfi_mutex_lock(&runtime->mutex);
        mfi_view *view = find_locked(runtime, registry);
        if (view == NULL) {
            view = fresh;
            fresh = NULL;
            view->registry = registry;
            view->runtime = runtime;
            registry = NULL;
            mfi_source_init(&view->source, on_change);
            mfi_list_push_back(&runtime->views, &view->node);
        }
        view->users++;
        mfi_mutex_unlock(&runtime->mutex);
        *ret_view = view;
    }
    mf_registry_destroy(registry);
    free(fresh);
    return status;
}

/* The directory may not exist yet, or may have been replaced. So every subscriber that joins tries
 * to watch it. */
void mfi_view_join(mfi_view *view, mfi_view_subscriber *subscriber)
{
    int fd = mf_registry_watch_fd(view->registry);
    if (fd >= 0 && view->source.fd < 0) {
        (void)!mfi_source_add(view->runtime->loop, &view->source, fd, EPOLLIN, NULL);
    }
    if (!subscriber->node.is_listed) {
        mfi_list_push_back(&view->subscribers, &subscriber->node);
    }
}

bool mfi_view_is_watched(const mfi_view *view)
{
    return view->source.fd >= 0 && mfi_registry_is_watched(view->registry);
}

void mfi_view_leave(mfi_view *view, mfi_view_subscriber *subscriber)
{
    mf_runtime *runtime = view->runtime;
    mfi_list_remove(&view->subscribers, &subscriber->node);
    mfi_mutex_lock(&runtime->mutex);
    view->users--;
    bool last = view->users == 0;
    if (last) {
        mfi_list_remove(&runtime->views, &view->node);
    }
    mfi_mutex_unlock(&runtime->mutex);
    if (last) {
        mfi_source_remove(runtime->loop, &view->source);
        mf_registry_destroy(view->registry);
        free(view);
    }
}
