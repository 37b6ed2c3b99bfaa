/* Ends connections where there are too many. It exists so that silent strangers cannot take the
 * places and the descriptors of those who work. */
#include <sys/resource.h>

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

/* Ends the connection that gives way to all others. The connection of a parent's peer stays. */
static void end_one(mfi_direct *self)
{
    mfi_direct_peer *found = NULL;
    for (uint32_t i = 0; i < self->capacity; i++) {
        mfi_direct_peer *peer = self->peers[i];
        bool is_needed = !self->options.is_child && peer == self->target;
        if (peer != NULL && !is_needed && (found == NULL || gives_way(peer, found))) {
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

void mfi_direct_make_place(mfi_direct *self, int fd)
{
    if (is_crowded(self, fd)) {
        end_one(self);
    }
}
