/* The texts that a call carries beside its ids: tracestate and baggage.
 *
 * A context holds only an id of them, because contexts are copied on every call and most calls
 * carry no such text. Ids are 0 where there is none, and no id is used twice. A program may copy
 * and keep a context, so an id does not keep the texts alive: holders do, and the last
 * MFI_CARRIED_KEPT texts that were kept stay without one. All functions are thread-safe. */
#ifndef MFI_BASE_CARRIED_H
#define MFI_BASE_CARRIED_H

#include <stddef.h>
#include <stdint.h>

#define MFI_CARRIED_KEPT 1024u

/* A text with its length; size 0: there is none. */
typedef struct mfi_carried_text {
    const char *data;
    size_t size;
} mfi_carried_text;

/* Copies the texts. Returns their id, with one holder; 0 if both are empty, or without memory. */
uint64_t mfi_carried_keep(mfi_carried_text tracestate, mfi_carried_text baggage);
/* One more holder. Returns the id, or 0 if the texts are gone. */
uint64_t mfi_carried_hold(uint64_t id);
/* One holder less. 0 is a no-op. */
void mfi_carried_release(uint64_t id);
/* The texts, NUL-terminated; NULL: there is none. Valid as long as the caller holds the id. */
const char *mfi_carried_tracestate(uint64_t id);
const char *mfi_carried_baggage(uint64_t id);

/* Releases and clears the id that a context holds; a branch if there is none. */
static inline void mfi_carried_drop(uint64_t *id)
{
    if (*id != 0) {
        mfi_carried_release(*id);
        *id = 0;
    }
}

#endif
