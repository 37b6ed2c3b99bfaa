/* Watches the registry's folder with inotify. It exists so that a moved service is found at once,
 * not at the next poll; the folder is watched because writers replace the file. */
#include "core/discovery/watch.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/error.h"
#include "core/discovery/folder.h"

mf_status mfi_registry_watch_open(mfi_registry_watch *watch, const char *directory, mf_error *error)
{
    if (watch->fd < 0) {
        watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    }
    if (watch->fd < 0) {
        return mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot watch files");
    }
    if (watch->folder < 0) {
        watch->folder = inotify_add_watch(watch->fd, directory,
                                          IN_ONLYDIR | IN_MOVED_TO | IN_MOVED_FROM | IN_MOVE_SELF |
                                              IN_CLOSE_WRITE | IN_CREATE | IN_DELETE);
    }
    if (watch->folder < 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot watch the registry's folder '%s'",
                              directory);
    }
    return MF_OK;
}

bool mfi_registry_watch_drain(mfi_registry_watch *watch)
{
    alignas(struct inotify_event) char events[4096];
    bool changed = false;
    ssize_t length;
    while ((length = read(watch->fd, events, sizeof events)) > 0) {
        const struct inotify_event *event;
        for (char *at = events; at < events + length; at += sizeof *event + event->len) {
            event = (const struct inotify_event *)(void *)at;
            if ((event->mask & IN_MOVE_SELF) != 0) { /* its path may name another folder now */
                (void)inotify_rm_watch(watch->fd, event->wd);
            }
            if ((event->mask & IN_IGNORED) != 0 && event->wd == watch->folder) {
                watch->folder = -1; /* the folder was removed */
                changed = true;
            }
            changed = changed || (event->mask & IN_Q_OVERFLOW) != 0 ||
                      (event->len > 0 && strcmp(event->name, MFI_REGISTRY_FILE) == 0);
        }
    }
    return changed;
}

void mfi_registry_watch_close(mfi_registry_watch *watch)
{
    if (watch->fd >= 0) {
        (void)close(watch->fd);
    }
    *watch = (mfi_registry_watch)MFI_REGISTRY_WATCH_INIT;
}
