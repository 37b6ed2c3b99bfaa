/* A ring of readings, one in five seconds. A reading more often compares with the ring and is not
 * kept, so that the interval of the health checks does not matter to the ring's size. */
#include "core/observe/recent.h"

#include <string.h>

static size_t place_of(const mfi_recent *recent, size_t age)
{
    return (recent->next + MFI_RECENT_KEPT - 1 - age) % MFI_RECENT_KEPT;
}

static void keep(mfi_recent *recent, uint64_t now_ns, const uint64_t *totals)
{
    recent->at_ns[recent->next] = now_ns;
    memcpy(recent->totals[recent->next], totals, sizeof recent->totals[0]);
    recent->next = (recent->next + 1) % MFI_RECENT_KEPT;
    recent->count += recent->count < MFI_RECENT_KEPT;
}

/* The place of the latest reading that is a minute old, else of the oldest one. */
static size_t find_base(const mfi_recent *recent, uint64_t now_ns)
{
    size_t age = 0;
    while (age + 1 < recent->count &&
           now_ns - recent->at_ns[place_of(recent, age)] < MFI_RECENT_NS) {
        age++;
    }
    return place_of(recent, age);
}

void mfi_recent_read(mfi_recent *recent, uint64_t now_ns, const uint64_t totals[MFI_RECENT_VALUES],
                     uint64_t ret_grown[MFI_RECENT_VALUES])
{
    if (recent->count > 0 && now_ns - recent->at_ns[place_of(recent, 0)] > 2 * MFI_RECENT_NS) {
        recent->count = 0;
    }
    if (recent->count == 0 || now_ns - recent->at_ns[place_of(recent, 0)] >= MFI_RECENT_STEP_NS) {
        keep(recent, now_ns, totals);
    }
    const uint64_t *base = recent->totals[find_base(recent, now_ns)];
    for (size_t i = 0; i < MFI_RECENT_VALUES; i++) {
        ret_grown[i] = totals[i] > base[i] ? totals[i] - base[i] : 0;
    }
}
