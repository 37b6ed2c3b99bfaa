/* Ends connections where there are too many. It exists so that silent strangers cannot take the
 * places and the descriptors of those who work. */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/transport/direct/direct.h"

#define EXTRA_CONNECTIONS_MAX 8 /* of a parent, beside its peer's */
#define FREE_DESCRIPTORS 32     /* that are left to the program */

/* Of two connections, whether the first one gives way: one that never sent a message goes first,
 * then the one that was silent for longest. */
static bool gives_way(const mfi_direct_peer *peer, const mfi_direct_peer *to)
{
    return peer->has_spoken != to->has_spoken ? !peer->has_spoken
                                              : peer->read_number < to->read_number;
}

/* Ends the connection that gives way to all others. The connection of a parent's peer stays, and
 * unless any may be ended, so do those that have spoken. */
static void end_one(mfi_direct *self, bool any)
{
    mfi_direct_peer *found = NULL;
    for (uint32_t i = 0; i < self->capacity; i++) {
        mfi_direct_peer *peer = self->peers[i];
        bool is_needed = !self->options.is_child && peer == self->target;
        bool may_end = peer != NULL && !is_needed && (any || !peer->has_spoken);
        if (may_end && (found == NULL || gives_way(peer, found))) {
            found = peer;
        }
    }
    if (found != NULL) {
        mfi_direct_drop(self, found);
    }
}

/* Whether there is no room beside a connection that was accepted with this descriptor. The kernel
 * gives the lowest free number, so a high one says that few are free. */
static bool is_crowded(const mfi_direct *self, int fd)
{
    struct rlimit files = {.rlim_cur = 0};
    uint32_t most = self->options.is_child ? MFI_DIRECT_CONNECTIONS_MAX : 1 + EXTRA_CONNECTIONS_MAX;
    return self->count >= most || (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
                                   (rlim_t)fd + FREE_DESCRIPTORS >= files.rlim_cur);
}

/* The descriptor of the ended connection was lower. The new connection takes that one, so that the
 * next one gets a high number again and is seen to be one too many. */
static int move_down(int fd)
{
    int lower = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (lower < 0) {
        return fd;
    }
    (void)close(lower < fd ? fd : lower);
    return lower < fd ? lower : fd;
}

int mfi_direct_make_place(mfi_direct *self, int fd)
{
    if (!is_crowded(self, fd)) {
        return fd;
    }
    end_one(self, true);
    return move_down(fd);
}

void mfi_direct_free_descriptor(mfi_direct *self)
{
    end_one(self, false);
}
