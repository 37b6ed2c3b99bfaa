#include "core/engine/service_view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "core/discovery/registry_inside.h"
#include "core/engine/parent.h"

static void on_change(mfi_source *source, uint32_t events)
{
    (void)events;
    mfi_service_view *view = MFI_CONTAINER(source, mfi_service_view, source);
    if (mf_registry_wait(view->registry, 0, NULL) != MF_OK) {
        return; /* nothing of ours has changed */
    }
    for (mfi_list_node *node = view->parents.first; node != NULL; node = node->next) {
        mfi_service_changed(MFI_CONTAINER(node, mf_parent, view_node));
    }
}

static mfi_service_view *find_locked(mf_runtime *runtime, const mf_registry *registry)
{
    const char *directory = mfi_registry_directory(registry);
    for (mfi_list_node *node = runtime->views.first; node != NULL; node = node->next) {
        mfi_service_view *view = MFI_CONTAINER(node, mfi_service_view, node);
        if (strcmp(mfi_registry_directory(view->registry), directory) == 0) {
            return view;
        }
    }
    return NULL;
}

mf_status mfi_service_view_take(mfi_service_view **ret_view, mf_runtime *runtime,
                                const char *directory, mf_error *error)
{
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    mf_registry *registry = NULL;
    options.directory = directory;
    options.runtime = runtime;
    mf_status status = mf_registry_create(&registry, &options, error);
    mfi_service_view *fresh = status == MF_OK ? calloc(1, sizeof *fresh) : NULL;
    if (status == MF_OK && fresh == NULL) {
        status = mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a view of the registry");
    }
    if (status == MF_OK) {
        mfi_mutex_lock(&runtime->mutex);
        mfi_service_view *view = find_locked(runtime, registry);
        if (view == NULL) {
            view = fresh;
            fresh = NULL;
            view->registry = registry;
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

/* There may be no directory yet, or no longer the one that was watched: each who joins tries. */
void mfi_service_view_join(mfi_service_view *view, mf_parent *parent)
{
    int fd = mf_registry_watch_fd(view->registry);
    if (fd >= 0 && view->source.fd < 0) {
        (void)!mfi_source_add(parent->runtime->loop, &view->source, fd, EPOLLIN, NULL);
    }
    if (!parent->view_node.is_listed) {
        mfi_list_push_back(&view->parents, &parent->view_node);
    }
}

void mfi_service_view_leave(mfi_service_view *view, mf_parent *parent)
{
    mf_runtime *runtime = parent->runtime;
    mfi_list_remove(&view->parents, &parent->view_node);
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
