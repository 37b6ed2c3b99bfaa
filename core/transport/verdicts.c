/* A table of verdicts with one place for each hash. It exists because a verdict costs several
 * system calls, and is due for every message. */
#include "core/transport/verdicts.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* All sources of a DEALER have the same route, so the descriptor sets them apart. */
static size_t place_of(const mfi_route *route, int fd)
{
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */
    for (size_t i = 0; i < route->size; i++) {
        hash = (hash ^ route->bytes[i]) * UINT32_C(16777619);
    }
    return ((hash ^ hash >> 16) + (uint32_t)fd) % MFI_VERDICTS;
}

/* 0 if the descriptor is closed. */
static uint64_t socket_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

/* The descriptor and its socket belong to the source, because identity and number of a connection
 * may be used by a later one. */
bool mfi_verdicts_admit(mfi_verdicts *verdicts, const mfi_route *route, int fd,
                        bool (*admits)(void *data, int fd), void *data)
{
    size_t place = place_of(route, fd);
    uint64_t socket = socket_of(fd);
    bool is_known = verdicts->places[place].is_set && verdicts->places[place].fd == fd &&
                    (socket == 0 || socket == verdicts->places[place].socket) &&
                    verdicts->places[place].route.size == route->size &&
                    memcmp(verdicts->places[place].route.bytes, route->bytes, route->size) == 0;
    if (!is_known) {
        verdicts->places[place].route = *route;
        verdicts->places[place].fd = fd;
        verdicts->places[place].socket = socket;
        verdicts->places[place].is_set = true;
        verdicts->places[place].is_admitted = admits(data, fd);
    }
    return verdicts->places[place].is_admitted;
}

bool mfi_has_gone(int fd)
{
    struct pollfd other_end = {.fd = fd, .events = POLLRDHUP};
    return poll(&other_end, 1, 0) > 0;
}
