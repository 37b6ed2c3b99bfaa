/* A table of verdicts with one place for each hash. It exists because a verdict costs several
 * system calls, and is due for every message. */
#include "core/transport/verdicts.h"

#include <stdint.h>
#include <string.h>

static size_t place_of(const mfi_route *route)
{
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */
    for (size_t i = 0; i < route->size; i++) {
        hash = (hash ^ route->bytes[i]) * UINT32_C(16777619);
    }
    return (hash ^ hash >> 16) % MFI_VERDICTS;
}

/* The descriptor belongs to the source, because an identity may be used by a later connection. */
bool mfi_verdicts_admit(mfi_verdicts *verdicts, const mfi_route *route, int fd,
                        bool (*admits)(void *data, int fd), void *data)
{
    size_t place = place_of(route);
    bool is_known = verdicts->places[place].is_set && verdicts->places[place].fd == fd &&
                    verdicts->places[place].route.size == route->size &&
                    memcmp(verdicts->places[place].route.bytes, route->bytes, route->size) == 0;
    if (!is_known) {
        verdicts->places[place].route = *route;
        verdicts->places[place].fd = fd;
        verdicts->places[place].is_set = true;
        verdicts->places[place].is_admitted = admits(data, fd);
    }
    return verdicts->places[place].is_admitted;
}
